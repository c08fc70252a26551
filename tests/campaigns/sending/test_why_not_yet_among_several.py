"""Why has it not been sent yet, where the answer depends on several senders, campaigns or people. On both databases."""

import pytest
from sqlalchemy import insert, select

from campaigns.sending.outcomes import Result, Task
from campaigns.sending.status import StatusReader
from campaigns.sending.tables import correspondent, sender, session
from tests.campaigns.sending.asking import HOLD, ask, put, send_one
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time


async def claimed(books: Books, campaign_id: str) -> bool:
    """Whether something of a campaign goes now."""
    return campaign_id in [claim.campaign_id for claim in (await books.turn()).claims]


async def server_of(books: Books) -> str:
    """The WAHA server of all sessions."""
    async with books.db.read() as connection:
        return str((await connection.execute(select(session.c.server_id).distinct())).scalar_one())


async def at_a_slow_sender(books: Books) -> str:
    """A campaign whose third and last message is in turn through a sender that rests for ten minutes."""
    await books.delays.set_for(books.senders[0], 600.0)
    campaign_id = await books.submit(3)
    for _ in range(2):
        await books.rest(5.0)
        await send_one(books)
    return campaign_id


# --- behind a switch delay: whose turn it is


async def test_the_turn_waits_for_a_sender_that_rests(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=1.0)
    campaign_id = await at_a_slow_sender(books)
    await books.rest(200.0)
    assert not await claimed(books, campaign_id)
    assert (await ask(books, campaign_id)).messages[2] == ("message_delay", 395.0)
    await books.rest(395.0)
    assert (await ask(books, campaign_id)).messages[2] is None
    assert await claimed(books, campaign_id)


async def test_the_turn_is_another_ones_as_soon_as_a_sender_has_fallen(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=1.0)
    campaign_id = await at_a_slow_sender(books)
    await books.fall(0)
    await books.rest(5.0)
    assert (await ask(books, campaign_id)).messages[2] is None
    assert await claimed(books, campaign_id)


async def test_a_sender_in_turn_that_serves_a_campaign_of_higher_priority(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, message_delay=2.0, switch_delay=5.0)
    await books.submit(recipient_numbers(30, first=100), senders=[0], priority="high")
    low = await books.submit(4)
    for _ in range(8):
        await books.rest(2.0)
        await send_one(books)
    reason, until = (await ask(books, low)).messages[0] or ("", None)
    assert (reason, until) == ("not_its_turn", 2.0)


async def test_what_is_sent_again_goes_through_the_sender_in_turn(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=1.0)
    campaign_id = await books.submit(3)
    unsure = await books.claim_one()
    await books.settle(unsure, Result.UNCERTAIN, wait_seconds=1.0)
    await books.rest(200.0)
    for claim in (await books.turn()).claims:
        known = Result.UNCONFIRMED if claim.task is Task.RECONCILE else Result.SENT
        await books.settle(claim, known, code="unconfirmed")
    while (await books.campaign(campaign_id)).n_queued:
        await books.rest(5.0)
        await send_one(books)
    await books.rest(5.0)
    await books.delays.set_for(unsure.number, 600.0)
    await books.steering.resend(campaign_id, unsure.message_id, None)
    assert (await ask(books, campaign_id)).messages[0] is None
    assert (await books.claim_one()).number != unsure.number


# --- campaigns of higher priority


async def test_one_that_has_nothing_for_this_sender_keeps_nobody_waiting(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, message_delay=10.0)
    await books.submit(recipient_numbers(4, first=100), priority="urgent", failover=False)
    await books.fall(1)
    low = await books.submit(6, senders=[0])
    for _ in range(4):
        await send_one(books)
        await books.rest(10.0)
    assert (await ask(books, low)).messages[2] is None
    assert await claimed(books, low)


async def test_one_of_which_all_is_to_be_tried_again_later_keeps_nobody_waiting(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(recipient_numbers(1, first=100), priority="urgent")
    low = await books.submit(1)
    await send_one(books, Result.RETRY, wait_seconds=500.0, code="backoff", reason="no")
    assert (await ask(books, low)).messages == [None]
    assert await claimed(books, low)


# --- senders


async def test_a_session_that_is_being_moved(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    home = await server_of(books)
    await put(books, session, session.c.sender_id == books.sender_id(0), moving_to=home)
    assert (await ask(books, campaign_id)).messages == [("session_not_connected", None)] * 2
    assert not await claimed(books, campaign_id)


async def test_a_look_up_that_nobody_can_answer_tells_no_time(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await send_one(books, Result.UNCERTAIN, wait_seconds=5.0)
    assert (await ask(books, campaign_id)).campaign == [("unconfirmed", HOLD)]
    await books.rest(HOLD + 3600.0)
    await send_one(books, Result.ASK_AGAIN, code="uncertain", wait_seconds=10.0)
    assert (await ask(books, campaign_id)).campaign == [("unconfirmed", None)]


async def test_somebody_who_wrote_to_a_locked_sender_does_not_wait_for_its_lock(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    campaign_id = await books.submit(3)
    await send_one(books)
    writer = (await books.messages(campaign_id))[2]
    await put(books, sender, sender.c.number == books.senders[0], locked_until=books.clock.now() + 3600.0)
    async with books.db.write() as tx:
        written = {"sender_id": books.sender_id(0), "phone": writer.phone, "wrote_at": books.clock.now()}
        await tx.execute(insert(correspondent).values(**written))
    assert (await ask(books, campaign_id)).messages[1:] == [("number_lock", 3600.0), ("message_delay", 10.0)]
    await books.rest(10.0)
    assert (await ask(books, campaign_id)).messages[1:] == [("number_lock", 3590.0), None]
    assert (await books.claim_one()).message_id == writer.id


# --- lists


async def test_a_search_tells_the_same_as_the_whole_list(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    campaign_id = await books.submit(5)
    await send_one(books, Result.RETRY, wait_seconds=500.0, code="backoff", reason="no")
    rows = await books.messages(campaign_id)
    status = StatusReader(books.db, books.forecaster, lambda _engine: HOLD)
    row = await books.campaign(campaign_id)
    whole, _ = await status.messages(row, [], 0, 10)
    found, total = await status.messages(row, [], 0, 10, [rows[index].phone for index in (0, 2, 4)])
    assert total == 3
    assert found == [whole[index] for index in (0, 2, 4)]
    assert whole[4]["waiting"]["reason"] == "not_its_turn"

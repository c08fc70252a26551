"""Why has it not been sent yet, through the real tables and on both databases: one test for each reason."""

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.sending.outcomes import Result
from campaigns.sending.tables import lane, message, sender, server
from tests.campaigns.sending.asking import HOLD, ask, put, send_one
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time


async def rest(books: Books, code: str, seconds: float) -> None:
    """As a claim writes it whose sender has to rest."""
    until = books.clock.now() + seconds
    await put(books, lane, lane.c.sender_id == books.sender_id(0), resting_code=code, resting_until=until)


async def test_message_delay(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=60.0)
    campaign_id = await books.submit(2)
    await send_one(books)
    await books.rest(10.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("message_delay", 50.0)]
    assert told.messages == [None, ("message_delay", 50.0)]


async def test_sender_switch_delay(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=30.0)
    campaign_id = await books.submit(2)
    await send_one(books)
    told = await ask(books, campaign_id)
    assert told.campaign == [("sender_switch_delay", 30.0)]
    assert told.messages == [None, ("sender_switch_delay", 30.0)]


async def test_not_its_turn_and_the_time_that_its_place_allows(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    campaign_id = await books.submit(4)
    await send_one(books)
    told = await ask(books, campaign_id)
    assert told.campaign == [("message_delay", 10.0)]
    assert told.messages == [None, ("message_delay", 10.0), ("not_its_turn", 20.0), ("not_its_turn", 30.0)]


async def test_not_its_turn_while_its_sender_sends_another_one(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await books.claim_one()
    told = await ask(books, campaign_id)
    assert told.messages == [None, ("not_its_turn", None)]
    await books.settle(claim, Result.SENT)
    assert (await ask(books, campaign_id)).messages == [None, None]


async def test_not_its_turn_while_its_campaign_sends_another_one(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=30.0)
    campaign_id = await books.submit(2)
    await books.claim_one()
    assert (await ask(books, campaign_id)).messages == [None, ("not_its_turn", None)]


async def test_not_its_turn_while_a_campaign_of_higher_priority_has_something_for_its_sender(
    open_books: OpenBooks,
) -> None:
    books = await open_books(message_delay=10.0)
    low = await books.submit(1)
    urgent = await books.submit(recipient_numbers(2, first=100), priority="urgent")
    claim = await send_one(books)
    assert claim.campaign_id == urgent
    told = await ask(books, low)
    assert told.campaign == [("not_its_turn", 10.0)]
    assert told.messages == [("not_its_turn", 10.0)]
    assert (await ask(books, urgent)).messages == [None, ("message_delay", 10.0)]
    await books.steering.pause(urgent, None)
    assert (await ask(books, low)).messages == [("message_delay", 10.0)]


async def test_a_campaign_of_higher_priority_that_rests_before_its_next_sender_keeps_nobody_waiting(
    open_books: OpenBooks,
) -> None:
    books = await open_books(senders=2, switch_delay=30.0)
    await books.submit(recipient_numbers(3, first=100), priority="urgent")
    await send_one(books)
    low = await books.submit(1, senders=[1])
    assert (await ask(books, low)).messages == [None]


async def test_who_waits_for_another_attempt_keeps_nobodys_place(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    campaign_id = await books.submit(3)
    await send_one(books, Result.RETRY, wait_seconds=500.0, code="backoff", reason="no")
    told = await ask(books, campaign_id)
    assert told.messages == [("backoff", 500.0), ("message_delay", 10.0), ("not_its_turn", 20.0)]


async def test_session_not_connected(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await books.fall(0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("session_not_connected", None)]
    assert told.messages == [("session_not_connected", None)] * 2


async def test_server_down(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await put(books, server, server.c.up, up=False)
    told = await ask(books, campaign_id)
    assert told.campaign == [("server_down", None)]
    assert told.messages == [("server_down", None)] * 2


@pytest.mark.parametrize("code", ["daily_cap", "hourly_cap"])
async def test_daily_and_hourly_cap(open_books: OpenBooks, code: str) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await rest(books, code, 4000.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [(code, 4000.0)]
    assert told.messages == [(code, 4000.0)] * 2


async def test_with_one_sender_capped_the_others_go_on(open_books: OpenBooks) -> None:
    books = await open_books(senders=2)
    campaign_id = await books.submit(2)
    await rest(books, "daily_cap", 4000.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("daily_cap", 4000.0)]
    assert told.messages[0] is None


async def test_quiet_hours(open_books: OpenBooks) -> None:
    books = await open_books()
    now = datetime.fromtimestamp(books.clock.now(), UTC).replace(second=0, microsecond=0)
    ends = now + timedelta(hours=2)
    quiet = {"from": f"{now - timedelta(hours=1):%H:%M}", "to": f"{ends:%H:%M}"}
    campaign_id = await books.submit(2, quiet_hours=quiet)
    left = round(ends.timestamp() - books.clock.now(), 3)
    told = await ask(books, campaign_id)
    assert told.campaign == [("quiet_hours", left)]
    assert told.messages == [("quiet_hours", left)] * 2
    assert (await books.turn()).claims == []


async def test_a_weekday_that_is_not_allowed_is_told_as_quiet_hours_too(open_books: OpenBooks) -> None:
    books = await open_books()
    now = datetime.fromtimestamp(books.clock.now(), UTC)
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    campaign_id = await books.submit(1, weekdays=[f"{tomorrow:%a}".lower()])
    told = await ask(books, campaign_id)
    assert told.campaign == [("quiet_hours", round(tomorrow.timestamp() - books.clock.now(), 3))]


async def test_a_window_that_has_just_closed_is_told_before_anybody_has_looked(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=1.0)
    now = datetime.fromtimestamp(books.clock.now(), UTC).replace(second=0, microsecond=0)
    closes = now + timedelta(minutes=10)
    quiet = {"from": f"{closes:%H:%M}", "to": f"{now - timedelta(hours=1):%H:%M}"}
    campaign_id = await books.submit(1, quiet_hours=quiet)
    assert (await ask(books, campaign_id)).campaign == []
    await books.rest(closes.timestamp() - books.clock.now() + 1.0)
    [(reason, seconds)] = (await ask(books, campaign_id)).campaign
    assert reason == "quiet_hours"
    assert seconds is not None
    assert 22 * 3600 < seconds < 24 * 3600


async def test_scheduled(open_books: OpenBooks) -> None:
    books = await open_books()
    start_at = datetime.fromtimestamp(books.clock.now() + 1000.0, UTC)
    campaign_id = await books.submit(2, start_at=start_at)
    told = await ask(books, campaign_id)
    assert told.campaign == [("scheduled", 1000.0)]
    assert told.messages == [("scheduled", 1000.0)] * 2
    assert (await books.turn()).claims == []


async def test_paused(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await books.steering.pause(campaign_id, None)
    told = await ask(books, campaign_id)
    assert told.campaign == [("paused", None)]
    assert told.messages == [("paused", None)] * 2


async def test_number_lock(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    number = books.senders[0]
    await put(books, sender, sender.c.number == number, locked_until=books.clock.now() + 3600.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("number_lock", 3600.0)]
    assert told.messages == [("number_lock", 3600.0)] * 2


async def test_backoff_of_a_message_and_of_its_sender(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await send_one(books, Result.RETRY, wait_seconds=30.0, code="backoff", reason="no")
    assert (await ask(books, campaign_id)).messages == [("backoff", 30.0), None]
    await put(books, message, message.c.campaign_id == campaign_id, not_before=0.0)
    await rest(books, "backoff", 25.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("backoff", 25.0)]
    assert told.messages == [("backoff", 25.0)] * 2


async def test_unconfirmed_holds_its_sender_and_is_told_of_the_message_itself_too(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await send_one(books, Result.UNCERTAIN, wait_seconds=5.0)
    told = await ask(books, campaign_id)
    assert told.campaign == [("unconfirmed", HOLD)]
    assert told.messages == [("unconfirmed", HOLD)] * 2
    await books.steering.pause(campaign_id, None)
    assert (await ask(books, campaign_id)).messages == [("unconfirmed", HOLD), ("paused", None)]


async def test_without_failover_the_turn_waits_for_its_own_sender(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, switch_delay=30.0)
    campaign_id = await books.submit(3, failover=False)
    await send_one(books)
    await books.fall(1)
    told = await ask(books, campaign_id)
    assert ("session_not_connected", None) in told.campaign
    assert told.messages[1] == ("session_not_connected", None)


async def test_what_was_sent_waits_for_nothing(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    await send_one(books)
    told = await ask(books, campaign_id)
    assert (told.campaign, told.messages) == ([], [None])

"""Steering what was submitted, on both databases: cancel, retry, and deciding about what nobody can tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import steering
from campaigns.sending.models import IDLE, CampaignState
from campaigns.sending.outcomes import Claim, Result
from campaigns.sending.receipt_writing import REFUSED_CODE
from campaigns.sending.refusals import LOCKED_CODE
from campaigns.sending.retention import forget_old
from campaigns.sending.tables import campaign, sender
from gateway.auth.access import Scope
from gateway.auth.queries import account
from gateway.db import AnyRow, Database
from gateway.errors import NotFound, WrongState
from gateway.events import CampaignHalted
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time


async def settle_all(books: Books, results: list[Result], code: str = "") -> list[Claim]:
    """Claim messages one after the other, and settle each with the next of these results."""
    claims = []
    for result in results:
        turn = await books.turn()
        [claim] = turn.claims
        await books.settle(claim, result, code=code)
        claims.append(claim)
    return claims


async def drain(books: Books) -> list[Claim]:
    """Send whatever goes now."""
    claims: list[Claim] = []
    while (turn := await books.turn()).claims:
        await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims], claiming=False)
        claims += turn.claims
    return claims


async def ended(books: Books, results: list[Result], code: str = "", **fields: Any) -> tuple[str, list[Claim]]:
    """A campaign whose messages ended like this."""
    campaign_id = await books.submit(len(results), **fields)
    return campaign_id, await settle_all(books, results, code)


async def states(books: Books, campaign_id: str) -> list[str]:
    return [row.state for row in await books.messages(campaign_id)]


async def at_once(*calls: Any) -> list[str]:
    """What became of calls that were made at the same moment, sorted: done, or refused."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, WrongState):
            raise answer
    return sorted("refused" if isinstance(answer, WrongState) else "done" for answer in answers)


# --- retry


async def test_a_pause_during_a_long_retry_stays(open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "SLICE", 3)
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.FAILED] * 9, "rejected", auto_pause=False)
    write, count = books.db.write, 0

    @asynccontextmanager
    async def before_the_second_slice() -> AsyncIterator[AsyncConnection]:
        nonlocal count
        count += 1
        if count == 2:
            await books.steering.pause(campaign_id, None)
        async with write() as tx:
            yield tx

    monkeypatch.setattr(books.db, "write", before_the_second_slice)
    row = await books.steering.retry(campaign_id, None)
    assert (row.state, row.reason, row.n_queued) == ("paused", "paused on request", 9)
    monkeypatch.undo()
    assert (await books.turn()).claims == []
    await books.check()


@pytest.mark.parametrize(
    ("wish", "ending"),
    [
        ("retry", Result.FAILED),
        ("retry_message", Result.FAILED),
        ("resend", Result.UNCONFIRMED),
        ("resend_all", Result.UNCONFIRMED),
    ],
)
async def test_what_is_sent_again_goes_through_numbers_that_are_still_its_accounts(
    open_books: OpenBooks, wish: str, ending: Result
) -> None:
    """A number can change hands as soon as nothing of it waits, and what has ended may be sent again later."""
    books = await open_books(2)
    campaign_id, [claim] = await ended(books, [ending], "rejected")
    async with books.db.write() as tx:
        await tx.execute(insert(account).values(id="acme", name="acme", created_at=books.clock.now()))
        await tx.execute(update(sender).where(sender.c.number == books.senders[1]).values(account_id="acme"))
    which = [campaign_id, claim.message_id] if wish in ("retry_message", "resend") else [campaign_id]
    with pytest.raises(NotFound, match="not yours any more"):
        await getattr(books.steering, wish)(*which, Scope(account_id="local"))
    assert await states(books, campaign_id) == [ending]
    await getattr(books.steering, wish)(*which, None)  # an operator may send through every number
    assert await states(books, campaign_id) == ["queued"]


async def test_retry_queues_what_has_failed_and_nothing_else(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.SENT, Result.FAILED, Result.UNCONFIRMED, Result.SKIPPED], "rejected")
    row = await books.steering.retry(campaign_id, None)
    assert (row.state, row.n_failed, row.n_queued, row.finished_at) == ("running", 0, 1, None)
    assert await states(books, campaign_id) == ["sent", "queued", "unconfirmed", "skipped"]
    again = (await books.messages(campaign_id))[1]
    assert (again.attempts, again.error, again.error_code, again.finished_at, again.sender_id) == (0, *[None] * 4)
    await books.check()
    [claim] = await drain(books)
    assert claim.message_id == again.id
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED_WITH_ERRORS


async def test_a_campaign_that_has_failed_may_be_completed_by_a_retry(open_books: OpenBooks) -> None:
    books = await open_books(senders=2)
    campaign_id = await books.submit(4)
    for _ in range(2):
        turn = await books.turn()
        await books.turn([(claim, books.outcome(Result.FAILED)) for claim in turn.claims], claiming=False)
    assert (await books.campaign(campaign_id)).state == CampaignState.FAILED
    await books.steering.retry(campaign_id, None)
    assert len(await drain(books)) == 4
    row = await books.campaign(campaign_id)
    assert (row.state, row.n_sent) == (CampaignState.COMPLETED, 4)
    await books.check()


@pytest.mark.parametrize(("code", "is_kept"), [("rejected", True), (REFUSED_CODE, False), (LOCKED_CODE, False)])
async def test_a_message_that_a_receipt_refused_gets_a_new_id(open_books: OpenBooks, code: str, is_kept: bool) -> None:
    books = await open_books()
    campaign_id, [before] = await ended(books, [Result.FAILED], code)
    await books.steering.retry(campaign_id, None)
    [after] = await drain(books)
    assert (after.wa_id == before.wa_id) is is_kept


async def test_retry_wakes_lanes_that_had_nothing_to_do(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.FAILED])
    await books.turn()
    assert (await books.lane()).due_at == IDLE
    await books.steering.retry(campaign_id, None)
    assert (await books.lane()).due_at <= books.clock.now()


async def test_retry_goes_on_with_a_paused_campaign(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    await settle_all(books, [Result.FAILED])
    await books.steering.pause(campaign_id, None)
    row = await books.steering.retry(campaign_id, None)
    assert (row.state, row.reason, row.n_queued) == ("running", "", 2)


async def test_a_long_retry_takes_many_transactions_and_moves_everything(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "SLICE", 2)
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.FAILED] * 5)
    assert (await books.steering.retry(campaign_id, None)).n_queued == 5
    await books.check()


async def test_what_fails_again_meanwhile_is_left_to_the_next_retry(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a retry of what fails at once would never end."""
    monkeypatch.setattr(steering, "SLICE", 1)
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.FAILED, Result.FAILED])
    retried = asyncio.create_task(books.steering.retry(campaign_id, None))
    while not retried.done():
        turn = await books.turn()
        await books.rest(1.0)
        await books.turn([(claim, books.outcome(Result.FAILED)) for claim in turn.claims], claiming=False)
    await retried
    await books.check()


async def test_retry_is_refused_where_nothing_can_come_of_it(open_books: OpenBooks) -> None:
    books = await open_books()
    sent, _ = await ended(books, [Result.SENT])
    with pytest.raises(WrongState, match="nothing of this campaign has failed"):
        await books.steering.retry(sent, None)
    cancelled = await books.submit(2)
    await settle_all(books, [Result.FAILED])
    await books.steering.cancel(cancelled, None)
    with pytest.raises(WrongState, match="cancelled"):
        await books.steering.retry(cancelled, None)
    with pytest.raises(NotFound):
        await books.steering.retry("01890000-0000-7000-8000-000000000000", None)


async def test_nothing_is_sent_again_of_a_campaign_that_has_expired_or_lost_its_file(open_books: OpenBooks) -> None:
    books = await open_books()
    expires_at = datetime.fromtimestamp(books.clock.now() + 100.0, UTC)
    expired, claims = await ended(books, [Result.FAILED, Result.UNCONFIRMED], expires_at=expires_at)
    without, _ = await ended(books, [Result.FAILED])
    async with books.db.write() as tx:
        await tx.execute(update(campaign).where(campaign.c.id == without).values(media_id="gone"))
    with pytest.raises(WrongState, match="file"):
        await books.steering.retry(without, None)
    await books.rest(100.0)
    with pytest.raises(WrongState, match="expired"):
        await books.steering.retry(expired, None)
    with pytest.raises(WrongState, match="expired"):
        await books.steering.resend(expired, claims[1].message_id, None)
    assert (await books.steering.accept(expired, claims[1].message_id, None)).n_sent == 1


async def test_of_two_retries_at_once_one_wins(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, _ = await ended(books, [Result.FAILED] * 3)
    retry = books.steering.retry
    assert await at_once(retry(campaign_id, None), retry(campaign_id, None)) == ["done", "refused"]
    assert (await books.campaign(campaign_id)).n_queued == 3
    await books.check()


async def test_a_message_whose_answer_is_still_awaited_is_not_queued_again(open_books: OpenBooks) -> None:
    """A receipt has failed it already; the answer to its send must find it as it is."""
    books = await open_books()
    campaign_id = await books.submit(1)
    [claim] = (await books.turn()).claims
    await books.receipts({claim.wa_id: -1})
    with pytest.raises(WrongState):
        await books.steering.retry(campaign_id, None)
    await books.settle(claim, Result.SENT)
    assert (await books.steering.retry(campaign_id, None)).n_queued == 1


# --- what nobody can tell


async def test_an_unconfirmed_message_is_sent_again_under_the_same_id(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, [before, _] = await ended(books, [Result.UNCONFIRMED, Result.SENT])
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED_WITH_ERRORS
    row = await books.steering.resend(campaign_id, before.message_id, None)
    assert (row.state, row.n_unconfirmed, row.n_queued) == ("running", 0, 1)
    await books.check()
    [after] = await drain(books)
    assert (after.message_id, after.wa_id) == (before.message_id, before.wa_id)
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED


async def test_a_paused_campaign_stays_paused_when_one_of_its_messages_is_to_be_sent_again(
    open_books: OpenBooks,
) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    [claim] = await settle_all(books, [Result.UNCONFIRMED])
    await books.steering.pause(campaign_id, None)
    row = await books.steering.resend(campaign_id, claim.message_id, None)
    assert (row.state, row.n_queued) == ("paused", 2)


async def test_an_unconfirmed_message_is_taken_as_sent_and_the_end_follows(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, [claim] = await ended(books, [Result.UNCONFIRMED])
    row = await books.steering.accept(campaign_id, claim.message_id, None)
    assert (row.state, row.n_unconfirmed, row.n_sent) == (CampaignState.COMPLETED, 0, 1)
    message = await books.message(claim.message_id)
    assert (message.state, message.sent_at, message.error) == ("sent", message.started_at, None)
    await books.check()


async def test_only_an_unconfirmed_message_can_be_decided_about(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, [sent] = await ended(books, [Result.SENT])
    other, _ = await ended(books, [Result.UNCONFIRMED])
    for decide in (books.steering.resend, books.steering.accept):
        with pytest.raises(WrongState, match="this one is sent"):
            await decide(campaign_id, sent.message_id, None)
        with pytest.raises(NotFound):
            await decide(other, sent.message_id, None)
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED


async def test_nothing_of_a_cancelled_campaign_is_sent_again_but_it_may_be_taken_as_sent(
    open_books: OpenBooks,
) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    [claim] = await settle_all(books, [Result.UNCONFIRMED])
    await books.steering.cancel(campaign_id, None)
    with pytest.raises(WrongState, match="cancelled"):
        await books.steering.resend(campaign_id, claim.message_id, None)
    row = await books.steering.accept(campaign_id, claim.message_id, None)
    assert (row.state, row.n_sent, row.n_cancelled) == (CampaignState.CANCELLED, 1, 1)


async def test_of_two_decisions_at_once_one_wins(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id, [claim] = await ended(books, [Result.UNCONFIRMED])
    resend, accept = books.steering.resend, books.steering.accept
    ids = (campaign_id, claim.message_id, None)
    assert await at_once(resend(*ids), accept(*ids), resend(*ids)) == ["done", "refused", "refused"]
    await books.check()


# --- cancel, and what is scheduled


async def test_a_long_cancel_says_so_first_and_then_takes_many_transactions(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "SLICE", 3)
    books = await open_books()
    campaign_id = await books.submit(8)
    told: list[CampaignHalted] = []
    before: list[AnyRow] = []
    books.bus.subscribe(CampaignHalted, told.append)
    cancel_messages = steering.cancel_messages

    async def look_first(db: Database, key: str) -> None:
        assert told == [CampaignHalted(campaign_id)]
        before.append(await books.campaign(campaign_id))
        await cancel_messages(db, key)

    monkeypatch.setattr(steering, "cancel_messages", look_first)
    row = await books.steering.cancel(campaign_id, None)
    assert [(seen.state, seen.n_queued) for seen in before] == [("cancelled", 8)]
    assert (row.state, row.n_queued, row.n_cancelled) == ("cancelled", 0, 8)
    await books.check()


async def test_a_cancel_that_a_crash_interrupted_is_finished_later(
    open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = await open_books()
    campaign_id = await books.submit(3)

    async def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steering, "cancel_messages", die)
        with pytest.raises(KeyboardInterrupt):
            await books.steering.cancel(campaign_id, None)
    assert (await books.turn()).claims == []
    await forget_old(books.db, books.clock.now())
    row = await books.campaign(campaign_id)
    assert (row.state, row.n_queued, row.n_cancelled) == ("cancelled", 0, 3)


async def test_a_scheduled_campaign_can_be_cancelled_and_neither_paused_nor_resumed(open_books: OpenBooks) -> None:
    books = await open_books()
    start_at = datetime.fromtimestamp(books.clock.now() + 1000.0, UTC)
    campaign_id = await books.submit(2, start_at=start_at)
    assert (await books.campaign(campaign_id)).state == CampaignState.SCHEDULED
    for steer in (books.steering.pause, books.steering.resume, books.steering.retry):
        with pytest.raises(WrongState):
            await steer(campaign_id, None)
    row = await books.steering.cancel(campaign_id, None)
    assert (row.state, row.n_cancelled, row.alarm_at) == ("cancelled", 2, None)


async def test_a_reopened_campaign_keeps_its_hours(open_books: OpenBooks) -> None:
    books = await open_books()
    expires_at = datetime.fromtimestamp(round(books.clock.now()) + 1000, UTC)
    campaign_id, _ = await ended(books, [Result.FAILED], expires_at=expires_at)
    async with books.db.write() as tx:
        await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(alarm_at=None, opens_at=IDLE))
    row = await books.steering.retry(campaign_id, None)
    assert (row.opens_at, row.closes_at, row.alarm_at) == (0.0, expires_at.timestamp(), expires_at.timestamp())

"""A campaign whose first messages all fail pauses itself, once; then a person decides. On both databases."""

import pytest

from campaigns.sending.counting import FIRST_FAILURES
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Result
from campaigns.sending.queries import end_queued
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time


async def fail(books: Books, count: int, reason: str = "no") -> None:
    """Have so many messages refused for good."""
    for _ in range(count):
        await books.settle(await books.claim_one(), Result.FAILED, reason=reason)


async def state(books: Books, campaign_id: str) -> str:
    return str((await books.campaign(campaign_id)).state)


async def test_a_campaign_whose_first_messages_all_fail_pauses_itself_with_the_reason(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(FIRST_FAILURES + 5)
    halted: list[tuple[str, str]] = []
    turn = await books.turn()
    for _ in range(FIRST_FAILURES):
        turn = await books.turn([(turn.claims[0], books.outcome(Result.FAILED, reason="the template is refused"))])
        halted += turn.halted
    row = await books.campaign(campaign_id)
    assert row.state == CampaignState.PAUSED
    assert "the template is refused" in row.reason
    assert [key for key, _ in halted] == [campaign_id]
    assert turn.claims == []
    await books.steering.resume(campaign_id, None)
    turn = await books.turn()
    turn = await books.turn([(turn.claims[0], books.outcome(Result.FAILED, reason="still"))])
    assert (await books.campaign(campaign_id)).state == CampaignState.RUNNING  # a person has decided
    await books.check()


@pytest.mark.parametrize("case", ["one was sent", "not asked for"])
async def test_it_does_not_where_one_was_sent_or_it_was_not_asked_for(open_books: OpenBooks, case: str) -> None:
    books = await open_books()
    campaign_id = await books.submit(FIRST_FAILURES + 5, auto_pause=case != "not asked for")
    turn = await books.turn()
    if case == "one was sent":
        turn = await books.turn([(turn.claims[0], books.outcome(Result.SENT))])
    for _ in range(FIRST_FAILURES + 1):
        turn = await books.turn([(turn.claims[0], books.outcome(Result.FAILED, reason="no"))])
    assert (await books.campaign(campaign_id)).state == CampaignState.RUNNING


@pytest.mark.parametrize("ended", [MessageState.SKIPPED, MessageState.CANCELLED])
async def test_who_was_not_to_be_written_to_does_not_count_among_the_first(
    open_books: OpenBooks, ended: MessageState
) -> None:
    books = await open_books()
    campaign_id = await books.submit(FIRST_FAILURES + 15)
    async with books.db.write() as tx:
        await end_queued(tx, campaign_id, ended, "", "", books.clock.now(), limit=1)
    sent = 0
    while (turn := await books.turn()).claims:
        [claim] = turn.claims
        sent += 1
        await books.settle(claim, Result.SENT)
        await books.receipts({claim.wa_id: -1})
    assert (sent, await state(books, campaign_id)) == (FIRST_FAILURES, CampaignState.PAUSED)
    await books.check()


async def test_one_that_a_person_has_paused_just_then_pauses_itself_when_it_goes_on(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(FIRST_FAILURES + 15)
    await fail(books, FIRST_FAILURES - 1)
    claim = await books.claim_one()
    await books.steering.pause(campaign_id, None)
    await books.settle(claim, Result.FAILED, reason="no")
    assert (await books.campaign(campaign_id)).reason == "paused on request"
    await books.steering.resume(campaign_id, None)
    await fail(books, 1)
    row = await books.campaign(campaign_id)
    assert row.state == CampaignState.PAUSED
    assert "first 21 messages" in row.reason


async def test_after_a_person_let_it_go_on_it_stops_no_more_until_everything_is_retried(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(2 * FIRST_FAILURES)
    await fail(books, FIRST_FAILURES)
    assert await state(books, campaign_id) == CampaignState.PAUSED
    await books.steering.resume(campaign_id, None)
    await books.steering.retry_message(campaign_id, (await books.messages(campaign_id))[3].id, None)
    await fail(books, 5)
    assert await state(books, campaign_id) == CampaignState.RUNNING
    await books.steering.retry(campaign_id, None)
    await fail(books, FIRST_FAILURES)
    assert await state(books, campaign_id) == CampaignState.PAUSED

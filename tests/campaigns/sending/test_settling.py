"""Settling, one turn at a time: every way in which a claim can end, and what receipts add to it."""

import asyncio

import pytest
from sqlalchemy import update

from campaigns.sending.models import MESSAGE_TRANSITIONS, CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Result, Task
from campaigns.sending.tables import campaign
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time


# --- every way a claim can end ------------------------------------------------------------------------------------


def test_every_state_has_its_transitions() -> None:
    assert set(MESSAGE_TRANSITIONS) == set(MessageState)


ENDS = {
    Result.SENT: MessageState.SENT,
    Result.FAILED: MessageState.FAILED,
    Result.SKIPPED: MessageState.SKIPPED,
    Result.RETRY: MessageState.QUEUED,
    Result.LATER: MessageState.QUEUED,
    Result.RELEASED: MessageState.QUEUED,
    Result.UNCERTAIN: MessageState.SENDING,
    Result.ASK_AGAIN: MessageState.SENDING,
    Result.ABSENT: MessageState.QUEUED,
    Result.UNCONFIRMED: MessageState.UNCONFIRMED,
}


@pytest.mark.parametrize("result", list(Result))
async def test_each_result_moves_the_message_its_lane_and_its_campaign(open_books: OpenBooks, result: Result) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await books.claim_one()
    await books.settle(claim, result, wait_seconds=7.0)
    row, lane, after = await books.message(claim.message_id), await books.lane(), await books.campaign(campaign_id)
    assert row.state == ENDS[result]
    assert row.wa_id == claim.wa_id
    assert row.attempts == (0 if result in (Result.LATER, Result.RELEASED, Result.SKIPPED) else 1)
    uncertain = result in (Result.UNCERTAIN, Result.ASK_AGAIN)
    assert (row.uncertain_at is not None) is uncertain
    assert lane.message_id == (claim.message_id if uncertain else None)
    assert lane.owner is None
    assert lane.sent_total == (1 if result is Result.SENT else 0)
    assert after.in_flight == 0
    assert after.state == "running"
    await books.check()


@pytest.mark.parametrize("result", list(Result))
async def test_what_is_left_of_a_cancelled_campaign_never_goes_out_again(open_books: OpenBooks, result: Result) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await books.claim_one()
    await books.steering.cancel(campaign_id, None)
    await books.settle(claim, result, wait_seconds=1.0)
    await books.check()
    expected = MessageState.CANCELLED if ENDS[result] is MessageState.QUEUED else ENDS[result]
    assert [row.state for row in await books.messages(campaign_id)] == [expected, "cancelled"]
    await books.rest(300.0)
    assert all(one.task is Task.RECONCILE for one in (await books.turn()).claims)


async def test_an_absent_message_goes_again_under_its_own_id(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    first = await books.claim_one()
    await books.settle(first, Result.UNCERTAIN, wait_seconds=1.0)
    await books.rest(1.0)
    look = await books.claim_one()
    assert look.task is Task.RECONCILE
    await books.settle(look, Result.ABSENT)
    again = await books.claim_one()
    assert (again.task, again.wa_id, again.attempts) == (Task.SEND, first.wa_id, 2)


async def test_a_retry_waits_for_its_time_and_others_go_first(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    first = await books.claim_one()
    await books.settle(first, Result.RETRY, wait_seconds=30.0)
    second = await books.claim_one()
    assert second.message_id != first.message_id
    await books.settle(second, Result.SENT)
    await books.rest(29.0)
    assert (await books.turn()).claims == []
    await books.rest(2.0)
    assert (await books.claim_one()).message_id == first.message_id


async def test_a_lane_waits_for_its_uncertain_message(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(3)
    claim = await books.claim_one()
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=50.0)
    for _ in range(7):
        await books.rest(7.0)
        assert (await books.turn()).claims == []
    await books.rest(1.0)
    assert (await books.claim_one()).task is Task.RECONCILE


@pytest.mark.parametrize("result", [Result.SENT, Result.FAILED, Result.UNCONFIRMED])
async def test_the_next_message_keeps_its_distance_from_one_that_may_have_left_just_now(
    open_books: OpenBooks, result: Result
) -> None:
    """A request that broke at once may have been carried out much later."""
    books = await open_books(message_delay=30.0)
    await books.submit(2)
    await books.settle(await books.claim_one(), Result.UNCERTAIN, wait_seconds=50.0)
    await books.rest(50.0)
    looked_up = await books.claim_one()
    looked_at = books.clock.now()
    await books.settle(looked_up, result)
    assert (await books.lane()).due_at >= looked_at + 30.0
    await books.rest(29.0)
    assert (await books.turn()).claims == []
    await books.check()


async def test_the_share_of_an_uncertain_lane_goes_to_the_others(open_books: OpenBooks) -> None:
    books = await open_books(2)
    campaign_id = await books.submit(8)
    first, second = (await books.turn()).claims
    await books.turn([(first, books.outcome(Result.UNCERTAIN, wait_seconds=1000.0))])
    await books.settle(second, Result.SENT)
    sent = await books.send_all(6)
    assert {claim.sender_id for claim in sent} == {second.sender_id}
    assert (await books.campaign(campaign_id)).n_sent == 7


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result.SENT, CampaignState.COMPLETED),
        (Result.FAILED, CampaignState.FAILED),
        (Result.UNCONFIRMED, CampaignState.COMPLETED_WITH_ERRORS),
    ],
)
async def test_a_campaign_ends_with_its_last_message(
    open_books: OpenBooks, result: Result, state: CampaignState
) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    turn = await books.settle(await books.claim_one(), result)
    assert turn.finished == [(campaign_id, state)]
    row = await books.campaign(campaign_id)
    assert (row.state, row.finished_at) == (state, books.clock.now())


async def test_a_paused_campaign_whose_last_message_was_in_flight_ends(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    claim = await books.claim_one()
    await books.steering.pause(campaign_id, None)
    await books.settle(claim, Result.SENT)
    assert (await books.campaign(campaign_id)).state == "completed"


async def test_an_id_of_the_engine_that_cannot_be_kept_holds_nothing_up(open_books: OpenBooks) -> None:
    books = await open_books(3)
    await books.submit(3)
    claims = (await books.turn()).claims
    names = ["SAME", "SAME", "X" * 60]
    ended = [(claim, books.outcome(Result.SENT, wa_id=name)) for claim, name in zip(claims, names, strict=True)]
    await books.turn(ended[:1])
    await books.turn(ended[1:])
    kept = [(await books.message(claim.message_id)).wa_id for claim in claims]
    assert kept == ["SAME", claims[1].wa_id, claims[2].wa_id]
    await books.check()


# --- receipts and the queue ---------------------------------------------------------------------------------------


async def test_a_receipt_that_comes_before_the_answer_is_kept(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    claim = await books.claim_one()
    await books.receipts({claim.wa_id: 3})
    await books.check()
    await books.settle(claim, Result.SENT)
    await books.check()
    row = await books.message(claim.message_id)
    assert (row.state, row.ack) == ("read", 3)
    assert (await books.campaign(campaign_id)).state == "completed"


async def test_a_campaign_whose_last_message_a_receipt_settles_ends(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    claim = await books.claim_one()
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=5.0)
    await books.receipts({claim.wa_id: 2})
    await books.check()
    await books.rest(5.0)
    assert (await books.turn()).finished == [(campaign_id, "completed")]


async def seem_lost(books: Books, campaign_id: str) -> Claim:
    """Send a message whose answer is lost and that is not found: it is queued again, in a campaign that is paused."""
    claim = await books.claim_one()
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=1.0)
    await books.steering.pause(campaign_id, None)
    await books.rest(1.0)
    await books.settle(await books.claim_one(), Result.ABSENT)
    return claim


@pytest.mark.parametrize("senders", [1, 2])
async def test_a_message_that_is_queued_again_and_had_left_does_not_go_once_more(
    open_books: OpenBooks, senders: int
) -> None:
    """WAHA had lost it, and WhatsApp tells that it has arrived."""
    books = await open_books(senders, message_delay=30.0)
    campaign_id = await books.submit(1)
    claim = await seem_lost(books, campaign_id)
    assert (await books.message(claim.message_id)).state == "queued"

    assert await books.hear(claim.number, {claim.wa_id: 2})
    row = await books.message(claim.message_id)
    assert (row.state, row.sender_id) == ("delivered", claim.sender_id)
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED
    lane = await books.lane(0 if claim.sender_id == books.sender_id(0) else 1)
    assert (lane.last_answer_at, lane.sent_today) == (books.clock.now(), 1)
    await books.rest(60.0)
    assert (await books.turn()).claims == []
    await books.check()


async def test_the_next_sender_waits_from_when_a_message_that_was_queued_again_may_have_left(
    open_books: OpenBooks,
) -> None:
    books = await open_books(2, switch_delay=10.0)
    campaign_id = await books.submit(2)
    claim = await seem_lost(books, campaign_id)
    await books.rest(60.0)
    assert await books.hear(claim.number, {claim.wa_id: 2})
    heard_at = books.clock.now()
    await books.steering.resume(campaign_id, None)
    [after] = await books.send_all(1)
    assert after.sender_id != claim.sender_id
    assert after.fire_at - heard_at == pytest.approx(10.0)


async def test_of_a_message_that_is_queued_again_nobody_elses_session_can_tell(open_books: OpenBooks) -> None:
    books = await open_books(2)
    campaign_id = await books.submit(1, senders=[0])
    claim = await seem_lost(books, campaign_id)
    assert not await books.hear(books.senders[1], {claim.wa_id: 2})
    assert (await books.message(claim.message_id)).state == "queued"


async def test_the_next_message_keeps_its_distance_from_one_that_a_receipt_has_settled(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    claim = await books.claim_one()
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=30.0)
    await books.rest(29.0)
    await books.receipts({claim.wa_id: 2})
    heard_at = books.clock.now()
    await books.rest(1.0)
    await books.turn()
    await books.rest(9.0)
    assert (await books.claim_one()).fire_at == pytest.approx(heard_at + 10.0, abs=0.001)


@pytest.mark.parametrize("receipt_first", [True, False])
async def test_what_only_a_receipt_tells_counts_against_the_caps_too(
    open_books: OpenBooks, *, receipt_first: bool
) -> None:
    books = await open_books()
    await books.submit(1)
    claim = await books.claim_one()
    if receipt_first:
        await books.receipts({claim.wa_id: 2})
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=1.0)
    if not receipt_first:
        await books.receipts({claim.wa_id: 2})
    await books.rest(2.0)
    await books.turn()
    lane = await books.lane()
    assert (lane.message_id, lane.sent_today, lane.slice_sent, lane.sent_total) == (None, 1, 1, 1)
    await books.check()


# --- races with a cancel ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [Result.RETRY, Result.LATER, Result.RELEASED, Result.ABSENT])
async def test_a_message_that_comes_back_while_its_campaign_is_being_cancelled_is_cancelled(
    open_books: OpenBooks, result: Result
) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await books.claim_one()
    await asyncio.gather(books.steering.cancel(campaign_id, None), books.settle(claim, result))
    assert {row.state for row in await books.messages(campaign_id)} == {"cancelled"}
    await books.check()


@pytest.mark.postgres
async def test_settling_waits_for_a_cancel_that_is_under_way(postgres_url: str) -> None:
    books = Books(postgres_url)
    await books.open(1)
    campaign_id = await books.submit(1)
    claim = await books.claim_one()
    async with books.db.write() as tx:
        await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(state=CampaignState.CANCELLED))
        settling = asyncio.create_task(books.settle(claim, Result.RETRY))
        for _ in range(200):
            await asyncio.sleep(0)
    await settling
    assert (await books.message(claim.message_id)).state == "cancelled"
    await books.db.close()

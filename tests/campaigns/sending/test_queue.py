"""Claiming and settling, one turn at a time, on both databases."""

import asyncio
import gc
from dataclasses import replace

import pytest
from sqlalchemy import update

from campaigns.sending.models import MESSAGE_TRANSITIONS, CampaignState, MessageState
from campaigns.sending.outcomes import Claim, QueueSettings, Result, Task
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import campaign
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import OPEN_CALLER, recipient_numbers

pytestmark = pytest.mark.virtual_time

OTHER = QueueSettings(replica="two")


async def claim_one(books: Books) -> Claim:
    """Take a turn that brings exactly one claim."""
    turn = await books.turn()
    assert len(turn.claims) == 1
    return turn.claims[0]


async def send_all(books: Books, count: int, seconds: float = 60.0) -> list[Claim]:
    """Settle every claim as sent until `count` were; the claims in their order."""
    sent: list[Claim] = []
    for _ in range(int(seconds / 0.25)):
        turn = await books.turn()
        while turn.claims:
            sent += turn.claims
            turn = await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims])
        if len(sent) >= count:
            break
        await books.rest(0.25)
    assert len(sent) == count
    return sent


# --- claiming ---------------------------------------------------------------------------------------------------


async def test_an_id_is_stored_before_anybody_can_send_with_it(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await claim_one(books)
    row = await books.message(claim.message_id)
    assert (row.state, row.wa_id, row.sender_id) == ("sending", claim.wa_id, claim.sender_id)
    assert row.attempts == claim.attempts == 1
    await books.check()


async def test_a_lane_takes_no_second_message_before_its_first_is_settled(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(3)
    await claim_one(books)
    assert (await books.turn()).claims == []


async def test_messages_leave_in_the_order_of_the_request(open_books: OpenBooks) -> None:
    books = await open_books()
    phones = recipient_numbers(5)[::-1]
    await books.submit(phones)
    assert [claim.phone for claim in await send_all(books, 5)] == phones


async def test_two_replicas_never_claim_the_same_message_or_lane(open_books: OpenBooks) -> None:
    books = await open_books(4)
    for _ in range(3):
        await books.submit(10, rotation="fastest")
        await books.submit(10)
    claims: list[Claim] = []
    for _ in range(20):
        turns = await asyncio.gather(books.turn(), books.turn(by=OTHER))
        lanes = [claim.sender_id for turn in turns for claim in turn.claims]
        assert len(lanes) == len(set(lanes)) <= 4
        for turn, replica in zip(turns, (books.replica, OTHER), strict=True):
            claims += turn.claims
            outcomes = [(claim, books.outcome(Result.SENT)) for claim in turn.claims]
            await books.turn(outcomes, by=replica, claiming=False)
        await books.rest(0.5)
    assert len(claims) == len({claim.message_id for claim in claims}) == 60
    await books.check()


async def test_lanes_that_choose_again_do_not_take_what_was_taken_in_the_same_turn(open_books: OpenBooks) -> None:
    books = await open_books(2)
    await books.submit(1, senders=[1], priority="urgent")
    await books.settle(await claim_one(books), Result.RETRY, wait_seconds=100.0)
    await books.rest(1.0)
    await books.submit(4, rotation="fastest")
    claims = (await books.turn()).claims
    assert len({claim.message_id for claim in claims}) == len(claims) == 2


async def test_with_a_switch_delay_the_fastest_rotation_still_takes_whoever_is_free(open_books: OpenBooks) -> None:
    books = await open_books(2, message_delay=1.0, switch_delay=4.0)
    campaign_id = await books.submit(3, rotation="fastest")
    first = await claim_one(books)
    await books.settle(first, Result.SENT)
    await books.rest(1.0)
    again = await claim_one(books)  # a new sender would have to wait three seconds longer
    assert again.sender_id == first.sender_id
    await books.settle(again, Result.SENT)
    assert campaign_id == again.campaign_id


async def test_a_paused_campaign_is_not_claimed_and_a_resumed_one_is(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    await books.steering.pause(campaign_id, None)
    assert (await books.turn()).claims == []
    await books.steering.resume(campaign_id, None)
    await claim_one(books)


async def test_a_lane_waits_for_the_delay_after_its_last_answer(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    first = await claim_one(books)
    await books.rest(3.0)
    answered_at = books.clock.now()
    await books.settle(first, Result.SENT)
    await books.rest(9.7)
    assert (await books.turn()).claims == []
    await books.rest(0.1)
    assert (await claim_one(books)).fire_at == pytest.approx(answered_at + 10.0)


async def test_an_answer_that_is_settled_late_counts_from_when_it_came(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    claim = await claim_one(books)
    answered_at = books.clock.now()
    outcome = books.outcome(Result.SENT)
    await books.rest(4.0)
    await books.turn([(claim, outcome)], claiming=False)
    assert (await books.lane()).last_answer_at == pytest.approx(answered_at)


# --- leases and fences ------------------------------------------------------------------------------------------


async def test_an_expired_lease_is_taken_over_and_reconciled(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await claim_one(books)
    await books.rest(4.9)
    assert (await books.turn(by=OTHER)).claims == []
    await books.rest(0.2)
    (taken,) = (await books.turn(by=OTHER)).claims
    assert (taken.task, taken.message_id, taken.wa_id) == (Task.RECONCILE, claim.message_id, claim.wa_id)
    assert taken.epoch == claim.epoch + 1


async def test_a_renewed_lease_is_not_taken_over(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await claim_one(books)
    await books.rest(4.0)
    await books.turn(renewals=[claim])
    await books.rest(4.0)
    assert (await books.turn(by=OTHER)).claims == []


@pytest.mark.parametrize("result", list(Result))
async def test_who_has_lost_the_lease_changes_nothing(open_books: OpenBooks, result: Result) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await claim_one(books)
    await books.rest(6.0)
    (taken,) = (await books.turn(by=OTHER)).claims
    before = (await books.lane(), await books.message(claim.message_id), await books.campaign(campaign_id))
    turn = await books.settle(claim, result)
    assert turn.lost == [claim]
    assert before == (await books.lane(), await books.message(claim.message_id), await books.campaign(campaign_id))
    await books.turn([(taken, books.outcome(Result.SENT))], by=OTHER, claiming=False)
    await books.check()


async def test_a_settlement_that_is_repeated_changes_nothing(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(3)
    claim = await claim_one(books)
    await books.settle(claim, Result.SENT)
    before = (await books.lane(), await books.campaign(campaign_id))
    assert (await books.settle(claim, Result.SENT)).lost == [claim]
    assert before == (await books.lane(), await books.campaign(campaign_id))


async def test_a_lane_that_lost_two_replicas_in_a_row_does_not_stop_its_campaign(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=1.0)
    campaign_id = await books.submit(3)
    await claim_one(books)
    for replica in ("two", "three", "four"):
        await books.rest(6.0)
        await books.turn(by=QueueSettings(replica=replica))
        assert (await books.campaign(campaign_id)).in_flight >= 0
        await books.check()


# --- every way a claim can end ----------------------------------------------------------------------------------

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
    claim = await claim_one(books)
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
    claim = await claim_one(books)
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
    first = await claim_one(books)
    await books.settle(first, Result.UNCERTAIN, wait_seconds=1.0)
    await books.rest(1.0)
    look = await claim_one(books)
    assert look.task is Task.RECONCILE
    await books.settle(look, Result.ABSENT)
    again = await claim_one(books)
    assert (again.task, again.wa_id, again.attempts) == (Task.SEND, first.wa_id, 2)


async def test_a_retry_waits_for_its_time_and_others_go_first(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    first = await claim_one(books)
    await books.settle(first, Result.RETRY, wait_seconds=30.0)
    second = await claim_one(books)
    assert second.message_id != first.message_id
    await books.settle(second, Result.SENT)
    await books.rest(29.0)
    assert (await books.turn()).claims == []
    await books.rest(2.0)
    assert (await claim_one(books)).message_id == first.message_id


async def test_a_lane_waits_for_its_uncertain_message(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(3)
    claim = await claim_one(books)
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=50.0)
    for _ in range(7):
        await books.rest(7.0)
        assert (await books.turn()).claims == []
    await books.rest(1.0)
    assert (await claim_one(books)).task is Task.RECONCILE


async def test_the_share_of_an_uncertain_lane_goes_to_the_others(open_books: OpenBooks) -> None:
    books = await open_books(2)
    campaign_id = await books.submit(8)
    first, second = (await books.turn()).claims
    await books.turn([(first, books.outcome(Result.UNCERTAIN, wait_seconds=1000.0))])
    await books.settle(second, Result.SENT)
    sent = await send_all(books, 6)
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
    turn = await books.settle(await claim_one(books), result)
    assert turn.finished == [(campaign_id, state)]
    row = await books.campaign(campaign_id)
    assert (row.state, row.finished_at) == (state, books.clock.now())


async def test_a_paused_campaign_whose_last_message_was_in_flight_ends(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    claim = await claim_one(books)
    await books.steering.pause(campaign_id, None)
    await books.settle(claim, Result.SENT)
    assert (await books.campaign(campaign_id)).state == "completed"


# --- receipts and the queue -------------------------------------------------------------------------------------


async def test_a_receipt_that_comes_before_the_answer_is_kept(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    claim = await claim_one(books)
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
    claim = await claim_one(books)
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=5.0)
    await books.receipts({claim.wa_id: 2})
    await books.check()
    await books.rest(5.0)
    assert (await books.turn()).finished == [(campaign_id, "completed")]


async def test_the_next_message_keeps_its_distance_from_one_that_a_receipt_has_settled(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    claim = await claim_one(books)
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=30.0)
    await books.rest(29.0)
    await books.receipts({claim.wa_id: 2})
    heard_at = books.clock.now()
    await books.rest(1.0)
    await books.turn()
    await books.rest(9.0)
    assert (await claim_one(books)).fire_at == pytest.approx(heard_at + 10.0)


# --- rotation ---------------------------------------------------------------------------------------------------


async def test_senders_are_served_strictly_in_turn_behind_a_gate(open_books: OpenBooks) -> None:
    books = await open_books(3, switch_delay=1.0)
    await books.submit(7)
    order = [claim.sender_id for claim in await send_all(books, 7)]
    ids = [books.sender_id(index) for index in range(3)]
    assert order == [ids[index % 3] for index in range(7)]


async def test_without_a_gate_everybody_gets_the_same_share(open_books: OpenBooks) -> None:
    books = await open_books(3)
    await books.submit(20)
    order = [claim.sender_id for claim in await send_all(books, 20)]
    assert sorted(order.count(books.sender_id(index)) for index in range(3)) == [6, 7, 7]


@pytest.mark.parametrize("switch_delay", [0.0, 1.0])
async def test_a_fallen_sender_is_stepped_over_and_its_share_goes_to_the_others(
    open_books: OpenBooks, switch_delay: float
) -> None:
    books = await open_books(3, switch_delay=switch_delay)
    await books.submit(7)
    first = (await books.turn()).claims
    await books.turn([(claim, books.outcome(Result.SENT)) for claim in first], claiming=False)
    await books.fall(1)
    order = [claim.sender_id for claim in await send_all(books, 7 - len(first))]
    assert books.sender_id(1) not in order
    assert abs(order.count(books.sender_id(0)) - order.count(books.sender_id(2))) <= 1


async def test_without_failover_everybody_waits_for_a_fallen_sender(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=1.0)
    await books.submit(4, failover=False)
    await send_all(books, 1)
    await books.fall(1)
    await books.rest(60.0)
    assert (await books.turn()).claims == []
    await books.fall(1, up=True)
    order = [claim.sender_id for claim in await send_all(books, 3)]
    assert order == [books.sender_id(1), books.sender_id(0), books.sender_id(1)]


@pytest.mark.parametrize("switch_delay", [0.0, 1.0])
async def test_without_failover_a_sender_that_was_not_ready_keeps_its_turn(
    open_books: OpenBooks, switch_delay: float
) -> None:
    books = await open_books(3, switch_delay=switch_delay)
    await books.submit(12, failover=False)
    sent: list[int] = []
    refusals = 3
    for _ in range(100):
        for claim in (await books.turn()).claims:
            if claim.sender_id == books.sender_id(1) and refusals:
                refusals -= 1
                await books.settle(claim, Result.LATER, wait_seconds=1.0, code="session_not_connected")
            else:
                sent.append(claim.sender_id)
                await books.settle(claim, Result.SENT)
        await books.rest(0.25)
    assert [sent.count(books.sender_id(index)) for index in range(3)] == [4, 4, 4]


async def test_a_turn_that_was_taken_back_is_not_lost(open_books: OpenBooks) -> None:
    books = await open_books(3, switch_delay=1.0)
    await books.submit(3)
    claim = await claim_one(books)
    await books.settle(claim, Result.RELEASED)
    await books.rest(1.0)
    again = await claim_one(books)
    assert (again.sender_id, again.message_id) == (claim.sender_id, claim.message_id)


async def test_the_higher_priority_goes_first_and_equals_take_turns(open_books: OpenBooks) -> None:
    books = await open_books()
    names = {}
    for name, priority in (("low", "low"), ("a", "normal"), ("b", "normal"), ("urgent", "urgent")):
        names[await books.submit(2, priority=priority)] = name
    order = [names[claim.campaign_id] for claim in await send_all(books, 8)]
    assert order[:2] == ["urgent", "urgent"]
    assert order[2:6] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])
    assert order[6:] == ["low", "low"]


async def test_a_campaign_that_waits_for_its_own_gate_yields_the_slot(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=100.0)
    gated = await books.submit(4, priority="urgent")
    assert (await claim_one(books)).campaign_id == gated
    plain = await books.submit(3, senders=[1], priority="low")
    assert (await claim_one(books)).campaign_id == plain


# --- delays -----------------------------------------------------------------------------------------------------


async def test_a_shorter_delay_is_felt_by_a_lane_that_waits_already(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=3600.0)
    await books.submit(2)
    await books.settle(await claim_one(books), Result.SENT)
    answered_at = books.clock.now()
    await books.rest(5.0)
    await books.delays.set(6.0, None)
    turn = await books.turn()
    assert turn.claims or turn.look_again_at == pytest.approx(answered_at + 6.0)
    await books.rest(0.9)
    assert (await claim_one(books)).fire_at == pytest.approx(answered_at + 6.0)


async def test_a_lane_that_is_freed_while_the_delay_changes_feels_it_in_the_next_turn(open_books: OpenBooks) -> None:
    """On PostgreSQL a turn can read the delays, and free a lane after they have been changed and told to all others."""
    books = await open_books(message_delay=3600.0)
    if books.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    await books.submit(2)
    claim = await claim_one(books)
    async with books.db.write() as tx:
        outcomes = [(claim, books.outcome(Result.SENT))]
        turn = await take_turn(tx, books.replica, outcomes, [], books.clock, claiming=False)
        await books.delays.set(6.0, None)
    answered_at = (await books.lane()).last_answer_at
    assert (await books.lane()).due_at == pytest.approx(answered_at + 3600.0)
    await books.turn(delays_before=turn.delays)
    assert (await books.lane()).due_at == pytest.approx(answered_at + 6.0)


async def test_a_longer_delay_is_felt_by_a_lane_that_waits_already(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=5.0)
    await books.submit(2)
    await books.settle(await claim_one(books), Result.SENT)
    await books.rest(4.0)
    await books.delays.set(20.0, None)
    await books.rest(15.5)
    assert (await books.turn()).claims == []
    await books.rest(0.5)
    await claim_one(books)


async def test_a_sender_can_have_a_delay_of_its_own_and_lose_it_again(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(3)
    await books.delays.set_for(books.senders[0], 2.0)
    await books.settle(await claim_one(books), Result.SENT)
    await books.rest(2.0)
    await books.settle(await claim_one(books), Result.SENT)
    await books.delays.set_for(books.senders[0], None)
    await books.rest(9.0)
    assert (await books.turn()).claims == []
    await books.rest(1.0)
    await claim_one(books)


async def test_jitter_only_lengthens(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=2.0)
    books.replica = replace(books.replica, jitter=3.0)
    await books.submit(30)
    claim = await claim_one(books)
    extras = []
    for _ in range(20):
        await books.settle(claim, Result.SENT)
        answered_at = books.clock.now()
        await books.rest(5.0)
        claim = await claim_one(books)
        extras.append((await books.lane()).extra_delay)
        assert 0.0 <= extras[-1] <= 3.0
        assert claim.fire_at >= answered_at + 2.0 + extras[-1] - 1e-6
    assert max(extras) - min(extras) > 1.0


# --- races on PostgreSQL ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [Result.RETRY, Result.LATER, Result.RELEASED, Result.ABSENT])
async def test_a_message_that_comes_back_while_its_campaign_is_being_cancelled_is_cancelled(
    open_books: OpenBooks, result: Result
) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await claim_one(books)
    await asyncio.gather(books.steering.cancel(campaign_id, None), books.settle(claim, result))
    assert {row.state for row in await books.messages(campaign_id)} == {"cancelled"}
    await books.check()


@pytest.mark.postgres
async def test_settling_waits_for_a_cancel_that_is_under_way(postgres_url: str) -> None:
    books = Books(postgres_url)
    await books.open(1)
    campaign_id = await books.submit(1)
    claim = await claim_one(books)
    async with books.db.write() as tx:
        await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(state=CampaignState.CANCELLED))
        settling = asyncio.create_task(books.settle(claim, Result.RETRY))
        for _ in range(200):
            await asyncio.sleep(0)
    await settling
    assert (await books.message(claim.message_id)).state == "cancelled"
    await books.db.close()


# --- the words of the tables ------------------------------------------------------------------------------------


def test_every_state_has_its_transitions() -> None:
    assert set(MESSAGE_TRANSITIONS) == set(MessageState)


async def test_a_key_gives_the_same_answer_and_no_second_campaign(open_books: OpenBooks) -> None:
    books = await open_books()
    service = books.campaigns
    request = books.request(3)
    answers = await asyncio.gather(*(service.submit(OPEN_CALLER, request, "key") for _ in range(5)))
    assert len({answer["campaign"]["id"] for answer in answers}) == 1
    assert len(await books.messages(answers[0]["campaign"]["id"])) == 3
    assert len(await send_all(books, 3)) == 3


@pytest.mark.postgres
async def test_a_lane_that_was_found_idle_while_it_was_given_work_is_looked_at_again(open_books: OpenBooks) -> None:
    books = await open_books()
    if books.db.is_sqlite:
        pytest.skip("there is one writer")
    waiting = await books.submit(recipient_numbers(1, first=100))
    await books.steering.pause(waiting, None)
    await books.submit(1)
    claim = await claim_one(books)
    async with books.db.write() as tx:
        await take_turn(tx, books.replica, [(claim, books.outcome(Result.SENT))], [], books.clock)
        await books.steering.resume(waiting, None)  # neither transaction sees what the other does
    assert (await claim_one(books)).campaign_id == waiting


@pytest.mark.parametrize("receipt_first", [True, False])
async def test_what_only_a_receipt_tells_counts_against_the_caps_too(
    open_books: OpenBooks, *, receipt_first: bool
) -> None:
    books = await open_books()
    await books.submit(1)
    claim = await claim_one(books)
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


# --- what a turn leaves behind ------------------------------------------------------------------------------------


async def test_turns_leave_nothing_that_only_the_garbage_collector_can_find(open_books: OpenBooks) -> None:
    books = await open_books(4)
    await books.submit(8)
    await send_all(books, 8)  # what is made once is made now
    await books.submit(20, rotation="fastest")
    await books.submit(20)
    gc.collect()
    gc.disable()
    try:
        await send_all(books, 40)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        circles = {type(item).__qualname__ for item in gc.garbage if type(item).__module__.startswith("campaigns.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert circles == set()

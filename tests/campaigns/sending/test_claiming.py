"""Claiming, one turn at a time: who takes what, in which order, and whose it is."""

import asyncio

import pytest
from sqlalchemy import update

from campaigns.sending.flights import Flights
from campaigns.sending.models import IDLE
from campaigns.sending.outcomes import Claim, QueueSettings, Result, Task, TurnRequest
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import lane
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time

OTHER = QueueSettings(replica="two")


# --- claiming -----------------------------------------------------------------------------------------------------


async def test_an_id_is_stored_before_anybody_can_send_with_it(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await books.claim_one()
    row = await books.message(claim.message_id)
    assert (row.state, row.wa_id, row.sender_id) == ("sending", claim.wa_id, claim.sender_id)
    assert row.attempts == claim.attempts == 1
    await books.check()


async def test_a_lane_takes_no_second_message_before_its_first_is_settled(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(3)
    await books.claim_one()
    assert (await books.turn()).claims == []


async def test_messages_leave_in_the_order_of_the_request(open_books: OpenBooks) -> None:
    books = await open_books()
    phones = recipient_numbers(5)[::-1]
    await books.submit(phones)
    assert [claim.phone for claim in await books.send_all(5)] == phones


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
    await books.settle(await books.claim_one(), Result.RETRY, wait_seconds=100.0)
    await books.rest(1.0)
    await books.submit(4, rotation="fastest")
    claims = (await books.turn()).claims
    assert len({claim.message_id for claim in claims}) == len(claims) == 2


async def test_with_a_switch_delay_the_fastest_rotation_still_takes_whoever_is_free(open_books: OpenBooks) -> None:
    books = await open_books(2, message_delay=1.0, switch_delay=4.0)
    campaign_id = await books.submit(3, rotation="fastest")
    first = await books.claim_one()
    await books.settle(first, Result.SENT)
    await books.rest(1.0)
    again = await books.claim_one()  # a new sender would have to wait three seconds longer
    assert again.sender_id == first.sender_id
    await books.settle(again, Result.SENT)
    assert campaign_id == again.campaign_id


async def test_a_paused_campaign_is_not_claimed_and_a_resumed_one_is(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1)
    await books.steering.pause(campaign_id, None)
    assert (await books.turn()).claims == []
    await books.steering.resume(campaign_id, None)
    await books.claim_one()


async def test_a_lane_waits_for_the_delay_after_its_last_answer(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    first = await books.claim_one()
    await books.rest(3.0)
    answered_at = books.clock.now()
    await books.settle(first, Result.SENT)
    await books.rest(9.7)
    assert (await books.turn()).claims == []
    await books.rest(0.1)
    assert (await books.claim_one()).fire_at == pytest.approx(answered_at + 10.0, abs=0.001)


async def test_an_answer_that_is_settled_late_counts_from_when_it_came(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(2)
    claim = await books.claim_one()
    answered_at = books.clock.now()
    outcome = books.outcome(Result.SENT)
    await books.rest(4.0)
    await books.turn([(claim, outcome)], claiming=False)
    assert (await books.lane()).last_answer_at == pytest.approx(answered_at, abs=0.001)


# --- leases and fences --------------------------------------------------------------------------------------------


async def test_an_expired_lease_is_taken_over_and_reconciled(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await books.claim_one()
    await books.rest(4.9)
    assert (await books.turn(by=OTHER)).claims == []
    await books.rest(0.2)
    (taken,) = (await books.turn(by=OTHER)).claims
    assert (taken.task, taken.message_id, taken.wa_id) == (Task.RECONCILE, claim.message_id, claim.wa_id)
    assert taken.epoch == claim.epoch + 1


async def test_a_renewed_lease_is_not_taken_over(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await books.claim_one()
    await books.rest(4.0)
    assert (await books.turn(renewals=[claim])).renewed == {claim.sender_id}
    await books.rest(4.0)
    assert (await books.turn(by=OTHER)).claims == []


async def test_the_first_turn_of_a_process_finds_lanes_that_the_one_before_it_left_idle(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    async with books.db.write() as tx:
        await tx.execute(update(lane).values(due_at=IDLE))
        turn = await take_turn(tx, books.replica, TurnRequest(looking_for_fallen=True, first=True), books.clock)
    assert len(turn.claims) == 1


async def test_who_has_lost_the_lease_cannot_renew_it(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(2)
    claim = await books.claim_one()
    await books.rest(6.0)
    (taken,) = (await books.turn(by=OTHER)).claims
    assert (await books.turn(renewals=[claim])).renewed == set()
    assert (await books.lane()).epoch == taken.epoch


async def test_a_lease_that_could_not_be_renewed_is_none_any_more(open_books: OpenBooks) -> None:
    """The database says that the lane is another's, however fresh the lease looks from here."""
    books = await open_books(2)
    await books.submit(2)
    flights = Flights(5.0, give_up_seconds=60.0)
    kept, lost = [flights.begin(claim, 0.0, 0.0) for claim in (await books.turn()).claims]
    flights.renewed([kept, lost], 2.0, {kept.claim.sender_id})
    assert (flights.holds(kept, 4.0), flights.holds(lost, 2.1)) == (True, False)
    assert flights.to_renew(4.0) == [kept]


@pytest.mark.parametrize("result", list(Result))
async def test_who_has_lost_the_lease_changes_nothing(open_books: OpenBooks, result: Result) -> None:
    books = await open_books()
    campaign_id = await books.submit(2)
    claim = await books.claim_one()
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
    claim = await books.claim_one()
    await books.settle(claim, Result.SENT)
    before = (await books.lane(), await books.campaign(campaign_id))
    assert (await books.settle(claim, Result.SENT)).lost == [claim]
    assert before == (await books.lane(), await books.campaign(campaign_id))


async def test_a_lane_that_lost_two_replicas_in_a_row_does_not_stop_its_campaign(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=1.0)
    campaign_id = await books.submit(3)
    await books.claim_one()
    for replica in ("two", "three", "four"):
        await books.rest(6.0)
        await books.turn(by=QueueSettings(replica=replica))
        assert (await books.campaign(campaign_id)).in_flight >= 0
        await books.check()


# --- races on PostgreSQL ------------------------------------------------------------------------------------------


@pytest.mark.postgres
async def test_a_lane_that_was_found_idle_while_it_was_given_work_is_looked_at_again(open_books: OpenBooks) -> None:
    books = await open_books()
    if books.db.is_sqlite:
        pytest.skip("there is one writer")
    waiting = await books.submit(recipient_numbers(1, first=100))
    await books.steering.pause(waiting, None)
    await books.submit(1)
    claim = await books.claim_one()
    async with books.db.write() as tx:
        await take_turn(tx, books.replica, TurnRequest([(claim, books.outcome(Result.SENT))]), books.clock)
        await books.steering.resume(waiting, None)  # neither transaction sees what the other does
    assert (await books.claim_one()).campaign_id == waiting

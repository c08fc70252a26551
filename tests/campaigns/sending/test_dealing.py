"""Dealing messages to senders, one turn at a time: whose turn it is, and which campaign a lane serves."""

import pytest

from campaigns.sending.claim_statements import NEXT
from campaigns.sending.outcomes import Result
from tests.campaigns.sending.conftest import OpenBooks

pytestmark = pytest.mark.virtual_time


async def test_senders_are_served_strictly_in_turn_behind_a_gate(open_books: OpenBooks) -> None:
    books = await open_books(3, switch_delay=1.0)
    await books.submit(7)
    order = [claim.sender_id for claim in await books.send_all(7)]
    ids = [books.sender_id(index) for index in range(3)]
    assert order == [ids[index % 3] for index in range(7)]


async def test_without_a_gate_everybody_gets_the_same_share(open_books: OpenBooks) -> None:
    books = await open_books(3)
    await books.submit(20)
    order = [claim.sender_id for claim in await books.send_all(20)]
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
    order = [claim.sender_id for claim in await books.send_all(7 - len(first))]
    assert books.sender_id(1) not in order
    assert abs(order.count(books.sender_id(0)) - order.count(books.sender_id(2))) <= 1


async def test_more_fallen_senders_in_a_row_than_are_woken_cost_no_time(open_books: OpenBooks) -> None:
    books = await open_books(4 * NEXT, switch_delay=0.2)
    able = (0, 2 * NEXT)
    for index in set(range(4 * NEXT)) - set(able):
        await books.fall(index)
    await books.submit(20)
    sent = await books.send_all(20)
    assert [claim.sender_id for claim in sent] == [books.sender_id(index) for index in able] * 10
    assert sent[-1].fire_at - sent[0].fire_at < 19 * 0.5


@pytest.mark.parametrize("result", [Result.LATER, Result.RELEASED])
async def test_what_was_not_handed_over_costs_the_next_sender_no_switch_delay(
    open_books: OpenBooks, result: Result
) -> None:
    books = await open_books(2, switch_delay=3600.0)
    await books.submit(1)
    claim = await books.claim_one()
    await books.rest(1.0)
    assert (await books.turn()).claims == []
    await books.fall(0)
    await books.settle(claim, result, code="session_not_connected", wait_seconds=1.0)
    [after] = await books.send_all(1, seconds=5.0)
    assert after.sender_id == books.sender_id(1)


@pytest.mark.parametrize("told_by", ["receipt", "look-up"])
async def test_a_message_that_was_found_late_does_not_shorten_the_way_from_a_later_one(
    open_books: OpenBooks, told_by: str
) -> None:
    """It may have left before the other sender's: then its own sender is another one than the last."""
    books = await open_books(2, message_delay=3.0, switch_delay=10.0)
    await books.submit(4)
    first = await books.claim_one()
    await books.settle(first, Result.UNCERTAIN, wait_seconds=11.5)
    await books.rest(10.0)
    second = await books.claim_one()
    await books.settle(second, Result.SENT)
    answered_at = books.clock.now()
    await books.rest(2.0)
    look_up = await books.claim_one()
    assert look_up.message_id == first.message_id
    if told_by == "look-up":
        await books.settle(look_up, Result.SENT)
    else:
        await books.settle(look_up, Result.ABSENT)
        assert await books.hear(first.number, {first.wa_id: 2})
    [third, _] = await books.send_all(2)
    assert third.fire_at - answered_at >= 10.0 - 1e-6


async def test_the_last_message_that_comes_back_is_taken_by_whoever_is_able(open_books: OpenBooks) -> None:
    """While it was away the campaign had nothing left, and its lanes were idle."""
    books = await open_books(3 * NEXT, switch_delay=0.2)
    await books.submit(1)
    claim = await books.claim_one()
    await books.rest(1.0)
    assert (await books.turn()).claims == []
    for index in range(2 * NEXT):
        await books.fall(index)
    await books.settle(claim, Result.RETRY, wait_seconds=0.1)
    [after] = await books.send_all(1, seconds=5.0)
    assert (after.message_id, after.sender_id) == (claim.message_id, books.sender_id(2 * NEXT))


async def test_behind_a_gate_only_those_are_looked_at_whose_turn_is_next(open_books: OpenBooks) -> None:
    books = await open_books(3 * NEXT, switch_delay=0.1)
    await books.submit(4 * NEXT)
    first = await books.claim_one()
    await books.settle(first, Result.SENT)
    now = books.clock.now()
    due = [(await books.lane(index)).due_at - now for index in range(3 * NEXT)]
    assert due[1 : NEXT + 1] == pytest.approx([0.1] * NEXT)
    assert due[NEXT + 1 :] == pytest.approx([books.replica.poll_seconds] * (2 * NEXT - 1))


async def test_the_fastest_rotation_has_everybody_looked_at_when_its_gate_opens(open_books: OpenBooks) -> None:
    books = await open_books(3 * NEXT, switch_delay=0.1)
    await books.submit(4 * NEXT, rotation="fastest")
    await books.settle(await books.claim_one(), Result.SENT)
    due = [(await books.lane(index)).due_at - books.clock.now() for index in range(3 * NEXT)]
    assert max(due) <= 0.1 + 1e-6


async def test_without_failover_everybody_waits_for_a_fallen_sender(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=1.0)
    await books.submit(4, failover=False)
    await books.send_all(1)
    await books.fall(1)
    await books.rest(60.0)
    assert (await books.turn()).claims == []
    await books.fall(1, up=True)
    order = [claim.sender_id for claim in await books.send_all(3)]
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
    claim = await books.claim_one()
    await books.settle(claim, Result.RELEASED)
    await books.rest(1.0)
    again = await books.claim_one()
    assert (again.sender_id, again.message_id) == (claim.sender_id, claim.message_id)


async def test_the_higher_priority_goes_first_and_equals_take_turns(open_books: OpenBooks) -> None:
    books = await open_books()
    names = {}
    for name, priority in (("low", "low"), ("a", "normal"), ("b", "normal"), ("urgent", "urgent")):
        names[await books.submit(2, priority=priority)] = name
    order = [names[claim.campaign_id] for claim in await books.send_all(8)]
    assert order[:2] == ["urgent", "urgent"]
    assert order[2:6] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])
    assert order[6:] == ["low", "low"]


async def test_a_campaign_that_waits_for_its_own_gate_yields_the_slot(open_books: OpenBooks) -> None:
    books = await open_books(2, switch_delay=100.0)
    gated = await books.submit(4, priority="urgent")
    assert (await books.claim_one()).campaign_id == gated
    plain = await books.submit(3, senders=[1], priority="low")
    assert (await books.claim_one()).campaign_id == plain

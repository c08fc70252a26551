"""The delays of lanes, one turn at a time: changed, of a sender's own, and lengthened by chance."""

from dataclasses import replace

import pytest

from campaigns.sending.outcomes import Result, TurnRequest
from campaigns.sending.queue import take_turn
from tests.campaigns.sending.conftest import OpenBooks

pytestmark = pytest.mark.virtual_time


async def test_a_shorter_delay_is_felt_by_a_lane_that_waits_already(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=3600.0)
    await books.submit(2)
    await books.settle(await books.claim_one(), Result.SENT)
    answered_at = books.clock.now()
    await books.rest(5.0)
    await books.delays.set(6.0, None)
    turn = await books.turn()
    assert turn.claims == []
    assert turn.look_again_at == pytest.approx(answered_at + 6.0 - books.replica.ahead_seconds, abs=0.001)
    await books.rest(0.9)
    assert (await books.claim_one()).fire_at == pytest.approx(answered_at + 6.0, abs=0.001)


async def test_a_lane_that_is_freed_while_the_delay_changes_feels_it_in_the_next_turn(open_books: OpenBooks) -> None:
    """On PostgreSQL a turn can read the delays, and free a lane after they have been changed and told to all others."""
    books = await open_books(message_delay=3600.0)
    if books.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    await books.submit(2)
    claim = await books.claim_one()
    async with books.db.write() as tx:
        asked = TurnRequest([(claim, books.outcome(Result.SENT))], claiming=False)
        turn = await take_turn(tx, books.replica, asked, books.clock)
        await books.delays.set(6.0, None)
    answered_at = (await books.lane()).last_answer_at
    assert (await books.lane()).due_at == pytest.approx(answered_at + 3600.0, abs=0.001)
    await books.turn(delays_before=turn.delays)
    assert (await books.lane()).due_at == pytest.approx(answered_at + 6.0, abs=0.001)


async def test_a_longer_delay_is_felt_by_a_lane_that_waits_already(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=5.0)
    await books.submit(2)
    await books.settle(await books.claim_one(), Result.SENT)
    await books.rest(4.0)
    await books.delays.set(20.0, None)
    await books.rest(15.5)
    assert (await books.turn()).claims == []
    await books.rest(0.5)
    await books.claim_one()


async def test_a_sender_can_have_a_delay_of_its_own_and_lose_it_again(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=10.0)
    await books.submit(3)
    await books.delays.set_for(books.senders[0], 2.0)
    await books.settle(await books.claim_one(), Result.SENT)
    await books.rest(2.0)
    await books.settle(await books.claim_one(), Result.SENT)
    await books.delays.set_for(books.senders[0], None)
    await books.rest(9.0)
    assert (await books.turn()).claims == []
    await books.rest(1.0)
    await books.claim_one()


async def test_jitter_only_lengthens(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=2.0)
    books.replica = replace(books.replica, jitter=3.0)
    await books.submit(30)
    claim = await books.claim_one()
    extras = []
    for _ in range(20):
        await books.settle(claim, Result.SENT)
        answered_at = books.clock.now()
        await books.rest(5.0)
        claim = await books.claim_one()
        extras.append((await books.lane()).extra_delay)
        assert 0.0 <= extras[-1] <= 3.0
        assert claim.fire_at >= answered_at + 2.0 + extras[-1] - 1e-6
    assert max(extras) - min(extras) > 1.0

"""The database's clock is set back: what is stored of a time to come does not hold a lane up until then."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from campaigns.sending.lanes import forget_the_future
from campaigns.sending.outcomes import Result, TurnRequest
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import lane
from tests.campaigns.sending.conftest import OpenBooks

pytestmark = pytest.mark.virtual_time


async def test_a_rest_that_began_while_the_clock_was_ahead_is_over_when_it_is_set_back(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.LATER, code="server_down", wait_seconds=3600.0)
    async with books.db.write() as tx:
        await forget_the_future(tx, books.clock.now(), 5.0)
    assert len((await books.turn()).claims) == 1


async def test_what_caps_count_of_a_time_to_come_is_of_now_when_the_clock_is_set_back(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    later = books.clock.now() + 400 * 86_400.0
    capped = {"resting_code": "daily_cap", "resting_until": later, "due_at": later}
    counted = {"sent_today": 7, "day_ends_at": later, "slice_at": later, "slice_sent": 7}
    async with books.db.write() as tx:
        await tx.execute(update(lane).values(**capped, **counted))
        await forget_the_future(tx, books.clock.now(), 5.0)
    row = await books.lane()
    assert row.slice_at == row.day_ends_at == row.resting_until == books.clock.now()
    assert row.slice_sent == 7
    assert len((await books.turn()).claims) == 1


async def test_what_left_in_the_hour_before_counts_for_an_hour_after_it(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(5)
    books.replica = replace(books.replica, hourly_cap=3)
    books.clock.ahead += 400 * 86_400.0
    for _ in range(3):
        await books.settle(await books.claim_one(), Result.SENT)
        await books.rest(400.0)
    books.clock.ahead -= 400 * 86_400.0
    async with books.db.write() as tx:
        await take_turn(tx, books.replica, TurnRequest(mending_times=True), books.clock)
    assert (await books.turn()).claims == []
    row = await books.lane()
    assert row.resting_code == "hourly_cap"
    assert row.resting_until <= books.clock.now() + 3900.0
    await books.rest(3901.0)
    assert len((await books.turn()).claims) == 1


async def test_lanes_that_have_sent_nothing_yet_are_looked_at_when_the_clock_is_set_back(
    open_books: OpenBooks,
) -> None:
    """They wait for their turn, and are to be looked at in a second: of the clock before."""
    books = await open_books(3, switch_delay=5.0)
    await books.submit(10)
    await books.settle(await books.claim_one(), Result.SENT)
    assert (await books.turn()).claims == []
    books.clock.ahead -= 3600.0
    async with books.db.write() as tx:
        await take_turn(tx, books.replica, TurnRequest(mending_times=True), books.clock)
    await books.send_all(9)
    await books.check()

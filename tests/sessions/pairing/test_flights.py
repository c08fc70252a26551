"""One flight for many callers, which none of them can end."""

import asyncio

import pytest

from gateway.errors import ServiceUnavailable
from gateway.waha.errors import WahaTimeout
from sessions.pairing.flights import Flights, StillUnderWay

pytestmark = pytest.mark.virtual_time


class Work:
    """Something that takes ten seconds, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.done = 0
        self._error = error

    async def __call__(self) -> int:
        self.begun += 1
        await asyncio.sleep(10.0)
        if self._error is not None:
            raise self._error
        self.done += 1
        return self.done


async def test_all_who_ask_meanwhile_get_the_same_answer() -> None:
    flights, work = Flights[int]("test"), Work()
    assert await asyncio.gather(*(flights.join("a", work, 60.0) for _ in range(20))) == [1] * 20
    assert await flights.join("a", work, 60.0) == 2
    assert work.begun == 2


async def test_who_asks_for_something_else_waits_for_nobody() -> None:
    flights, work = Flights[int]("test"), Work()
    await asyncio.gather(flights.join("a", work, 60.0), flights.join("b", work, 60.0))
    assert (work.begun, asyncio.get_running_loop().time()) == (2, 10.0)


async def test_it_goes_on_when_patience_is_over_and_the_next_one_joins_it() -> None:
    flights, work = Flights[int]("test"), Work()
    with pytest.raises(StillUnderWay):
        await flights.join("a", work, 4.0)
    assert await flights.join("a", work, 60.0) == 1
    assert work.begun == 1


async def test_a_caller_who_goes_away_ends_nothing() -> None:
    flights, work = Flights[int]("test"), Work()
    caller = asyncio.create_task(flights.join("a", work, 60.0))
    await asyncio.sleep(1.0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert await flights.join("a", work, 60.0) == 1


async def test_an_error_is_everybodys_and_the_next_one_tries_again() -> None:
    flights, work = Flights[int]("test"), Work(WahaTimeout("no answer"))
    results = await asyncio.gather(*(flights.join("a", work, 60.0) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [WahaTimeout] * 3
    assert await flights.join("a", Work(), 60.0) == 1


async def test_the_end_gives_what_is_under_way_some_seconds_and_lets_nothing_begin() -> None:
    flights, work, late = Flights[int]("test"), Work(), Work()
    short = asyncio.create_task(flights.join("a", work, 60.0))
    await asyncio.sleep(8.0)
    long = asyncio.create_task(flights.join("b", late, 60.0))
    await asyncio.sleep(0.0)
    await flights.stop(3.0)
    assert await short == 1
    with pytest.raises(ServiceUnavailable):
        await long
    assert (late.begun, late.done) == (1, 0)
    with pytest.raises(ServiceUnavailable):
        await flights.join("c", work, 1.0)

"""Requests stand in line for the database; what the gateway does by itself does not stand behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import turnstile
from gateway.turnstile import Line, Turnstile, standing


class Visit:
    """Somebody who is inside until they are let go."""

    def __init__(self, gate: Turnstile, line: Line | None, *, fails: bool = False) -> None:
        self.inside, self.go = asyncio.Event(), asyncio.Event()
        self._gate, self._fails = gate, fails
        if line is None:
            self.task = asyncio.create_task(self._come())
        else:
            with standing(line):
                self.task = asyncio.create_task(self._come())

    async def _come(self) -> None:
        async with self._gate.turn():
            self.inside.set()
            await self.go.wait()
            if self._fails:
                raise ConnectionError

    async def leave(self) -> None:
        """Let them go, and the others have their turns."""
        self.go.set()
        await asyncio.wait([self.task])
        await settle()


async def settle() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def visits(gate: Turnstile, *lines: Line | None, fails: bool = False) -> AsyncIterator[list[Visit]]:
    """Visits that have come; none is left behind."""
    come = [Visit(gate, line, fails=fails) for line in lines]
    await settle()
    yield come
    for one in come:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in come), return_exceptions=True)


def inside(come: list[Visit]) -> list[bool]:
    """Who is inside, or was."""
    return [one.inside.is_set() for one in come]


async def test_so_many_are_let_in_and_the_others_in_their_order() -> None:
    async with visits(Turnstile(looks=1, changes=2), *[Line.CHANGE] * 4) as come:
        assert inside(come) == [True, True, False, False]
        await come[1].leave()
        assert inside(come) == [True, True, True, False]
        await come[0].leave()
        assert all(inside(come))


async def test_who_looks_does_not_stand_behind_who_changes_and_the_gateway_behind_nobody() -> None:
    async with visits(Turnstile(looks=1, changes=1), Line.CHANGE, Line.CHANGE, Line.LOOK, Line.LOOK, None) as come:
        assert inside(come) == [True, False, True, False, True]


async def test_a_request_that_has_begun_goes_before_those_that_came_after_it() -> None:
    gate, order = Turnstile(looks=1, changes=1), list[str]()

    async def ask(name: str, times: int) -> None:
        for _ in range(times):
            async with gate.turn():
                order.append(name)
                await asyncio.sleep(0)

    tasks = []
    for name in ("first", "second", "third"):
        with standing(Line.CHANGE):
            tasks.append(asyncio.create_task(ask(name, 3)))
    await asyncio.gather(*tasks)
    assert len(order) == 9
    assert order.index("third") > max(place for place, name in enumerate(order) if name == "first")


async def test_who_gives_up_leaves_no_place_empty() -> None:
    async with visits(Turnstile(looks=1, changes=1), *[Line.CHANGE] * 3) as come:
        come[1].task.cancel()
        await asyncio.wait([come[1].task])
        await come[0].leave()
        assert come[2].inside.is_set()


async def test_a_place_that_comes_together_with_the_end_of_patience_is_given_on() -> None:
    async with visits(Turnstile(looks=1, changes=1), *[Line.CHANGE] * 3) as come:
        come[0].go.set()
        await asyncio.sleep(0)  # the second one has its turn, and has not woken up yet
        come[1].task.cancel()
        await settle()
        assert come[2].inside.is_set()


async def test_a_line_that_does_not_move_is_told_soon_and_one_that_moves_is_waited_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turnstile, "STANDSTILL_SECONDS", 0.05)
    async with visits(Turnstile(looks=1, changes=1), *[Line.CHANGE] * 2) as come:
        with pytest.raises(TimeoutError, match="too many requests"):
            await come[1].task
    monkeypatch.setattr(turnstile, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(turnstile, "STANDSTILL_SECONDS", 60.0)
    async with visits(Turnstile(looks=1, changes=1), *[Line.CHANGE] * 2) as come:
        with pytest.raises(TimeoutError):
            await come[1].task


async def test_those_who_found_no_database_have_not_moved_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "STANDSTILL_SECONDS", 0.05)
    async with visits(Turnstile(looks=1, changes=1), *[Line.CHANGE] * 3, fails=True) as come:
        await come[0].leave()
        with pytest.raises(TimeoutError):
            await come[2].task

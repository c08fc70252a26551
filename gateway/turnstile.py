"""The lines in front of the database's connections, for requests: so many are let in at once as there are places for.

What the gateway does by itself (claims, settlements, receipts) passes beside them, and who only looks does not stand
behind those who change something. So a crowd of requests waits for itself alone, and takes nothing from messages that
are under way. A request comes several times; then it goes before all that came after it, so that what has begun ends.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

LINE_SECONDS = 20.0
"""How long to stand in line at most: then somebody who waits for an answer had better come again."""
STANDSTILL_SECONDS = 2.0
"""How long to stand in a line that does not move: then it is the database that does not answer."""


class Line(StrEnum):
    """Which line a request stands in."""

    LOOK = "look"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A request, with its number in the order in which they came."""

    line: Line
    number: int


_numbers = count()
_visitor: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


@contextmanager
def standing(line: Line) -> Iterator[None]:
    """Have this task, and those it starts, stand in a line, in the place that it takes now."""
    token = _visitor.set(Visitor(line, next(_numbers)))
    try:
        yield
    finally:
        _visitor.reset(token)


class Turnstile:
    """Lets in so many of each line at once."""

    def __init__(self, *, looks: int, changes: int) -> None:
        self._gates = {Line.LOOK: _Gate(looks), Line.CHANGE: _Gate(changes)}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place, for the block; at once for whoever stands in no line.

        Raises:
            TimeoutError: the line was too long, or did not move.
        """
        visitor = _visitor.get()
        if visitor is None:
            yield
            return
        gate = self._gates[visitor.line]
        await gate.enter(visitor.number)
        try:
            yield
            gate.served += 1  # whoever found no database has not moved the line
        finally:
            gate.leave()


class _Gate:
    """The head of one line; `served` counts those that got what they came for."""

    def __init__(self, places: int) -> None:
        self.served = 0
        self._free = places
        self._line: list[tuple[int, int, asyncio.Future[None]]] = []

    async def enter(self, number: int) -> None:
        """Wait for a place; a lower number goes first. Raises `TimeoutError`."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (number, next(_numbers), turn))
        try:
            await self._wait(turn)
        except BaseException:
            if not turn.cancel():  # it came in this very moment
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next one."""
        while self._line:
            turn = heapq.heappop(self._line)[-1]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        now = asyncio.get_running_loop().time
        ends_at = now() + LINE_SECONDS
        while not turn.done():
            served = self.served
            await asyncio.wait([turn], timeout=min(STANDSTILL_SECONDS, ends_at - now()))
            if not turn.done() and (served == self.served or now() >= ends_at):
                raise TimeoutError("too many requests wait for the database")

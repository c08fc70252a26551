"""How many requests come in: counted by the second, over the last minute."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.clock import Clock
from gateway.turnstile import Line, standing

SECONDS = 60


class Traffic:
    """A ring of sixty counters, one for each second: to count a request costs a fraction of a microsecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts = [0] * SECONDS
        self._second = int(clock.monotonic())

    def note(self) -> None:
        """Count a request."""
        self._counts[self._turn()] += 1

    @property
    def per_minute(self) -> int:
        """How many came in the last sixty seconds."""
        self._turn()
        return sum(self._counts)

    def _turn(self) -> int:
        """The place of the present second; those of the seconds since the last call are empty again."""
        second = int(self._clock.monotonic())
        if second != self._second:
            for passed in range(min(second - self._second, SECONDS)):
                self._counts[(second - passed) % SECONDS] = 0
            self._second = second
        return second % SECONDS


class CountRequests:
    """ASGI middleware, outside of all that may refuse: counts every HTTP request, and has it stand in line.

    That is one of the lines in front of the database's connections (`turnstile.py`).
    """

    def __init__(self, app: ASGIApp, *, traffic: Traffic) -> None:
        self.app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self._traffic.note()
        with standing(Line.LOOK if scope["method"] in ("GET", "HEAD") else Line.CHANGE):
            return await self.app(scope, receive, send)

"""How an engine tries to reach WhatsApp, and what it says meanwhile."""

from collections.abc import Callable

from gateway.simulator.clock import SimClock
from gateway.simulator.engine import Engine
from gateway.simulator.stored import Status

RETRY_SECONDS = 2.0
STRIKES = 60
PAGE_SECONDS = 30.0


class Connector:
    """The three ways of coming back.

    GOWS (`backoff`) keeps quiet in STARTING and waits 2 s longer after each failure, without limit. NOWEB
    (`steady`) starts anew every 2 s, and says so each time; after 60 STARTINGs in a row it is FAILED and gives up.
    WEBJS (`reload`) is FAILED whenever its page has not loaded in 30 s, and starts anew 2 s later, for ever.
    """

    def __init__(
        self,
        engine: Engine,
        clock: SimClock,
        seconds_left: Callable[[], float],
        tell: Callable[[Status], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._seconds_left = seconds_left
        self._tell = tell

    async def connect(self) -> bool:
        """Return True as soon as an attempt reaches WhatsApp, False when the engine has given up."""
        attempts = {"backoff": self._back_off, "steady": self._strike, "reload": self._reload}
        return await attempts[self._engine.reconnects]()

    def lost(self) -> None:
        """Say that the connection broke."""
        self._tell(Status.FAILED if self._engine.reconnects == "reload" else Status.STARTING)

    async def pause(self) -> None:
        """Wait from then on until the engine's first attempt is due."""
        if self._engine.reconnects != "backoff":
            await self._clock.sleep(RETRY_SECONDS)
        if self._engine.reconnects == "reload":
            self._tell(Status.STARTING)

    async def _back_off(self) -> bool:
        failures = 0
        while (left := self._seconds_left()) > 0:
            pause = 0.0
            while pause < left:
                failures += 1
                pause += RETRY_SECONDS * failures
            await self._clock.sleep(pause)  # all attempts that are sure to fail in one wait
        return True

    async def _strike(self) -> bool:
        strikes = 1
        while self._seconds_left() > 0:
            await self._clock.sleep(RETRY_SECONDS)
            strikes += 1
            if strikes > STRIKES:
                self._tell(Status.FAILED)
                return False
            self._tell(Status.STARTING)
        return True

    async def _reload(self) -> bool:
        while (left := self._seconds_left()) > 0:
            await self._clock.sleep(min(left, PAGE_SECONDS))
            if self._seconds_left() > 0:
                self.lost()
                await self.pause()
        return True

"""Time that passes only when nothing is left to do: hours of pacing in milliseconds, and to the microsecond.

`VirtualLoop` is an asyncio event loop whose clock stands still while anything can run. When every task waits, and no
database or worker thread is at work, it jumps to the next deadline. So a test that says `sleep(3600)` gets there at
once, each timer fires at its very moment, and the same test gives the same times on any machine.

`VirtualClock` and `VirtualSimClock` give that time to the gateway and to the simulator. `VirtualDatabase` tells the
loop when a database is at work, and gives PostgreSQL the virtual time through `gateway_now()`.
"""

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar, TypeVarTuple, Unpack

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.db import IDLE_SECONDS, Database
from gateway.simulator.clock import SimClock

EPOCH = 1_800_000_000.0
"""Wall-clock time (epoch seconds) at which a virtual clock starts."""
OUTSIDE_WORK_SECONDS = 30.0
REAL_PATIENCE_SECONDS = 60.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps over the time in which nothing happens."""

    def __init__(self) -> None:
        self._virtual_seconds = 0.0
        self._outside = 0
        super().__init__(_JumpingSelector(self._idle))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_seconds

    def jump(self, seconds: float) -> None:
        """Let time pass while whoever calls this does not get to run: a frozen process, a slow disk."""
        self._virtual_seconds += seconds

    @contextmanager
    def outside_work(self) -> Iterator[None]:
        """Time stands still meanwhile: something that the loop cannot see is at work."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As asyncio's; time stands still while the thread works."""
        work = super().run_in_executor(executor, func, *args)
        self._outside += 1
        work.add_done_callback(self._work_is_done)
        return work

    def _work_is_done(self, _: object) -> None:
        self._outside -= 1

    def _idle(self, timeout: float | None) -> float | None:
        """Nothing can run for `timeout` seconds (None: without end): how long really to wait for the outside."""
        if self._outside:
            return OUTSIDE_WORK_SECONDS
        if timeout is None:
            return OUTSIDE_WORK_SECONDS
        self._virtual_seconds += timeout
        return 0.0


class _JumpingSelector(selectors.BaseSelector):
    """The machine's selector, which asks the loop before it would wait."""

    def __init__(self, idle: Callable[[float | None], float | None]) -> None:
        self._idle = idle
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        return self._real.select(self._idle(timeout))

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def virtual_loop() -> VirtualLoop:
    """The running loop of a test that is marked `virtual_time`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "mark the test with pytest.mark.virtual_time"
    return loop


class VirtualClock(Clock):
    """The gateway's clock on a virtual loop; its timers are the loop's own.

    `ahead` are seconds by which the time of day has jumped, as after a sleep of the machine.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.ahead = 0.0

    def now(self) -> float:
        """Wall-clock time in epoch seconds; also called from SQLite's thread."""
        return EPOCH + self._loop.time() + self.ahead

    def monotonic(self) -> float:
        """The loop's time."""
        return self._loop.time()


class VirtualSimClock(SimClock):
    """The simulator's clock on a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        super().__init__()

    def now(self) -> float:
        """Seconds since the epoch, the same as the gateway's."""
        return EPOCH + self._loop.time()

    def elapsed(self) -> float:
        """The loop's time."""
        return self._loop.time()


class VirtualDatabase(Database):
    """A database during whose work time stands still. `dead` refuses everything, as if the process were gone."""

    def __init__(
        self, url: str, clock: Clock | None = None, *, lease_seconds: float = IDLE_SECONDS, replica: str = ""
    ) -> None:
        # a lease is virtual, and PostgreSQL's limit for who is idle in a transaction would be real
        super().__init__(url, clock, lease_seconds=max(lease_seconds, REAL_PATIENCE_SECONDS), replica=replica)
        self.dead = False
        if not self.is_sqlite:

            @event.listens_for(self.engine.sync_engine, "begin")
            def tell_time(connection: Any) -> None:
                connection.exec_driver_sql(f"SET LOCAL harness.now = '{self.clock.now()!r}'")

    @asynccontextmanager
    async def read(self, *, bulk: bool = False) -> AsyncIterator[AsyncConnection]:
        """As the gateway's."""
        self._refuse_if_dead()
        with virtual_loop().outside_work():
            async with super().read(bulk=bulk) as connection:
                yield connection

    @asynccontextmanager
    async def ask(self) -> AsyncIterator[AsyncConnection]:
        """As the gateway's."""
        self._refuse_if_dead()
        with virtual_loop().outside_work():
            async with super().ask() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, **how: bool) -> AsyncIterator[AsyncConnection]:
        """As the gateway's; what is being written when the process dies is rolled back."""
        self._refuse_if_dead()
        with virtual_loop().outside_work():
            async with super().write(**how) as connection:
                yield connection
                self._refuse_if_dead()

    async def close(self) -> None:
        """As the gateway's."""
        with virtual_loop().outside_work():
            await super().close()

    def _refuse_if_dead(self) -> None:
        if self.dead:
            raise ConnectionError("this process was killed")


GATEWAY_NOW_OF_TESTS = """
CREATE OR REPLACE FUNCTION gateway_now() RETURNS double precision LANGUAGE sql VOLATILE AS $$
SELECT coalesce(nullif(current_setting('harness.now', true), '')::double precision,
                extract(epoch FROM clock_timestamp())::double precision)
$$
"""
"""PostgreSQL's clock in tests: the virtual time where there is one, else the server's."""

"""One lock per session, as impatient as WAHA's."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.simulator.clock import SimClock
from gateway.simulator.errors import CutConnection, EngineFault
from gateway.simulator.journal import LifecycleCall, LifecycleJournal
from gateway.simulator.tasks import TaskGroup

LOCK_WAIT_SECONDS = 5.0
LOCK_HOLD_SECONDS = 30.0
PATIENCE_STEPS = 20


class SessionLocks:
    """Lets one call at a time work on a session.

    Waiting longer than 5 s for the lock or holding it longer than 30 s is a 500, though the work itself goes on.
    """

    def __init__(self, clock: SimClock, journal: LifecycleJournal) -> None:
        self._clock = clock
        self._journal = journal
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks = TaskGroup()

    async def run(self, call: LifecycleCall, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` under the lock of the call's session in a task of its own: who hangs up ends nothing."""
        lock = self._locks.setdefault(call.session, asyncio.Lock())
        got_lock = asyncio.Event()

        async def hold() -> None:
            async with lock:
                got_lock.set()
                try:
                    await work()
                finally:
                    self._journal.work_ended(call)

        task = self._tasks.run(hold())
        turn = self._tasks.run(_turn(got_lock))
        if not await self._within(LOCK_WAIT_SECONDS, turn):
            turn.cancel()
            task.cancel()
            raise EngineFault(f"async-lock timed out in queue {call.session}")
        if not await self._within(LOCK_HOLD_SECONDS, task):
            raise EngineFault(f"Maximum execution time is exceeded {call.session}")
        if task.cancelled():
            raise CutConnection
        await task

    async def die(self) -> None:
        """The server process ends: work stops where it is."""
        await self._tasks.cancel_all()
        self._locks = {}

    async def _within(self, seconds: float, task: asyncio.Task[None]) -> bool:
        """Whether a task ended within so much simulated time.

        The time is counted in steps, so that at a high speed a busy machine's hiccup counts as one of them.
        """
        for _ in range(PATIENCE_STEPS):
            step = self._tasks.run(self._clock.sleep(seconds / PATIENCE_STEPS))
            await asyncio.wait([task, step], return_when=asyncio.FIRST_COMPLETED)
            step.cancel()
            if task.done():
                return True
        return False


async def _turn(got_lock: asyncio.Event) -> None:
    await got_lock.wait()

"""The runtime map: which sessions are stored, which run, and the calls that start and end them.

"Running" means that an engine object is in the map, whatever its status: FAILED runs, and `start` does
nothing to it. Each session has a lock that one call holds at a time; waiting longer than 5 s for it or
holding it longer than 30 s answers 500, though the work itself goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.simulator.chance import seeded
from gateway.simulator.clock import SimClock
from gateway.simulator.engine import Engine
from gateway.simulator.errors import (
    CutConnection,
    EngineFault,
    JsonObject,
    session_missing,
    session_not_found,
    session_not_running,
    unprocessable,
    wrong_status,
)
from gateway.simulator.session import RunningSession, Status, StoredSession
from gateway.simulator.tasks import TaskGroup

LOCK_WAIT_SECONDS = 5.0
LOCK_HOLD_SECONDS = 30.0
POLL_SECONDS = 0.5
RUNNING_WAIT_SECONDS = 5.0
STATUS_WAIT_SECONDS = 10.0
PATIENCE_STEPS = 20


class Lifecycle:
    """All sessions of a server; `make_running` builds the engine object of a stored session."""

    def __init__(
        self,
        *,
        clock: SimClock,
        engine: Engine,
        worker_id: str,
        seed: int,
        make_running: Callable[[StoredSession], RunningSession],
        extra_seconds: Callable[[], float],
    ) -> None:
        self.stored: dict[str, StoredSession] = {}
        self.running: dict[str, RunningSession] = {}
        self._clock = clock
        self._engine = engine
        self._worker_id = worker_id
        self._seed = seed
        self._make_running = make_running
        self._extra_seconds = extra_seconds
        self._created: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks = TaskGroup()

    def known(self, name: str) -> StoredSession:
        """The stored session, else 404."""
        stored = self.stored.get(name)
        if stored is None:
            raise session_not_found()
        return stored

    def now_running(self, name: str) -> RunningSession:
        """The running session without waiting for it, else 404."""
        session = self.running.get(name)
        if session is None:
            raise session_not_running(name)
        return session

    async def in_status(self, name: object, expected: Status) -> RunningSession:
        """The session once it runs (waits 5 s) and has a status (waits 10 s more), else 422."""
        if not isinstance(name, str) or not name:
            raise unprocessable("Session name is required")
        await self._poll(lambda: name in self.running, RUNNING_WAIT_SECONDS)
        if name not in self.running:
            raise session_missing(name)
        await self._poll(lambda: self._status(name) is expected, STATUS_WAIT_SECONDS)
        session = self.running.get(name)
        if session is None:
            raise session_missing(name)
        if session.status is not expected:
            raise wrong_status(name, session.status.value, [expected.value])
        return session

    async def create(self, name: str, config: JsonObject, *, apps: Any, start: bool) -> StoredSession:
        """Store a new session and start it if told; 422 when the name is taken."""
        if name in self.stored:
            raise unprocessable(f"Session '{name}' already exists. Use PUT to update it.")
        self._created[name] += 1
        stored = StoredSession(name, config, seeded(self._seed, name, self._created[name]), apps=apps)
        self.stored[name] = stored
        if start:
            await self.start(name)
        return stored

    async def update(self, name: str, config: JsonObject, *, apps: Any) -> None:
        """Replace the whole configuration; a running session is stopped and started. 404 when unknown."""
        stored = self.known(name)

        async def work() -> None:
            stored.config = config
            stored.apps = apps
            if await self._stop(name):
                self._start(stored)

        await self._locked(name, work)

    async def start(self, name: str) -> None:
        """Start a session; one that runs is left as it is, FAILED ones too. 404 when unknown."""
        stored = self.known(name)

        async def work() -> None:
            self._start(stored)

        await self._locked(name, work)

    async def stop(self, name: str) -> None:
        """Stop a session; unknown and stopped ones are no error."""

        async def work() -> None:
            if name in self.stored:
                self.stored[name].worker = None
            await self._stop(name)

        await self._locked(name, work)

    async def restart(self, name: str) -> None:
        """Stop and start; a stopped one is started. 404 when unknown."""
        stored = self.known(name)

        async def work() -> None:
            await self._stop(name)
            self._start(stored)

        await self._locked(name, work)

    async def logout(self, name: str) -> None:
        """Unpair and wipe the login; one that ran starts again, to a QR. 404 when unknown."""
        stored = self.known(name)

        async def work() -> None:
            await self._unpair(name)
            was_running = await self._stop(name)
            stored.wipe_login()
            if was_running:
                self._start(stored)

        await self._locked(name, work)

    async def delete(self, name: str) -> None:
        """Unpair, stop and forget; unknown ones are no error."""

        async def work() -> None:
            await self._unpair(name)
            await self._stop(name)
            self.stored.pop(name, None)

        await self._locked(name, work)

    async def die(self) -> None:
        """The server process ends: nothing runs any more, and nobody is told."""
        await self._tasks.cancel_all()
        sessions = list(self.running.values())
        self.running.clear()  # not another map: others hold on to this one
        self._locks = {}
        for session in sessions:
            await session.vanish()

    async def autostart(self, delay_seconds: float) -> None:
        """Start what ran before the server died, one session after the other, `delay_seconds` apart."""
        for stored in list(self.stored.values()):
            if stored.worker is not None and stored.name in self.stored:
                await self.start(stored.name)
                await self._clock.sleep(delay_seconds)

    def _start(self, stored: StoredSession) -> None:
        stored.worker = self._worker_id
        if stored.name in self.running:
            return
        session = self._make_running(stored)
        self.running[stored.name] = session
        session.start()

    async def _stop(self, name: str) -> bool:
        session = self.running.get(name)
        if session is None:
            return False
        await session.close()
        self.running.pop(name, None)
        await self._clock.sleep(self._engine.stop_seconds)
        return True

    async def _unpair(self, name: str) -> None:
        session = self.running.get(name)
        if session is not None:
            session.begin_unpairing()
            await self._clock.sleep(self._engine.unpair_seconds)

    async def _locked(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` under the session's lock in a task of its own: a client that hangs up ends nothing."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        got_lock = asyncio.Event()

        async def hold() -> None:
            async with lock:
                got_lock.set()
                await self._clock.sleep(self._extra_seconds())
                await work()

        task = self._tasks.run(hold())
        turn = self._tasks.run(_turn(got_lock))
        if not await self._within(LOCK_WAIT_SECONDS, turn):
            turn.cancel()
            task.cancel()
            raise EngineFault(f"async-lock timed out in queue {name}")
        if not await self._within(LOCK_HOLD_SECONDS, task):
            raise EngineFault(f"Maximum execution time is exceeded {name}")
        if task.cancelled():
            raise CutConnection
        await task

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

    def _status(self, name: str) -> Status | None:
        session = self.running.get(name)
        return None if session is None else session.status

    async def _poll(self, condition: Callable[[], bool], seconds: float) -> None:
        for _ in range(int(seconds / POLL_SECONDS)):
            if condition():
                return
            await self._clock.sleep(POLL_SECONDS)


async def _turn(got_lock: asyncio.Event) -> None:
    await got_lock.wait()

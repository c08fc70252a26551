"""The runtime map: which sessions are stored, which run, and the calls that start and end them.

"Running" means that an engine object is in the map, whatever its status: FAILED runs, and `start` does
nothing to it. Each session has a lock that one call holds at a time, and every call is written into a journal.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

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
from gateway.simulator.journal import LifecycleCall, LifecycleJournal
from gateway.simulator.locks import SessionLocks
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import SessionStore, Status, StoredSession
from gateway.simulator.versions import Habits

log = structlog.get_logger()

POLL_SECONDS = 0.5
RUNNING_WAIT_SECONDS = 5.0
STATUS_WAIT_SECONDS = 10.0
BOOT_HANG_SECONDS = 45.0


class Lifecycle:
    """All sessions of a server; `make_running` builds the engine object of a stored session.

    `extra_seconds` is how long each call sits on the lock before it works, `crash` ends the server's process.
    """

    def __init__(
        self,
        *,
        clock: SimClock,
        engine: Engine,
        store: SessionStore,
        habits: Habits,
        worker_id: str,
        seed: int,
        make_running: Callable[[StoredSession], RunningSession],
        extra_seconds: Callable[[], float],
        crash: Callable[[], Awaitable[None]],
    ) -> None:
        self.stored = store.sessions
        self.running: dict[str, RunningSession] = {}
        self.journal = LifecycleJournal(clock)
        self._clock = clock
        self._engine = engine
        self._store = store
        self._habits = habits
        self._worker_id = worker_id
        self._seed = seed
        self._make_running = make_running
        self._extra_seconds = extra_seconds
        self._crash = crash
        self._created: Counter[str] = Counter()
        self._locks = SessionLocks(clock, self.journal)

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
        with self.journal.call(name, "create") as call:
            if name in self.stored:
                raise unprocessable(f"Session '{name}' already exists. Use PUT to update it.")
            self._created[name] += 1
            stored = StoredSession(name, config, seeded(self._seed, name, self._created[name]), apps=apps)
            left_behind = self._store.logins.pop(name, None)
            if left_behind is not None:
                stored.take_login(left_behind)
            self.stored[name] = stored

            async def work() -> None:
                self._start(stored)

            if start:
                await self._locked(call, work)
        return stored

    async def update(self, name: str, config: JsonObject, *, apps: Any) -> None:
        """Replace the whole configuration; a running session is stopped and started. 404 when unknown."""
        with self.journal.call(name, "update") as call:
            stored = self.known(name)

            async def work() -> None:
                stored.config = config
                stored.apps = apps
                if await self._stop(name):
                    self._start(stored)

            await self._locked(call, work)

    async def start(self, name: str) -> None:
        """Start a session; one that runs is left as it is, FAILED ones too. 404 when unknown.

        Old versions refuse one that runs with 422.
        """
        with self.journal.call(name, "start") as call:
            stored = self.known(name)

            async def work() -> None:
                if self._habits.refuses_running and name in self.running:
                    raise unprocessable(f"Session '{name}' is already started.")
                self._start(stored)

            await self._locked(call, work)

    async def stop(self, name: str) -> None:
        """Stop a session; unknown and stopped ones are no error."""
        with self.journal.call(name, "stop") as call:

            async def work() -> None:
                if name in self.stored:
                    self.stored[name].worker = None
                await self._stop(name)

            await self._locked(call, work)

    async def restart(self, name: str) -> None:
        """Stop and start; a stopped one is started. 404 when unknown."""
        with self.journal.call(name, "restart") as call:
            stored = self.known(name)

            async def work() -> None:
                await self._stop(name)
                self._start(stored)

            await self._locked(call, work)

    async def logout(self, name: str) -> None:
        """Unpair and wipe the login; one that ran starts again, to a QR. 404 when unknown."""
        with self.journal.call(name, "logout") as call:
            stored = self.known(name)

            async def work() -> None:
                await self._unpair(name)
                was_running = await self._stop(name)
                stored.wipe_login()
                if was_running:
                    self._start(stored)

            await self._locked(call, work)

    async def delete(self, name: str) -> None:
        """Unpair, stop and forget; unknown ones are no error. An old GOWS dies of a FAILED one."""
        with self.journal.call(name, "delete") as call:
            fragile = self._habits.failed_delete_crashes and self._engine.name == "GOWS"
            if fragile and self._status(name) is Status.FAILED:
                await self._crash()
                raise CutConnection

            async def work() -> None:
                await self._unpair(name)
                await self._stop(name)
                forgotten = self.stored.pop(name, None)
                if forgotten is not None:
                    forgotten.wipe_login()
                self._store.logins.pop(name, None)

            await self._locked(call, work)

    async def force_stop(self, name: str) -> None:
        """A session ends without anybody's call."""
        self.known(name).worker = None
        await self._stop(name)

    async def die(self) -> None:
        """The server process ends: nothing runs any more, and nobody is told."""
        await self._locks.die()
        sessions = list(self.running.values())
        self.running.clear()
        for session in sessions:
            await session.vanish()

    async def autostart(self, delay_seconds: float, hanging: str | None) -> None:
        """Start what ran here before the server died, one session after the other, `delay_seconds` apart.

        `hanging` hangs for 45 s, and older versions start none behind it.
        """
        for stored in list(self.stored.values()):
            if stored.worker != self._worker_id or stored.name not in self.stored:
                continue
            try:
                await self._autostart_one(stored, BOOT_HANG_SECONDS if stored.name == hanging else 0.0)
            except EngineFault as fault:
                log.info("autostart_failed", session=stored.name, reason=fault.message)
                if self._habits.hang_ends_autostart:
                    return
            await self._clock.sleep(delay_seconds)

    async def _autostart_one(self, stored: StoredSession, hang_seconds: float) -> None:
        with self.journal.call(stored.name, "autostart") as call:

            async def work() -> None:
                await self._clock.sleep(hang_seconds)
                self._start(stored)

            await self._locked(call, work)

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

    async def _locked(self, call: LifecycleCall, work: Callable[[], Awaitable[None]]) -> None:
        async def slowly() -> None:
            await self._clock.sleep(self._extra_seconds())
            await work()

        await self._locks.run(call, slowly)

    def _status(self, name: str) -> Status | None:
        session = self.running.get(name)
        return None if session is None else session.status

    async def _poll(self, condition: Callable[[], bool], seconds: float) -> None:
        for _ in range(int(seconds / POLL_SECONDS)):
            if condition():
                return
            await self._clock.sleep(POLL_SECONDS)

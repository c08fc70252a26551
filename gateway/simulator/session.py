"""One session: what is on disk about it, and the engine object that exists while it runs.

The life of the engine object is one task. It says STARTING; a paired session then says WORKING. An unpaired
one shows up to six QR codes, the first for 60 s, the others for 20 s each, and ends as FAILED when nobody
scans. FAILED does not end the object: it stays in the runtime map until somebody stops or restarts it.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.simulator.clock import SimClock
from gateway.simulator.engine import Engine, me_json
from gateway.simulator.errors import JsonObject
from gateway.simulator.ids import make_qr_value
from gateway.simulator.messages import MessageStore
from gateway.simulator.tasks import TaskGroup

QR_LIFETIMES = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)
RESTART_AFTER_PAIRING_SECONDS = 2.0
ONLINE_SECONDS = 25.0


class Status(StrEnum):
    """WAHA's session statuses that this simulator knows."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    WORKING = "WORKING"
    FAILED = "FAILED"


@dataclass(slots=True)
class StoredSession:
    """A session as it survives a restart of the server. `phone` is the paired account, None before."""

    name: str
    config: JsonObject
    rng: random.Random
    apps: list[JsonObject] | None = None
    phone: str | None = None
    me: JsonObject | None = None
    login_spoiled: bool = False
    worker: str | None = None
    store: MessageStore = field(default_factory=MessageStore)
    owed: list[Callable[[], None]] = field(default_factory=list)
    """Receipts that arrived while the session was away; they come when it works again."""

    def wipe_login(self) -> None:
        """Forget who was paired, as a logout does; the configuration stays."""
        self.phone = None
        self.me = None
        self.login_spoiled = False
        self.owed = []
        self.store.clear()


class RunningSession:
    """The engine object of a running session; `on_status` hears of every status that is told."""

    def __init__(
        self,
        stored: StoredSession,
        *,
        engine: Engine,
        clock: SimClock,
        start_seconds: float,
        auto_scan: Callable[[], str] | None,
        auto_scan_seconds: float,
        on_status: Callable[["RunningSession"], None],
    ) -> None:
        self.stored = stored
        self.engine = engine
        self.status = Status.STOPPED
        self.statuses: list[JsonObject] = []
        self.qr: str | None = None
        self.send_lock = asyncio.Lock()
        self.activity_ms: int | None = None
        self.closed = False
        self._presence: str | None = None
        self._presence_ends = 0.0
        self._clock = clock
        self._start_seconds = start_seconds
        self._auto_scan = auto_scan
        self._auto_scan_seconds = auto_scan_seconds
        self._on_status = on_status
        self._unpairing = False
        self._woken = asyncio.Event()
        self._tasks = TaskGroup()

    @property
    def name(self) -> str:
        """The session's name."""
        return self.stored.name

    @property
    def config(self) -> JsonObject:
        """The session's configuration."""
        return self.stored.config

    @property
    def me(self) -> JsonObject | None:
        """Who is paired, None before."""
        return self.stored.me if self.stored.phone is not None else None

    @property
    def presence(self) -> str | None:
        """What was last told to WhatsApp: `online` for 25 s after an activity, then `offline`."""
        if self._presence == "online" and self._clock.elapsed() > self._presence_ends:
            self._presence = "offline"
        return self._presence

    def start(self) -> None:
        """Begin; the status is STARTING at once."""
        self._tell(Status.STARTING)
        self._tasks.spawn(self._live())

    def scan(self, phone: str) -> bool:
        """A phone scans the QR that is shown; False when none is."""
        if self.status is not Status.SCAN_QR_CODE:
            return False
        self.stored.phone = phone
        self.stored.me = me_json(phone, self.engine.name)
        self.stored.login_spoiled = False
        self._woken.set()
        return True

    def touch(self) -> None:
        """An API call that touches WhatsApp: remember when, and be online for a while."""
        self.activity_ms = self._clock.now_ms()
        self.set_presence("online")

    def set_presence(self, presence: str) -> None:
        """Tell WhatsApp whether we are online."""
        self._presence = presence
        self._presence_ends = self._clock.elapsed() + ONLINE_SECONDS

    async def force(self, status: Status) -> None:
        """Put the session into a status from outside, whatever it was doing."""
        await self._tasks.cancel_all()
        self.qr = None
        if status is Status.SCAN_QR_CODE:
            self.stored.phone = None
            self._tasks.spawn(self._pair())
        else:
            self._tell(status)

    async def logged_out_by_phone(self) -> None:
        """The phone removed this device: FAILED, and what is left of the login depends on the engine."""
        if self.engine.logout_spoils_login:
            self.stored.login_spoiled = True
        else:
            self.stored.phone = None
        await self.force(Status.FAILED)

    def begin_unpairing(self) -> None:
        """From now on no status but STOPPED is told."""
        self._unpairing = True

    async def close(self) -> None:
        """End the engine object and say STOPPED."""
        await self.vanish()
        self._tell(Status.STOPPED)

    async def vanish(self) -> None:
        """End without a word, as when the whole server dies."""
        self.closed = True
        self.qr = None
        await self._tasks.cancel_all()

    async def _live(self) -> None:
        await self._clock.sleep(self._start_seconds)
        if self.stored.login_spoiled:
            self._tell(Status.FAILED)
        elif self.stored.phone is not None:
            self._tell(Status.WORKING)
        else:
            await self._pair()

    async def _pair(self) -> None:
        if self._auto_scan is not None:
            self._tasks.spawn(self._scan_by_itself(self._auto_scan))
        for lifetime in QR_LIFETIMES:
            self.qr = make_qr_value(self.stored.rng)
            self._tell(Status.SCAN_QR_CODE)
            if await self._scanned_within(lifetime):
                await self._paired()
                return
        self.qr = None
        self._tell(Status.FAILED)

    async def _scanned_within(self, seconds: float) -> bool:
        """Wait for a scan for so long of the simulated clock; both ends wake the same event."""
        self._woken.clear()
        timer = self._clock.call_later(seconds, self._woken.set)
        await self._woken.wait()
        self._clock.cancel(timer)
        return self.stored.phone is not None

    async def _paired(self) -> None:
        self.qr = None
        if self.engine.starts_again_after_pairing:
            self._tell(Status.STARTING)
            await self._clock.sleep(RESTART_AFTER_PAIRING_SECONDS)
        self._tell(Status.WORKING)

    async def _scan_by_itself(self, phone: Callable[[], str]) -> None:
        await self._clock.sleep(self._auto_scan_seconds)
        self.scan(phone())

    def _tell(self, status: Status) -> None:
        if self._unpairing and status is not Status.STOPPED:
            return
        if status is self.status is Status.WORKING:
            return
        self.status = status
        self.statuses = [*self.statuses[-2:], {"status": status.value, "timestamp": self._clock.now_ms()}]
        self._on_status(self)

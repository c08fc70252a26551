"""The engine object of a session that runs.

Its life is one task. It says STARTING, and reaches for WhatsApp. A paired session then says WORKING; an unpaired
one shows codes, and ends as FAILED when nobody pairs. FAILED does not end the object: it stays in the runtime map
until somebody stops or restarts it. What breaks the connection begins the life anew.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from gateway.simulator.clock import SimClock
from gateway.simulator.connecting import Connector
from gateway.simulator.engine import Engine, me_json
from gateway.simulator.errors import JsonObject
from gateway.simulator.pairing import Pairing
from gateway.simulator.stored import PasskeyWish, Status, StoredSession
from gateway.simulator.tasks import TaskGroup
from gateway.simulator.uplink import Uplink

ONLINE_SECONDS = 25.0
PAIRING = (Status.SCAN_QR_CODE, Status.PASSKEY_REQUIRED, Status.PASSKEY_CONFIRMATION_REQUIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How sessions of a server start and pair; `auto_scan` gives the number that scans by itself, if one does."""

    start_seconds: float
    auto_scan: Callable[[], str] | None
    auto_scan_seconds: float
    passkey: PasskeyWish


class RunningSession:
    """The engine object of a running session; `on_status` hears of every status, `on_paired` of each pairing."""

    def __init__(
        self,
        stored: StoredSession,
        *,
        engine: Engine,
        clock: SimClock,
        uplink: Uplink,
        settings: SessionSettings,
        on_status: Callable[["RunningSession"], None],
        on_paired: Callable[[StoredSession], None],
        emit: Callable[["RunningSession", str, Callable[[], JsonObject]], None],
    ) -> None:
        self.stored = stored
        self.engine = engine
        self.status = Status.STOPPED
        self.statuses: list[JsonObject] = []
        self.data: JsonObject | None = None
        self.send_lock = asyncio.Lock()
        self.activity_ms: int | None = None
        self.closed = False
        self._deaf = False
        self.pairing: Pairing | None = None
        self._presence: str | None = None
        self._presence_ends = 0.0
        self._clock = clock
        self._uplink = uplink
        self._settings = settings
        self._on_status = on_status
        self._on_paired = on_paired
        self._emit = emit
        self._unpairing = False
        self._connector = Connector(engine, clock, lambda: uplink.seconds_left(stored.name), self._tell)
        self._tasks = TaskGroup()
        self._life: asyncio.Task[None] | None = None

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
    def qr(self) -> str | None:
        """What the QR that is shown says, None when none is."""
        return None if self.pairing is None else self.pairing.qr

    @property
    def deaf(self) -> bool:
        """Whether it tells no events but its statuses, though it works; a restart cures that where it can."""
        return self._deaf or self.stored.incurably_deaf

    @property
    def connected(self) -> bool:
        """Whether WhatsApp is in reach and the session uses it; WORKING alone does not prove that."""
        return not self.closed and self.status is Status.WORKING and self._uplink.seconds_left(self.name) == 0

    @property
    def presence(self) -> str | None:
        """What was last told to WhatsApp: `online` for 25 s after an activity, then `offline`."""
        if self._presence == "online" and self._clock.elapsed() > self._presence_ends:
            self._presence = "offline"
        return self._presence

    def start(self) -> None:
        """Begin; the status is STARTING at once."""
        self._tell(Status.STARTING)
        self._begin(self._live())

    def scan(self, phone: str) -> bool:
        """A phone scans the QR that is shown; False when none is."""
        return self.pairing is not None and self.pairing.scan(phone)

    def deafen(self, *, deaf: bool, incurable: bool) -> None:
        """Hear nothing any more, or hear again; `incurable` outlives restarts."""
        self._deaf = deaf
        self.stored.incurably_deaf = deaf and incurable

    def touch(self) -> None:
        """An API call that touches WhatsApp: remember when, and be online for a while."""
        self.activity_ms = self._clock.now_ms()
        self.set_presence("online")

    def set_presence(self, presence: str) -> None:
        """Tell WhatsApp whether we are online."""
        self._presence = presence
        self._presence_ends = self._clock.elapsed() + ONLINE_SECONDS

    def emit(self, event: str, payload: Callable[[], JsonObject]) -> None:
        """Tell an event of this session at the server that it is on."""
        self._emit(self, event, payload)

    async def force(self, status: Status) -> None:
        """Put the session into a status from outside, whatever it was doing."""
        await self._tasks.cancel_all()
        if status is Status.SCAN_QR_CODE:
            self.stored.phone = None
            self._begin(self._pair())
        elif status is Status.WORKING:
            self._uplink.mend(self.name)
            self._work()
        else:
            self._tell(status)

    def lose_connection(self) -> None:
        """WhatsApp is out of reach; who shows a code fails, except where the engine starts anew by itself."""
        if self.status in PAIRING and self.engine.reconnects != "reload":
            self._end(Status.FAILED)
        elif self.status in (Status.WORKING, *PAIRING):
            self._lose()

    def replaced(self) -> None:
        """Another engine object took our place: GOWS waits for ever, the others take it back."""
        if not self.connected:
            return
        if self.engine.reconnects == "backoff":
            self._end(Status.STARTING)
        else:
            self._lose()

    def hear_of_removal(self) -> None:
        """The phone removed this device: FAILED, and what is left of the login depends on the engine."""
        self.stored.removed_by_phone = False
        if self.engine.logout_spoils_login:
            self.stored.login_spoiled = True
        else:
            self.stored.phone = None
        self._end(Status.FAILED)

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
        if self.stored.device is self:
            self.stored.device = None
        await self._tasks.cancel_all()

    async def _live(self) -> None:
        await self._clock.sleep(self._settings.start_seconds)
        if not await self._connector.connect():
            return
        if self.stored.removed_by_phone:
            self.hear_of_removal()
        elif self.stored.login_spoiled:
            self._tell(Status.FAILED)
        elif self.stored.phone is not None:
            self._work()
        else:
            await self._pair()

    def _lose(self) -> None:
        self._begin(self._come_back())
        self._connector.lost()

    async def _come_back(self) -> None:
        await self._connector.pause()
        await self._live()

    async def _pair(self) -> None:
        settings = self._settings
        self.pairing = Pairing(
            clock=self._clock,
            rng=self.stored.rng,
            passkey=self.stored.passkey or settings.passkey,
            auto_scan=settings.auto_scan,
            auto_scan_seconds=settings.auto_scan_seconds,
            tell=self._tell,
        )
        phone = await self.pairing.run()
        if phone is None:
            self._tell(Status.FAILED)
            return
        self.stored.phone = phone
        self.stored.me = me_json(phone, self.engine.name)
        self.stored.login_spoiled = False
        self._on_paired(self.stored)
        if self.engine.starts_again_after_pairing:
            self._connector.lost()
            await self._come_back()
        else:
            self._work()

    def _work(self) -> None:
        """Take the login's place at WhatsApp, which only one engine object can have."""
        former, self.stored.device = self.stored.device, self
        self._tell(Status.WORKING)
        if former is not None and former is not self:
            former.replaced()

    def _begin(self, life: Coroutine[None, None, None]) -> None:
        """Live this life, and not the one before any more."""
        self.pairing = None
        former, self._life = self._life, self._tasks.spawn(life)
        if former is not None and former is not asyncio.current_task():
            former.cancel()

    def _end(self, status: Status) -> None:
        """Stay in a status until somebody stops or restarts the session."""
        self.pairing = None
        if self._life is not None and self._life is not asyncio.current_task():
            self._life.cancel()
        self._tell(status)

    def _tell(self, status: Status, data: JsonObject | None = None) -> None:
        if self._unpairing and status is not Status.STOPPED:
            return
        if status is self.status is Status.WORKING:
            return
        self.status = status
        self.data = data
        self.statuses = [*self.statuses[-2:], {"status": status.value, "timestamp": self._clock.now_ms()}]
        self._on_status(self)

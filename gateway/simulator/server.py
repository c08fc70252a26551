"""The simulated server as a whole: its sessions, its clock, its ledger, and what happens when it dies."""

import asyncio
from typing import Any

from gateway.simulator.chance import seeded
from gateway.simulator.clock import SimClock
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.connections import Connections
from gateway.simulator.engines import make_engine
from gateway.simulator.errors import JsonObject
from gateway.simulator.events import EventHub
from gateway.simulator.ids import make_chat_id
from gateway.simulator.keys import KeyRing
from gateway.simulator.ledger import Ledger
from gateway.simulator.lifecycle import Lifecycle
from gateway.simulator.limits import Limits
from gateway.simulator.messages import Message
from gateway.simulator.numbers import NumberBook
from gateway.simulator.receipts import Receipts
from gateway.simulator.sending import Sender
from gateway.simulator.session import RunningSession, Status, StoredSession
from gateway.simulator.tasks import TaskGroup
from gateway.simulator.webhooks import WebhookSender

FICTIONAL_RANGE = 447700900000


class WahaServer:
    """One WAHA server and the WhatsApp behind it, in memory.

    It starts its tasks lazily on the running event loop; `aclose` ends them. `boot` counts the restarts. With a
    `clock` of its own it lives in whatever time that clock tells.
    """

    def __init__(self, config: SimulatorConfig, clock: SimClock | None = None) -> None:
        self.config = config
        self.clock = clock or SimClock(config.speed)
        self.rng = seeded(config.seed)
        self.engine = make_engine(config.engine)
        self.connections = Connections()
        self.keys = KeyRing(config.api_key, self.rng)
        self.numbers = NumberBook(config.unregistered, brazil_without_nine=config.brazil_without_nine)
        self.ledger = Ledger(collapse_repeats=config.collapse_repeats)
        self.webhooks = WebhookSender(self.clock, self.rng, config.version, config.transport)
        self.events = EventHub(
            self.clock,
            self.rng,
            config.engine,
            self.environment,
            self.webhooks.send,
            fate=seeded(config.seed, "events"),
        )
        self.lifecycle = Lifecycle(
            clock=self.clock,
            engine=self.engine,
            worker_id=config.worker_id,
            seed=config.seed,
            make_running=self._make_running,
            extra_seconds=lambda: self.sender.faults.lifecycle_slow,
        )
        self.receipts = Receipts(
            clock=self.clock,
            engine=self.engine,
            hub=self.events,
            numbers=self.numbers,
            running=self.lifecycle.running.get,
            enabled=config.receipts,
            use_lids=config.lid_receipts,
        )
        self.limits = Limits(self.clock, self.events, self.lifecycle.running.values, config.check_limit)
        self.sender = Sender(
            config=config,
            clock=self.clock,
            engine=self.engine,
            lifecycle=self.lifecycle,
            numbers=self.numbers,
            ledger=self.ledger,
            receipts=self.receipts,
            limits=self.limits,
        )
        self.started_at = self.clock.now()
        self.boot = 1
        self._away = False
        self._tasks = TaskGroup()

    @property
    def dead(self) -> bool:
        """Whether connections are to be dropped without a word."""
        return self.sender.faults.down or self._away

    def environment(self) -> JsonObject:
        """WAHA's version object, in answers and in every event."""
        return {
            "version": self.config.version,
            "engine": self.config.engine,
            "tier": "CORE",
            "browser": self.engine.browser,
            "platform": "linux/x64",
            "worker": {"id": self.config.worker_id},
        }

    def incoming(self, session: RunningSession, sender: str, text: str) -> Message:
        """Somebody writes to this session."""
        return self._arrived(session, sender, text, from_me=False)

    def from_phone(self, session: RunningSession, chat: str, text: str) -> Message:
        """The session's owner writes to somebody on the phone itself."""
        return self._arrived(session, chat, text, from_me=True)

    async def restart(
        self, *, down_seconds: float, start_delay_seconds: float, keep: asyncio.Transport | None = None
    ) -> None:
        """The process dies now; after `down_seconds` it is back and starts its sessions one by one.

        What was in flight is lost: sends not yet accepted, undelivered webhooks, sockets, engine objects.
        Only the connection to `keep`, which asked for it, survives.
        """
        self.boot += 1
        self._away = True
        self.events.disconnect_all()
        self.connections.cut_all(keep=keep)
        await self.sender.die()
        await self.lifecycle.die()
        await self.webhooks.lose_all()
        self._tasks.spawn(self._boot(down_seconds, start_delay_seconds))

    async def aclose(self) -> None:
        """End all that runs in the background; requests that still wait lose their connection. Idempotent."""
        self._away = True
        await self._tasks.cancel_all()
        self.events.disconnect_all()
        await self.sender.die()
        await self.lifecycle.die()
        await self.webhooks.aclose()
        self.clock.end()

    async def _boot(self, down_seconds: float, start_delay_seconds: float) -> None:
        await self.clock.sleep(down_seconds)
        self.started_at = self.clock.now()
        self._away = False
        await self.clock.sleep(1.0)
        await self.lifecycle.autostart(start_delay_seconds)

    def _arrived(self, session: RunningSession, chat: str, text: str, *, from_me: bool) -> Message:
        message = Message(
            id=self.engine.new_id(session.stored.rng),
            chat_id=self.numbers.canonical(make_chat_id(chat)),
            me=f"{session.stored.phone}@c.us",
            from_me=from_me,
            text=text,
            kind="text",
            timestamp=int(self.clock.now()),
            ack=1 if from_me else 2,
            source="app",
        )
        session.stored.store.add(message)
        self.limits.met(session.stored, message.chat_id)
        self.receipts.told(session.stored, message)
        return message

    def _make_running(self, stored: StoredSession) -> RunningSession:
        auto_scan = self.config.auto_scan_seconds
        return RunningSession(
            stored,
            engine=self.engine,
            clock=self.clock,
            start_seconds=self.config.start_seconds,
            auto_scan=None if auto_scan is None else lambda: self._own_number(stored.name),
            auto_scan_seconds=auto_scan or 0.0,
            on_status=self._status_told,
        )

    def _status_told(self, session: RunningSession) -> None:
        payload = self._status_payload(session)
        self.events.emit(session, "session.status", lambda: payload)
        if session.status is Status.WORKING:
            owed, session.stored.owed = session.stored.owed, []
            for receipt in owed:
                receipt()
            self.limits.session_works(session)

    def _status_payload(self, session: RunningSession) -> dict[str, Any]:
        return {
            "name": session.name,
            "status": session.status.value,
            "statuses": session.statuses,
            "data": None,
        }

    def _own_number(self, name: str) -> str:
        """The number that scans by itself: the session's name, else a free one of the fictional range."""
        if name.isdigit():
            return name
        taken = {stored.phone for stored in self.lifecycle.stored.values()}
        candidates = (str(FICTIONAL_RANGE + offset) for offset in range(1000))
        return next((phone for phone in candidates if phone not in taken), str(FICTIONAL_RANGE))

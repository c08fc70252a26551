"""The simulated server as a whole: its sessions, its clock, its ledger, and what happens when it dies."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
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
from gateway.simulator.messages import Message, Said
from gateway.simulator.numbers import NumberBook
from gateway.simulator.phones import PhoneWatch
from gateway.simulator.receipts import Receipts
from gateway.simulator.sending import Sender
from gateway.simulator.session import RunningSession, SessionSettings
from gateway.simulator.stored import PasskeyWish, SessionStore, Status, StoredSession
from gateway.simulator.tasks import TaskGroup
from gateway.simulator.uplink import Uplink
from gateway.simulator.versions import habits_of
from gateway.simulator.webhooks import WebhookSender

FICTIONAL_RANGE = 447700900000
CRASH_SECONDS = 5.0
SIMPLY = Said()


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """How a server that died comes back; durations are seconds.

    `hang_session` hangs when it is started. `forget_config`: no session is known any more, but a new one of the same
    name finds its login, unless `forget_logins`. `keep_sessions_stopped`: none is started.
    """

    down_seconds: float = 0.0
    start_delay_seconds: float = 0.0
    hang_session: str | None = None
    forget_config: bool = False
    forget_logins: bool = False
    keep_sessions_stopped: bool = False


class WahaServer:
    """One WAHA server and the WhatsApp behind it, in memory.

    It starts its tasks lazily on the running event loop; `aclose` ends them. `boot` counts the restarts. With a
    `clock` of its own it lives in whatever time that clock tells; with the `store` of another one it shares its disk.
    """

    def __init__(
        self, config: SimulatorConfig, clock: SimClock | None = None, store: SessionStore | None = None
    ) -> None:
        self.config = config
        self.store = store or SessionStore()
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
        self.uplink = Uplink(self.clock)
        self.phones = PhoneWatch(self.clock, config.phone_expiry_days, self.remove_device)
        self.lifecycle = Lifecycle(
            clock=self.clock,
            engine=self.engine,
            store=self.store,
            habits=habits_of(config.version),
            worker_id=config.worker_id,
            seed=config.seed,
            make_running=self._make_running,
            extra_seconds=lambda: self.sender.faults.lifecycle_slow,
            crash=lambda: self.restart(Boot(down_seconds=CRASH_SECONDS)),
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

    def incoming(self, session: RunningSession, sender: str, text: str, said: Said = SIMPLY) -> Message:
        """Somebody writes to this session."""
        return self._arrived(session, sender, text, said, from_me=False)

    def from_phone(self, session: RunningSession, chat: str, text: str) -> Message:
        """The session's owner writes to somebody on the phone itself."""
        return self._arrived(session, chat, text, SIMPLY, from_me=True)

    def remove_device(self, stored: StoredSession) -> None:
        """The phone removes a linked device, which hears of it now, or when it connects again."""
        if stored.device is not None and stored.device.connected:
            stored.device.hear_of_removal()
        else:
            stored.removed_by_phone = True

    def disconnect(self, seconds: float, names: Collection[str] | None, *, unnoticed_seconds: float = 0.0) -> list[str]:
        """WhatsApp is out of reach for so long, for all sessions or for these; returns who runs of them.

        For `unnoticed_seconds` they still say WORKING.
        """
        self.uplink.cut(seconds, names)
        hit = [name for name in self.lifecycle.running if names is None or name in names]
        if unnoticed_seconds == 0:
            self._lose_connections(hit)
        else:
            self.clock.call_later(unnoticed_seconds, lambda: self._notice(hit))
        return hit

    async def restart(self, plan: Boot, keep: asyncio.Transport | None = None) -> None:
        """The process dies now; after a while it is back and starts its sessions one by one.

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
        if plan.forget_config:
            self.store.forget(logins=plan.forget_logins)
        self._tasks.spawn(self._boot(plan))

    async def aclose(self) -> None:
        """End all that runs in the background; requests that still wait lose their connection. Idempotent."""
        self._away = True
        await self._tasks.cancel_all()
        self.phones.close()
        self.events.disconnect_all()
        await self.sender.die()
        await self.lifecycle.die()
        await self.webhooks.aclose()
        self.clock.end()

    def _lose_connections(self, names: list[str]) -> None:
        for name in names:
            session = self.lifecycle.running.get(name)
            if session is not None:
                session.lose_connection()

    def _notice(self, names: list[str]) -> None:
        self._lose_connections([name for name in names if self.uplink.seconds_left(name) > 0])

    async def _boot(self, plan: Boot) -> None:
        await self.clock.sleep(plan.down_seconds)
        self.started_at = self.clock.now()
        self._away = False
        await self.clock.sleep(1.0)
        if not plan.keep_sessions_stopped:
            await self.lifecycle.autostart(plan.start_delay_seconds, plan.hang_session)

    def _arrived(self, session: RunningSession, chat: str, text: str, said: Said, *, from_me: bool) -> Message:
        message = Message(
            id=said.id or self.engine.new_id(session.stored.rng),
            chat_id=self.numbers.canonical(make_chat_id(chat)),
            me=f"{session.stored.phone}@c.us",
            from_me=from_me,
            text=text,
            kind="text",
            timestamp=int(self.clock.now() - said.seconds_ago),
            ack=1 if from_me else 2,
            source="app",
            reply_to=said.reply_to,
            author=said.author,
        )
        if from_me:
            self.phones.seen(session.stored)
        session.stored.store.add(message)
        self.limits.met(session.stored, message.chat_id)
        for _ in range(said.times):
            self.receipts.told(session.stored, message, hidden=said.hidden)
        return message

    def _make_running(self, stored: StoredSession) -> RunningSession:
        config = self.config
        asks = config.passkey and config.engine == "GOWS"
        return RunningSession(
            stored,
            engine=self.engine,
            clock=self.clock,
            uplink=self.uplink,
            settings=SessionSettings(
                start_seconds=config.start_seconds,
                auto_scan=None if config.auto_scan_seconds is None else lambda: self._own_number(stored.name),
                auto_scan_seconds=config.auto_scan_seconds or 0.0,
                passkey=PasskeyWish(asks, config.passkey_confirmation),
            ),
            on_status=self._status_told,
            on_paired=self.phones.seen,
            emit=self.events.emit,
        )

    def _status_told(self, session: RunningSession) -> None:
        payload = self._status_payload(session)
        self.events.emit(session, "session.status", lambda: payload)
        if session.status is Status.WORKING:
            owed, session.stored.owed = session.stored.owed, []
            for message, ack in owed:
                self.receipts.acknowledge(session.stored, message, ack)
            self.limits.session_works(session)

    def _status_payload(self, session: RunningSession) -> dict[str, Any]:
        return {
            "name": session.name,
            "status": session.status.value,
            "statuses": session.statuses,
            "data": session.data,
        }

    def _own_number(self, name: str) -> str:
        """The number that scans by itself: the session's name, else a free one of the fictional range."""
        if name.isdigit():
            return name
        pairings = [session.pairing for session in self.lifecycle.running.values()]
        taken = {stored.phone for stored in self.lifecycle.stored.values()}
        taken |= {pairing.phone for pairing in pairings if pairing is not None}
        candidates = (str(FICTIONAL_RANGE + offset) for offset in range(1000))
        return next((phone for phone in candidates if phone not in taken), str(FICTIONAL_RANGE))

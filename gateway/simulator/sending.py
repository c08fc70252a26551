"""How one send travels: wait for the session, take the engine's lock, meet its fate, be accepted or not.

A send runs in a task of its own, so a client that hangs up or times out does not stop it: like the real
server it goes on, and WhatsApp may take the message after nobody listens any more.
"""

import asyncio
import math
import random
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from gateway.simulator.clock import SimClock
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.engine import Engine
from gateway.simulator.errors import CutConnection, EngineFault, JsonObject, undefined_property
from gateway.simulator.faults import Fault, Faults
from gateway.simulator.ids import make_chat_id, parse_message_id
from gateway.simulator.ledger import Ledger, Refusal, Transmission
from gateway.simulator.lifecycle import Lifecycle
from gateway.simulator.limits import RESTRICTED, Limits
from gateway.simulator.media import read_media
from gateway.simulator.messages import Message
from gateway.simulator.numbers import NumberBook
from gateway.simulator.receipts import Receipts
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import Status
from gateway.simulator.tasks import TaskGroup

P99_OVER_MEDIAN = 8.0
EARLY_ACK_SECONDS = 0.5
SIGMA = math.log(P99_OVER_MEDIAN) / 2.3263478740408408


@dataclass(slots=True)
class Attempt:
    """One send request: when it arrived, and what WhatsApp took of it."""

    received_at: float
    transmission: Transmission | None = None


@dataclass(slots=True)
class Draft:
    """A send that passed every check before the engine: what is to be transmitted."""

    session: RunningSession
    chat_id: str
    id: str
    text: str
    kind: str
    media: JsonObject | None
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why WhatsApp refuses a send, what the engine throws then (None: 201), and WhatsApp's code if it is known."""

    reason: str
    thrown: EngineFault | None
    code: int | None = None


class Sender:
    """The sends of all sessions of one server."""

    def __init__(
        self,
        *,
        config: SimulatorConfig,
        clock: SimClock,
        engine: Engine,
        lifecycle: Lifecycle,
        numbers: NumberBook,
        ledger: Ledger,
        receipts: Receipts,
        limits: Limits,
    ) -> None:
        self.faults = Faults()
        self.session_faults: dict[str, Faults] = {}
        self._config = config
        self._clock = clock
        self._engine = engine
        self._lifecycle = lifecycle
        self._numbers = numbers
        self._ledger = ledger
        self._receipts = receipts
        self._limits = limits
        self._sick: WeakKeyDictionary[RunningSession, int] = WeakKeyDictionary()
        self._tasks = TaskGroup()

    async def send(self, kind: str, body: JsonObject, attempt: Attempt) -> JsonObject:
        """Send one message and return the answer's body; `attempt` learns what WhatsApp took.

        WahaError and EngineFault are WAHA's refusals, CutConnection drops the connection.
        """
        task = self._tasks.run(self._send(kind, body, attempt))
        await asyncio.wait([task])
        if task.cancelled():
            raise CutConnection
        return task.result()

    def faults_of(self, session: str) -> Faults:
        """The faults of a session's sends: its own if it was given some, else the server's."""
        return self.session_faults.get(session, self.faults)

    def fall_sick(self, session: RunningSession, code: int) -> None:
        """From now on WhatsApp refuses every send of this engine object with `code`; a restart makes a new one."""
        self._sick[session] = code

    def latency(self, rng: random.Random) -> float:
        """How long the next send takes, in seconds: lognormal, or constant without jitter."""
        median = self._config.latency_seconds
        if median <= 0 or not self._config.latency_jitter:
            return median
        return median * rng.lognormvariate(0.0, SIGMA)

    async def die(self) -> None:
        """The server process ends: sends in flight stop where they are."""
        await self._tasks.cancel_all()

    async def _send(self, kind: str, body: JsonObject, attempt: Attempt) -> JsonObject:
        session = await self._lifecycle.in_status(body.get("session"), Status.WORKING)
        session.touch()
        draft = await self._draft(kind, body, session)
        if not self._engine.serial_sends:
            return await self._transmit(draft, attempt)
        async with session.send_lock:
            return await self._transmit(draft, attempt)

    async def _draft(self, kind: str, body: JsonObject, session: RunningSession) -> Draft:
        chat = body.get("chatId")
        if chat is None:
            raise undefined_property("includes")
        if not isinstance(chat, str):
            raise EngineFault("chatId.includes is not a function", name="TypeError")
        given = body.get("id") if self._engine.honours_ids else None
        media = None if kind == "text" else await read_media(body.get("file"), self._config.transport)
        reply_to = body.get("reply_to")
        return Draft(
            session=session,
            chat_id=make_chat_id(chat),
            id=str(given) if given else self._engine.new_id(session.stored.rng),
            text=_text(body.get("text" if kind == "text" else "caption")),
            kind=kind,
            media=media,
            reply_to=parse_message_id(str(reply_to)).bare if reply_to else None,
        )

    async def _transmit(self, draft: Draft, attempt: Attempt) -> JsonObject:
        rng = draft.session.stored.rng
        faults = self.faults_of(draft.session.name)
        fault = faults.draw(rng)
        await self._clock.sleep(self.latency(rng) + faults.slow)
        if fault in (Fault.ERROR_500, Fault.CUT_BEFORE, Fault.HANG_BEFORE):
            self._refuse(draft, attempt, fault.value)
            await self._fail(fault, faults.hang_seconds)
        if fault is Fault.HANG_THEN_DELIVER:
            await self._clock.sleep(faults.hang_seconds)
        self._check_session(draft, attempt)
        message = self._message(draft)
        refusal = self._refusal(draft, message, fault)
        if refusal is not None:
            self._reject(draft, message, attempt, refusal)
        elif self._accept(draft, message, attempt, fault):
            await self._clock.sleep(EARLY_ACK_SECONDS)
        if fault in (Fault.ERROR_500_AFTER, Fault.CUT_AFTER, Fault.HANG):
            await self._fail(fault, faults.hang_seconds)
        return self._engine.send_answer(message)

    async def _fail(self, fault: Fault, hang_seconds: float) -> None:
        """Do to the client what the fault says; always raises."""
        if fault in (Fault.CUT_BEFORE, Fault.CUT_AFTER):
            raise CutConnection
        if fault in (Fault.HANG, Fault.HANG_BEFORE):
            await self._clock.sleep(hang_seconds)
            raise self._engine.timed_out()
        raise self._engine.server_error()

    def _check_session(self, draft: Draft, attempt: Attempt) -> None:
        session = draft.session
        if not session.connected:
            self._refuse(draft, attempt, "session_not_working")
            raise self._engine.socket_closed()
        code = self._sick.get(session)
        if code is not None:
            self._refuse(draft, attempt, "sick")
            raise self._engine.server_error(code)

    def _refusal(self, draft: Draft, message: Message, fault: Fault | None) -> _Verdict | None:
        """Why WhatsApp does not take a message, None when it does."""
        if fault is Fault.ERROR_463:
            return _Verdict(fault.value, self._engine.restricted(), RESTRICTED)
        if not self._numbers.accepts(draft.chat_id):
            thrown = self._engine.refusal(draft.chat_id)
            if self._engine.name != "GOWS" and self._numbers.misspelt(draft.chat_id):
                return None
            return _Verdict("not_on_whatsapp", thrown)
        reason = self._limits.admits(draft.session.stored, message.chat_id)
        return None if reason is None else _Verdict(reason, self._engine.restricted(), RESTRICTED)

    def _reject(self, draft: Draft, message: Message, attempt: Attempt, verdict: _Verdict) -> None:
        """WhatsApp says no: the engine throws, or answers well and acks -1 later."""
        self._refuse(draft, attempt, verdict.reason)
        if verdict.thrown is not None:
            raise verdict.thrown
        draft.session.stored.store.add(message)
        self._receipts.refused(draft.session.stored, message, verdict.code)

    def _accept(self, draft: Draft, message: Message, attempt: Attempt, fault: Fault | None) -> bool:
        """WhatsApp takes the message: from here on it exists, whatever the client gets to hear.

        Returns whether a receipt came at once, before the answer.
        """
        stored = draft.session.stored
        misspelt = not self._numbers.accepts(draft.chat_id)
        lost = fault in (Fault.NO_RECEIPTS, Fault.NO_TRACE)
        attempt.transmission = self._ledger.accept(
            time=self._clock.now(),
            received_at=attempt.received_at,
            session=draft.session.name,
            account=message.me,
            chat_id=draft.chat_id,
            message_id=draft.id,
            text=draft.text,
            kind=draft.kind,
            media=draft.media,
            delivered=not (lost or misspelt),
        )
        self._limits.met(stored, message.chat_id)
        if fault is Fault.NO_TRACE:
            return False
        stored.store.add(message)
        if lost:
            self._receipts.told(stored, message)
            return False
        return self._receipts.accepted(stored, message, delivered=not misspelt)

    def _refuse(self, draft: Draft, attempt: Attempt, reason: str) -> None:
        self._ledger.refuse(
            Refusal(
                time=self._clock.now(),
                received_at=attempt.received_at,
                session=draft.session.name,
                chat_id=draft.chat_id,
                id=draft.id,
                reason=reason,
            )
        )

    def _message(self, draft: Draft) -> Message:
        return Message(
            id=draft.id,
            chat_id=self._numbers.canonical(draft.chat_id),
            me=f"{draft.session.stored.phone}@c.us",
            from_me=True,
            text=draft.text,
            kind=draft.kind,
            timestamp=int(self._clock.now()),
            ack=1 if self._engine.serial_sends else 0,
            source="api",
            media=draft.media,
            reply_to=draft.reply_to,
        )


def _text(value: Any) -> str:
    return "" if value is None else str(value)

"""How one send travels: wait for the session, take the engine's lock, meet its fate, be accepted or not.

A send runs in a task of its own, so a client that hangs up or times out does not stop it: like the real
server it goes on, and WhatsApp may take the message after nobody listens any more.
"""

import asyncio
import math
import random
from dataclasses import dataclass
from typing import Any

from gateway.simulator.clock import SimClock
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.engine import Engine
from gateway.simulator.errors import CutConnection, EngineFault, JsonObject, undefined_property
from gateway.simulator.faults import Fault, Faults
from gateway.simulator.ids import make_chat_id, parse_message_id
from gateway.simulator.ledger import Ledger, Refusal, Transmission
from gateway.simulator.lifecycle import Lifecycle
from gateway.simulator.media import read_media
from gateway.simulator.messages import Message
from gateway.simulator.numbers import NumberBook
from gateway.simulator.receipts import Receipts
from gateway.simulator.session import RunningSession, Status
from gateway.simulator.tasks import TaskGroup

P99_OVER_MEDIAN = 8.0
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
        self._check_socket(draft, attempt)
        message = self._message(draft)
        if fault is Fault.ERROR_463:
            self._reject(draft, message, attempt, fault.value, self._engine.restricted())
        elif not self._numbers.accepts(draft.chat_id):
            self._reject(draft, message, attempt, "not_on_whatsapp", self._engine.refusal(draft.chat_id))
        else:
            self._accept(draft, message, attempt)
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

    def _check_socket(self, draft: Draft, attempt: Attempt) -> None:
        session = draft.session
        if session.closed or session.status is not Status.WORKING:
            self._refuse(draft, attempt, "session_not_working")
            raise self._engine.socket_closed()

    def _reject(
        self, draft: Draft, message: Message, attempt: Attempt, reason: str, thrown: EngineFault | None
    ) -> None:
        """WhatsApp says no: the engine throws, or answers well and acks -1 later."""
        self._refuse(draft, attempt, reason)
        if thrown is not None:
            raise thrown
        draft.session.stored.store.add(message)
        self._receipts.refused(draft.session.stored, message)

    def _accept(self, draft: Draft, message: Message, attempt: Attempt) -> None:
        """WhatsApp takes the message: from here on it exists, whatever the client gets to hear."""
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
        )
        draft.session.stored.store.add(message)
        self._receipts.accepted(draft.session.stored, message)

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

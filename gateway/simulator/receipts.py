"""What comes back after a send: our own message as an event, and the receipts of the other side."""

import dataclasses
from collections.abc import Callable
from functools import partial

from gateway.simulator.clock import SimClock
from gateway.simulator.engine import Engine
from gateway.simulator.events import EventHub
from gateway.simulator.ids import parse_phone
from gateway.simulator.messages import Message
from gateway.simulator.numbers import NumberBook
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import StoredSession

SERVER_SECONDS = (0.05, 0.2)
DEVICE_SECONDS = (0.5, 2.0)
READ_SECONDS = (2.0, 8.0)


class Receipts:
    """Tells the events that follow a send, by each engine's rules.

    A receipt that arrives while the session is away waits until it works again.
    """

    def __init__(
        self,
        *,
        clock: SimClock,
        engine: Engine,
        hub: EventHub,
        numbers: NumberBook,
        running: Callable[[str], RunningSession | None],
        enabled: bool,
        use_lids: bool,
    ) -> None:
        self.enabled = enabled
        self._clock = clock
        self._engine = engine
        self._hub = hub
        self._numbers = numbers
        self._running = running
        self._use_lids = use_lids

    def accepted(self, stored: StoredSession, message: Message, *, delivered: bool = True) -> bool:
        """WhatsApp took a message: tell it as an event now, and its receipts when they come.

        One that is not `delivered` gets the server's receipt and no other. Returns whether the phone's receipt came at
        once, so that it is heard before the answer.
        """
        self.told(stored, message)
        if not self.enabled:
            return False
        rng, faults = stored.rng, self._hub.faults
        if self._engine.first_ack == 1:
            self._later(stored, message, 1, rng.uniform(*SERVER_SECONDS))
        if not delivered:
            return False
        seconds = rng.uniform(*DEVICE_SECONDS)
        early = self._hub.happens(faults.early_acks)
        if early:
            self.acknowledge(stored, message, 2)
        elif not self._hub.happens(faults.skip_device_ack):
            self._later(stored, message, 2, seconds)
        self._later(stored, message, 3, seconds + rng.uniform(*READ_SECONDS))
        if self._hub.happens(faults.foreign_acks):
            stranger = dataclasses.replace(message, id=self._engine.new_id(self._hub.fate))
            self._later(stored, stranger, 2, seconds)
        return early

    def refused(self, stored: StoredSession, message: Message, code: int | None) -> None:
        """WhatsApp's server refused a message that was answered with 201: ack -1, and no reason.

        Where WhatsApp gave a `code`, only the engine's raw event tells it.
        """
        self.told(stored, message)
        seconds = stored.rng.uniform(*SERVER_SECONDS)
        if code is not None:
            self._clock.call_later(seconds, lambda: self._tell_bad_ack(stored, message, code))
        self._later(stored, message, -1, seconds)

    def told(self, stored: StoredSession, message: Message, *, hidden: bool = False) -> None:
        """Tell a message of ours, or one that came in, as the engine's own events do; `hidden`: under its hidden id."""
        session = self._running(stored.name)
        if session is None:
            return
        for one in self._variants(message, hidden=hidden):
            if not one.from_me:
                self._hub.emit(session, "message", partial(self._engine.message_json, one))
            self._hub.emit(session, "message.any", partial(self._engine.message_json, one))

    def acknowledge(self, stored: StoredSession, message: Message, ack: int) -> None:
        """A receipt arrives now, or when the session works again."""
        device = stored.device
        if device is None or not device.connected:
            stored.owed.append((message, ack))
            return
        message.ack = -1 if ack == -1 else max(message.ack, ack)
        event = "message.ack.group" if message.chat_id.endswith("@g.us") else "message.ack"
        chat_id = self._chat_in_receipt(message.chat_id)
        device.emit(event, lambda: self._engine.ack_json(message, ack, chat_id))

    def _later(self, stored: StoredSession, message: Message, ack: int, seconds: float) -> None:
        self._clock.call_later(seconds, lambda: self.acknowledge(stored, message, ack))

    def _tell_bad_ack(self, stored: StoredSession, message: Message, code: int) -> None:
        session = self._running(stored.name)
        if session is None:
            return
        update = {"status": 0, "messageStubParameters": [str(code)]}
        data = [{"key": self._engine.raw(message)["key"], "update": update}]
        self._hub.emit(session, "engine.event", lambda: {"event": "messages.update", "data": data})

    def _variants(self, message: Message, *, hidden: bool) -> list[Message]:
        """The message as it is told: once, or under the chat's hidden id too, or under that alone."""
        phone = parse_phone(message.chat_id)
        if phone is not None and hidden:
            return [dataclasses.replace(message, chat_id=self._numbers.lid(phone))]
        if phone is None or not self._hub.happens(self._hub.faults.lid_variant):
            return [message]
        return [dataclasses.replace(message, chat_id=self._numbers.lid(phone)), message]

    def _chat_in_receipt(self, chat_id: str) -> str:
        phone = parse_phone(chat_id)
        return self._numbers.lid(phone) if self._use_lids and phone is not None else chat_id

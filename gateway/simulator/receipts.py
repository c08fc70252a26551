"""What comes back after a send: our own message as an event, and the receipts of the other side."""

from collections.abc import Callable

from gateway.simulator.clock import SimClock
from gateway.simulator.engine import Engine
from gateway.simulator.events import EventHub
from gateway.simulator.ids import parse_phone
from gateway.simulator.messages import Message
from gateway.simulator.numbers import NumberBook
from gateway.simulator.session import RunningSession, Status, StoredSession

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

    def accepted(self, stored: StoredSession, message: Message) -> None:
        """WhatsApp took a message: tell it as an event now, and its receipts when they come."""
        self.told(stored, message)
        if not self.enabled:
            return
        rng = stored.rng
        if self._engine.first_ack == 1:
            self._later(stored, message, 1, rng.uniform(*SERVER_SECONDS))
        delivered = rng.uniform(*DEVICE_SECONDS)
        self._later(stored, message, 2, delivered)
        self._later(stored, message, 3, delivered + rng.uniform(*READ_SECONDS))

    def refused(self, stored: StoredSession, message: Message) -> None:
        """WhatsApp's server refused a message that was answered with 201: ack -1, and no reason."""
        self.told(stored, message)
        self._later(stored, message, -1, stored.rng.uniform(*SERVER_SECONDS))

    def told(self, stored: StoredSession, message: Message) -> None:
        """Tell a message of ours, or one that came in, as the engine's own events do."""
        session = self._running(stored.name)
        if session is None:
            return
        if not message.from_me:
            self._hub.emit(session, "message", lambda: self._engine.message_json(message))
        self._hub.emit(session, "message.any", lambda: self._engine.message_json(message))

    def acknowledge(self, stored: StoredSession, message: Message, ack: int) -> None:
        """A receipt arrives now, or when the session works again."""
        session = self._running(stored.name)
        if session is None or session.status is not Status.WORKING:
            stored.owed.append(lambda: self.acknowledge(stored, message, ack))
            return
        message.ack = -1 if ack == -1 else max(message.ack, ack)
        event = "message.ack.group" if message.chat_id.endswith("@g.us") else "message.ack"
        chat_id = self._chat_in_receipt(message.chat_id)
        self._hub.emit(session, event, lambda: self._engine.ack_json(message, ack, chat_id))

    def _later(self, stored: StoredSession, message: Message, ack: int, seconds: float) -> None:
        self._clock.call_later(seconds, lambda: self.acknowledge(stored, message, ack))

    def _chat_in_receipt(self, chat_id: str) -> str:
        phone = parse_phone(chat_id)
        return self._numbers.lid(phone) if self._use_lids and phone is not None else chat_id

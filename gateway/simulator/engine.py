"""What an engine is: how long it takes, what its answers look like, and how it fails."""

import random
from abc import ABC, abstractmethod
from typing import Any, Literal

from gateway.simulator.config import EngineName
from gateway.simulator.errors import EngineFault, JsonObject
from gateway.simulator.ids import make_lid, make_message_id
from gateway.simulator.messages import ACK_NAMES, Message

ReconnectStyle = Literal["backoff", "steady", "reload"]


class Engine(ABC):
    """What the engines have in common; a subclass states where it differs.

    `serial_sends`: one send at a time per session, the others queue. `honours_ids`: a send's `id` is used.
    `first_ack`: the first receipt that is told as an event. `starts_again_after_pairing`: pairing goes
    through STARTING once more. `logout_spoils_login`: after the phone removed the device, only a logout helps.
    `reconnects`: how the engine comes back when WhatsApp is out of reach, see `Connector`.
    """

    name: EngineName
    stop_seconds = 0.01
    unpair_seconds = 1.0
    serial_sends = False
    honours_ids = True
    bare_lookup = True
    first_ack = 2
    starts_again_after_pairing = False
    logout_spoils_login = False
    reconnects: ReconnectStyle
    browser: str | None = None

    def full_id(self, message: Message) -> str:
        """The serialized id, `true_<chat>_<ID>`; in groups with our own id behind it."""
        suffix = f"_{message.me}" if message.chat_id.endswith(("@g.us", "@broadcast")) else ""
        return f"{'true' if message.from_me else 'false'}_{message.chat_id}_{message.id}{suffix}"

    def new_id(self, rng: random.Random) -> str:
        """A message id as this engine makes it."""
        return make_message_id(rng)

    @abstractmethod
    def send_answer(self, message: Message) -> JsonObject:
        """The body of a send's 201."""

    @abstractmethod
    def refusal(self, chat_id: str) -> EngineFault | None:
        """What a send to an id that is not on WhatsApp throws; None: it answers 201 and acks -1."""

    @abstractmethod
    def restricted(self) -> EngineFault | None:
        """What a send throws whose sender may not write to new contacts now; None: 201, then ack -1."""

    @abstractmethod
    def timed_out(self) -> EngineFault:
        """What a send throws that waited for WhatsApp's word in vain."""

    @abstractmethod
    def socket_closed(self) -> EngineFault:
        """What a send throws whose session lost its connection meanwhile."""

    @abstractmethod
    def server_error(self, code: int = 500) -> EngineFault:
        """What a send throws that failed somewhere; `code` is WhatsApp's, which not every engine tells."""

    def raw(self, message: Message) -> JsonObject:
        """The message as the engine's own library has it, the `_data` of answers and events."""
        return {"id": message.id, "body": message.text, "fromMe": message.from_me}

    def message_json(self, message: Message) -> JsonObject:
        """WAHA's WAMessage."""
        return {
            "id": self.full_id(message),
            "timestamp": message.timestamp,
            "from": message.chat_id,
            "fromMe": message.from_me,
            "source": message.source,
            "to": None,
            "participant": None,
            "body": message.text,
            "hasMedia": message.media is not None,
            "media": None,
            "ack": message.ack,
            "ackName": ACK_NAMES[message.ack],
            "replyTo": None if message.reply_to is None else {"id": message.reply_to, "hasMedia": False},
            "_data": self.raw(message),
        }

    def ack_json(self, message: Message, ack: int, chat_id: str) -> JsonObject:
        """The payload of a message.ack event about `ack`; `chat_id` may be the chat's hidden id."""
        return {
            "id": self.full_id(message).replace(message.chat_id, chat_id),
            "from": chat_id,
            "to": None,
            "participant": None,
            "fromMe": message.from_me,
            "ack": ack,
            "ackName": ACK_NAMES[ack],
        }

    def exists_json(self, chat_id: str | None) -> JsonObject:
        """The answer of check-exists; None for a number that is not on WhatsApp."""
        if chat_id is None:
            return {"numberExists": False}
        return {"numberExists": True, "chatId": chat_id}

    def state_json(self, *, working: bool) -> JsonObject:
        """The `engine` part of a single session's info."""
        return {"engine": self.name}


def me_json(phone: str, engine: EngineName) -> dict[str, Any]:
    """WAHA's MeInfo of a paired number; WEBJS knows no lid."""
    me = {"id": f"{phone}@c.us", "pushName": f"Phone {phone[-4:]}"}
    if engine == "WEBJS":
        return me
    return {**me, "lid": make_lid(phone), "jid": f"{phone}:1@s.whatsapp.net"}

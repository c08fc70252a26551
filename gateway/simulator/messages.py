"""The messages that a session knows: its own sends and what came in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ACK_NAMES = {-1: "ERROR", 0: "PENDING", 1: "SERVER", 2: "DEVICE", 3: "READ", 4: "PLAYED"}


@dataclass(slots=True)
class Message:
    """One message of one chat. `timestamp` is in real seconds since the epoch; `me` is our own chat id.

    `author` is what somebody who wrote to us calls themselves.
    """

    id: str
    chat_id: str
    me: str
    from_me: bool
    text: str
    kind: str
    timestamp: int
    ack: int
    source: str
    media: dict[str, Any] | None = None
    reply_to: str | None = None
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody writes to a session, beside the text; by default simply now, under their number.

    `id` is WhatsApp's, made if it is None. It was written `seconds_ago`, and is told `times` times, each as an event
    of its own; `hidden`: under the hidden id of the chat alone. `reply_to` is the id of a message that it quotes.
    """

    id: str | None = None
    author: str = ""
    reply_to: str | None = None
    seconds_ago: float = 0.0
    times: int = 1
    hidden: bool = False


class MessageStore:
    """The messages of one paired account by chat and id, in order of arrival."""

    def __init__(self) -> None:
        self._chats: dict[str, dict[str, Message]] = {}

    def add(self, message: Message) -> None:
        """Keep a message; one with a known id in the same chat takes the place of the older one."""
        self._chats.setdefault(message.chat_id, {})[message.id] = message

    def find(self, chat_id: str, message_id: str) -> Message | None:
        """A message by its bare id; chat `all` looks everywhere."""
        if chat_id != "all":
            return self._chats.get(chat_id, {}).get(message_id)
        return next((chat[message_id] for chat in self._chats.values() if message_id in chat), None)

    def newest_first(self, chat_id: str) -> Iterator[Message]:
        """The messages of a chat, or of `all`, the newest first."""
        if chat_id != "all":
            yield from reversed(self._chats.get(chat_id, {}).values())
            return
        everything = [message for chat in self._chats.values() for message in chat.values()]
        yield from sorted(everything, key=lambda message: message.timestamp, reverse=True)

    def clear(self) -> None:
        """Forget everything, as a wiped login does."""
        self._chats = {}

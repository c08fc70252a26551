"""What WAHA tells us, as small frozen values: answers (read by `answers.py`) and events (`parse_event`).

Times are WAHA's own: milliseconds since 1970, by its clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import orjson

from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.ids import MessageKey, normalize_chat_id, parse_message_key
from gateway.waha.json_values import as_flag, as_object, as_text, as_texts, as_whole

JsonObject = Mapping[str, Any]


class WahaStatus(StrEnum):
    """WAHA's status of a session. `UNKNOWN` stands for a word of a newer WAHA."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    PASSKEY_REQUIRED = "PASSKEY_REQUIRED"
    PASSKEY_CONFIRMATION_REQUIRED = "PASSKEY_CONFIRMATION_REQUIRED"
    WORKING = "WORKING"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> "WahaStatus":
        return cls.UNKNOWN


class MediaKind(StrEnum):
    """How WhatsApp shows a file; each has a route of its own at WAHA."""

    IMAGE = "image"
    VIDEO = "video"
    VOICE = "voice"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Timelock:
    """WhatsApp's lock on writing to new contacts, as newer WAHA tell it.

    `ends_at` is in epoch seconds, None where no end is told; `enforcement` is WhatsApp's word for the kind of lock.
    """

    is_active: bool
    enforcement: str | None = None
    ends_at: float | None = None

    @classmethod
    def from_json(cls, body: object) -> Self | None:
        """Read `reachoutTimelock`; None where nothing is told."""
        lock = as_object(body)
        is_active = as_flag(lock.get("isActive"))
        if is_active is None:
            return None
        ends_at = as_whole(lock.get("timeEnforcementEnds"))
        return cls(is_active, as_text(lock.get("enforcementType")), float(ends_at) if ends_at else None)


@dataclass(frozen=True, slots=True)
class Me:
    """The WhatsApp account that a session is paired with. `id` is its chat id.

    Newer WAHA tell WhatsApp's limits too: `timelock`, and `capping`, its quota of new chats as WAHA words it. None is
    no word: neither that there is a limit, nor that there is none.
    """

    id: str
    push_name: str | None = None
    lid: str | None = None
    jid: str | None = None
    timelock: Timelock | None = None
    capping: JsonObject | None = field(default=None, hash=False)

    @classmethod
    def from_json(cls, body: object) -> Self | None:
        """Read WAHA's `me`: null, or without an id, while unpaired."""
        me = as_object(body)
        chat_id = as_text(me.get("id"))
        if not chat_id:
            return None
        return cls(
            id=normalize_chat_id(chat_id),
            push_name=as_text(me.get("pushName")),
            lid=as_text(me.get("lid")),
            jid=as_text(me.get("jid")),
            timelock=Timelock.from_json(me.get("reachoutTimelock")),
            capping=as_object(me.get("messageCapping")) or None,
        )


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session as WAHA tells it.

    `engine` is the engine's own state, told for a single session only (GET, create). `activity_at` is the time
    of the last call that touched WhatsApp: not a sign of life. A stopped session keeps its last `me`.
    """

    name: str
    status: WahaStatus
    me: Me | None = None
    config: JsonObject = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    engine: JsonObject = field(default_factory=dict)
    presence: str | None = None
    activity_at: int | None = None
    assigned_worker: str | None = None


@dataclass(frozen=True, slots=True)
class QrCode:
    """The raw text of the current pairing QR: a secret while it lives (60 s the first, 20 s each later one)."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PairingCode:
    """The code to type into the phone instead of scanning, such as `ABCD-EFGH`: a secret while it lives."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SentMessage:
    """WAHA took the message. `message_id` is the bare id, which WEBJS chooses itself.

    `accepted`: the answer itself says that WhatsApp's server took it (GOWS waits for that; WEBJS tells an ack).
    """

    message_id: str
    chat_id: str | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message in the engine's store; `ack` is -1 error, 0 pending, 1 server, 2 device, 3 read, 4 played."""

    message_id: str
    chat_id: str | None
    ack: int | None
    from_me: bool | None


@dataclass(frozen=True, slots=True)
class NumberCheck:
    """Whether a number is on WhatsApp, and the chat id to send to, which may differ (Brazil's ninth digit)."""

    exists: bool
    chat_id: str | None


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """What runs at this address. Never tell features from `tier`; use `version`."""

    version: str
    engine: str
    tier: str | None = None
    platform: str | None = None
    browser: str | None = None
    worker_id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """`start_timestamp` (ms) jumps when the server restarts; between restarts it jitters by some ms."""

    start_timestamp: int
    uptime: int
    worker_id: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """A marker in the event stream: the socket is (again) open, and what happened before it was missed."""


@dataclass(frozen=True, slots=True)
class SessionStatusEvent:
    """A session's status was told. Repeats are common (each new QR), and WORKING is not always a change.

    `data` belongs to the passkey steps, or tells a lock on new contacts, which `me` then has too; `metadata` is what
    the session was created with.
    """

    event_id: str
    session: str
    status: WahaStatus
    timestamp: int | None
    me: Me | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class MessageAckEvent:
    """A receipt. Levels may be skipped, repeated and out of order: keep the highest.

    `chat_id` may be the recipient's hidden id (`@lid`) although we sent to the number.
    """

    event_id: str
    session: str
    message_id: str
    chat_id: str | None
    ack: int
    from_me: bool | None
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What somebody wrote: `text` is empty where there is none, `quoted_id` the bare id of the message they answer.

    `written_at` is in whole seconds, by WhatsApp's clock. `push_name` is what they call themselves.
    """

    text: str = field(repr=False)
    has_media: bool
    has_location: bool
    has_contact: bool
    written_at: int | None
    quoted_id: str | None
    push_name: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageAnyEvent:
    """A message went through this session, ours or theirs. `source` is "api" (us) or "app" (the phone).

    `content` is read of theirs only: what we sent we know.
    """

    event_id: str
    session: str
    message_id: str
    chat_id: str | None
    from_me: bool | None
    source: str | None
    ack: int | None
    timestamp: int | None
    content: MessageContent | None = None


Event = SessionStatusEvent | MessageAckEvent | MessageAnyEvent


def parse_event(raw: bytes | str | Mapping[str, Any]) -> Event | None:
    """Read one event as it comes over WebSocket or webhook; None for kinds that nobody here listens to.

    Raises `WahaMalformedEvent` for what is no event, and for a known kind without what it must have.
    """
    if isinstance(raw, bytes | str):
        try:
            raw = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise WahaMalformedEvent("an event that is not JSON") from exc
    event = as_object(raw)
    kind = as_text(event.get("event"))
    if kind is None:
        raise WahaMalformedEvent("an event without its kind")
    reader = _READERS.get(kind)
    return reader(event, as_object(event.get("payload"))) if reader else None


def _need_text(part: JsonObject, key: str) -> str:
    value = as_text(part.get(key))
    if not value:
        raise WahaMalformedEvent(f"an event without {key!r}")
    return value


def _need_key(payload: JsonObject) -> MessageKey:
    key = parse_message_key(payload)
    if key is None:
        raise WahaMalformedEvent("an event without a message id")
    return key


def _chat_of(payload: JsonObject, key: MessageKey) -> str | None:
    """The chat in the serialized id is right on every engine; `from` is the chat on GOWS and NOWEB only."""
    chat_id = key.chat_id or as_text(payload.get("from"))
    return normalize_chat_id(chat_id) if chat_id else None


def _from_me(payload: JsonObject, key: MessageKey) -> bool | None:
    from_me = as_flag(payload.get("fromMe"))
    return key.from_me if from_me is None else from_me


def _read_session_status(event: JsonObject, payload: JsonObject) -> SessionStatusEvent:
    data = payload.get("data")
    return SessionStatusEvent(
        event_id=_need_text(event, "id"),
        session=_need_text(event, "session"),
        status=WahaStatus(_need_text(payload, "status")),
        timestamp=as_whole(event.get("timestamp")),
        me=_read_me(event, as_object(data)),
        metadata=as_texts(event.get("metadata")),
        data=data if isinstance(data, dict) else None,
    )


def _read_me(event: JsonObject, data: JsonObject) -> Me | None:
    """The account, with the lock that the status itself tells: that is the fresher one."""
    me = Me.from_json(event.get("me"))
    timelock = Timelock.from_json(data.get("reachoutTimelock"))
    return replace(me, timelock=timelock) if me is not None and timelock is not None else me


def _read_message_ack(event: JsonObject, payload: JsonObject) -> MessageAckEvent:
    key = _need_key(payload)
    ack = as_whole(payload.get("ack"))
    if ack is None or not -1 <= ack <= 4:
        raise WahaMalformedEvent("a receipt without a known level")
    return MessageAckEvent(
        event_id=_need_text(event, "id"),
        session=_need_text(event, "session"),
        message_id=key.message_id,
        chat_id=_chat_of(payload, key),
        ack=ack,
        from_me=_from_me(payload, key),
        timestamp=as_whole(event.get("timestamp")),
    )


def _read_message_any(event: JsonObject, payload: JsonObject) -> MessageAnyEvent:
    key = _need_key(payload)
    from_me = _from_me(payload, key)
    return MessageAnyEvent(
        event_id=_need_text(event, "id"),
        session=_need_text(event, "session"),
        message_id=key.message_id,
        chat_id=_chat_of(payload, key),
        from_me=from_me,
        source=as_text(payload.get("source")),
        ack=as_whole(payload.get("ack")),
        timestamp=as_whole(event.get("timestamp")),
        content=_read_content(payload) if from_me is False else None,
    )


def _read_content(payload: JsonObject) -> MessageContent:
    quoted = parse_message_key(payload.get("replyTo"))
    return MessageContent(
        text=as_text(payload.get("body")) or "",
        has_media=as_flag(payload.get("hasMedia")) is True,
        has_location=bool(payload.get("location")),
        has_contact=bool(payload.get("vCards")),
        written_at=as_whole(payload.get("timestamp")),
        quoted_id=quoted.message_id if quoted else None,
        push_name=_push_name(as_object(payload.get("_data"))),
    )


def _push_name(data: JsonObject) -> str | None:
    """The name in the engine's own message: WEBJS's, NOWEB's, GOWS's."""
    names = (data.get("notifyName"), data.get("pushName"), as_object(data.get("Info")).get("PushName"))
    return next((name for name in map(as_text, names) if name), None)


_READERS: Mapping[str, Callable[[JsonObject, JsonObject], Event]] = {
    "session.status": _read_session_status,
    "message.ack": _read_message_ack,
    "message.any": _read_message_any,
}

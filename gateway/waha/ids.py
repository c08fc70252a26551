"""Identifiers of WhatsApp and WAHA: a leaf. Pairs of `make_x` and `parse_x`, and nowhere else such strings.

Three spellings of one message id are in use: bare (`3EB0...`), serialized (`true_<chat id>_<bare>`, in groups
followed by `_<participant>`), and an object. Only the bare one is stable: the chat id in the middle may change
between the phone number and the hidden "lid" of the same person.
"""

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

_BARE_ID = re.compile(r"[A-Za-z0-9.-]{1,128}")
_DIGITS = re.compile(r"[0-9]{5,20}")
_GROUP_NAME = re.compile(r"[0-9]{5,20}(-[0-9]{5,20})?")


class ChatKind(StrEnum):
    """What a chat id names: a phone number, a person's hidden id, a group."""

    PHONE = "phone"
    LID = "lid"
    GROUP = "group"


class ChatId(NamedTuple):
    """A chat id taken apart. `digits` of a group may have a hyphen in the middle (old groups)."""

    digits: str
    kind: ChatKind


class MessageKey(NamedTuple):
    """What a serialized message id tells; what it leaves open is None."""

    message_id: str
    chat_id: str | None = None
    from_me: bool | None = None


_KINDS = {
    "c.us": ChatKind.PHONE,
    "s.whatsapp.net": ChatKind.PHONE,
    "lid": ChatKind.LID,
    "g.us": ChatKind.GROUP,
}


def make_message_id() -> str:
    """Return a new message id as WhatsApp's own clients make them: "3EB0" and 18 upper-case hex digits."""
    return "3EB0" + secrets.token_hex(9).upper()


def make_chat_id(phone: str) -> str:
    """Return the chat id of a phone number: digits with country code, a leading "+" allowed.

    Raises ValueError for anything else.
    """
    digits = phone.removeprefix("+")
    if not _DIGITS.fullmatch(digits):
        raise ValueError("a chat id is made from the digits of a phone number")
    return f"{digits}@c.us"


def make_lid(digits: str) -> str:
    """Return a person's hidden id as a chat id; raises ValueError for what are no digits."""
    if not _DIGITS.fullmatch(digits):
        raise ValueError("a hidden id is made from digits")
    return f"{digits}@lid"


def parse_chat_id(chat_id: object) -> ChatId | None:
    """Take a chat id apart; None for what is none of a person or a group (status, newsletters, rubbish).

    `<digits>:<device>@...` gives the digits: the device is not part of who it is.
    """
    if not isinstance(chat_id, str):
        return None
    name, _, server = chat_id.partition("@")
    kind = _KINDS.get(server)
    if kind is None:
        return None
    if kind is not ChatKind.GROUP:
        name = name.partition(":")[0]
    pattern = _GROUP_NAME if kind is ChatKind.GROUP else _DIGITS
    return ChatId(name, kind) if pattern.fullmatch(name) else None


def normalize_chat_id(chat_id: str) -> str:
    """Return the chat id as WAHA's own API spells it: `@s.whatsapp.net` and device numbers become `@c.us`."""
    parsed = parse_chat_id(chat_id)
    return make_chat_id(parsed.digits) if parsed and parsed.kind is ChatKind.PHONE else chat_id


def parse_message_id(value: object) -> str | None:
    """Return the bare message id out of any shape that WAHA uses, or None."""
    key = parse_message_key(value)
    return key.message_id if key else None


def parse_message_key(value: object) -> MessageKey | None:
    """Read a message id of any shape: bare, serialized, WEBJS object, NOWEB key, or a message with one in it."""
    if isinstance(value, str):
        return _parse_text(value)
    if not isinstance(value, Mapping):
        return None
    inner = value.get("key", value.get("id"))
    if isinstance(inner, Mapping):
        return _parse_object(inner)
    return _parse_object(value)


def _parse_text(value: str) -> MessageKey | None:
    """Bare or serialized; only the third part of a serialized id counts (groups append the participant)."""
    parts = value.split("_")
    if parts[0] in {"true", "false"} and len(parts) in {3, 4}:
        if not _BARE_ID.fullmatch(parts[2]):
            return None
        return MessageKey(parts[2], normalize_chat_id(parts[1]), parts[0] == "true")
    return MessageKey(value) if _BARE_ID.fullmatch(value) else None


def _parse_object(value: Mapping[object, object]) -> MessageKey | None:
    """`{fromMe, remote, id, _serialized?}` of WEBJS or `{fromMe, remoteJid, id}` of NOWEB."""
    text = value.get("id", value.get("_serialized"))
    found = _parse_text(text) if isinstance(text, str) else None
    if found is None:
        return None
    remote = value.get("remote", value.get("remoteJid"))
    if isinstance(remote, Mapping):
        remote = remote.get("_serialized")
    from_me = value.get("fromMe")
    return MessageKey(
        found.message_id,
        normalize_chat_id(remote) if isinstance(remote, str) else found.chat_id,
        from_me if isinstance(from_me, bool) else found.from_me,
    )

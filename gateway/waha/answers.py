"""Reads WAHA's JSON answers into the values of `schemas.py`.

Each function takes decoded JSON and raises `WahaUnexpectedAnswer` when what it cannot do without is missing;
everything else is taken if it is there, because WAHA's versions and engines differ in it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.waha.errors import WahaUnexpectedAnswer
from gateway.waha.ids import ChatKind, parse_chat_id, parse_message_key
from gateway.waha.json_values import as_flag, as_object, as_text, as_texts, as_whole
from gateway.waha.schemas import (
    FoundMessage,
    Me,
    NumberCheck,
    PairingCode,
    QrCode,
    SentMessage,
    ServerStatus,
    ServerVersion,
    SessionInfo,
    WahaStatus,
)


def _require_text(body: object, key: str) -> str:
    found = as_object(body).get(key)
    if not isinstance(found, str):
        raise WahaUnexpectedAnswer(f"WAHA's answer has no text in {key!r}")
    return found


def read_session(body: object) -> SessionInfo:
    """SessionInfo or SessionDTO: only `name` and `status` are always there."""
    session = as_object(body)
    config = as_object(session.get("config"))
    return SessionInfo(
        name=_require_text(body, "name"),
        status=WahaStatus(_require_text(body, "status")),
        me=Me.from_json(session.get("me")),
        config=config,
        metadata=as_texts(config.get("metadata")),
        engine=as_object(session.get("engine")),
        presence=as_text(session.get("presence")),
        activity_at=as_whole(as_object(session.get("timestamps")).get("activity")),
        assigned_worker=as_text(session.get("assignedWorker")),
    )


def list_of_sessions(body: object) -> list[object]:
    """What `read_session` reads, each."""
    if not isinstance(body, list):
        raise WahaUnexpectedAnswer("WAHA's answer is not a list of sessions")
    return body


def read_qr(body: object) -> QrCode:
    """`?format=raw`."""
    return QrCode(_require_text(body, "value"))


def read_pairing_code(body: object) -> PairingCode:
    """The answer of request-code."""
    return PairingCode(_require_text(body, "code"))


def read_challenge(body: object) -> Mapping[str, Any]:
    """WebAuthn's options for a passkey: whatever WhatsApp asks for is passed on as it is."""
    _require_text(body, "challenge")
    return as_object(body)


def read_version(body: object) -> ServerVersion:
    """GET /api/server/version."""
    version = as_object(body)
    return ServerVersion(
        version=_require_text(body, "version"),
        engine=_require_text(body, "engine"),
        tier=as_text(version.get("tier")),
        platform=as_text(version.get("platform")),
        browser=as_text(version.get("browser")),
        worker_id=as_text(as_object(version.get("worker")).get("id")),
    )


def read_status(body: object) -> ServerStatus:
    """GET /api/server/status."""
    status = as_object(body)
    started, uptime = as_whole(status.get("startTimestamp")), as_whole(status.get("uptime"))
    if started is None or uptime is None:
        raise WahaUnexpectedAnswer("WAHA's answer has no startTimestamp or uptime")
    return ServerStatus(started, uptime, as_text(as_object(status.get("worker")).get("id")))


def read_sent(body: object) -> SentMessage:
    """The answer of a send; the three engines have three shapes.

    GOWS: `id` is a serialized text, and the answer came after WhatsApp's server took the message. NOWEB: a
    `key` object, and the message was only written. WEBJS: `id` is an object, and `ack` says how far it got.
    """
    key = parse_message_key(body)
    if key is None:
        raise WahaUnexpectedAnswer("WAHA's answer to a send has no message id")
    answer = as_object(body)
    accepted = isinstance(answer.get("id"), str) or (as_whole(answer.get("ack")) or 0) >= 1
    return SentMessage(key.message_id, key.chat_id, accepted)


def read_found(body: object, message_id: str) -> FoundMessage:
    """A looked-up message. Another one than was asked for is no proof of anything."""
    key = parse_message_key(body)
    if key is None or key.message_id != message_id:
        raise WahaUnexpectedAnswer("WAHA's answer is not the message that was looked up")
    message = as_object(body)
    from_me = as_flag(message.get("fromMe"))
    return FoundMessage(
        message_id=key.message_id,
        chat_id=key.chat_id,
        ack=as_whole(message.get("ack")),
        from_me=key.from_me if from_me is None else from_me,
    )


def read_number_check(body: object) -> NumberCheck:
    """GET check-exists; engines differ in whether `chatId` is there when the number does not exist."""
    answer = as_object(body)
    exists = as_flag(answer.get("numberExists"))
    if exists is None:
        raise WahaUnexpectedAnswer("WAHA's answer does not say whether the number exists")
    return NumberCheck(exists, as_text(answer.get("chatId")) if exists else None)


def read_phone(body: object) -> str | None:
    """GET lids/{lid}: the digits behind a hidden id, None where WAHA does not know them."""
    chat = parse_chat_id(as_object(body).get("pn"))
    return chat.digits if chat is not None and chat.kind is ChatKind.PHONE else None

"""WAHA's answers as values: three engines, old and new versions, and what must not be taken for an answer."""

from typing import Any

import pytest

from gateway.waha import answers
from gateway.waha.errors import WahaUnexpectedAnswer
from gateway.waha.schemas import (
    FoundMessage,
    Me,
    NumberCheck,
    SentMessage,
    ServerStatus,
    WahaStatus,
)

BARE = "3EB0123456789ABCDEF012"
CHAT = "447700900123@c.us"
JID = "447700900123@s.whatsapp.net"


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        pytest.param({"id": f"true_{CHAT}_{BARE}", "_data": None}, True, id="GOWS waits for the server's ack"),
        pytest.param(
            {"key": {"remoteJid": JID, "fromMe": True, "id": BARE}, "message": {}, "status": "PENDING"},
            False,
            id="NOWEB only wrote it",
        ),
        pytest.param(
            {"id": {"fromMe": True, "remote": CHAT, "id": BARE, "_serialized": "x"}, "ack": 0},
            False,
            id="WEBJS made it",
        ),
        pytest.param(
            {"id": {"fromMe": True, "remote": CHAT, "id": BARE}, "ack": 1}, True, id="WEBJS with a server ack"
        ),
    ],
)
def test_three_shapes_of_a_sent_message_are_read_into_one(body: object, accepted: bool) -> None:
    assert answers.read_sent(body) == SentMessage(BARE, CHAT, accepted)


def test_a_session_is_read_with_all_its_parts() -> None:
    session = answers.read_session(
        {
            "name": "alice",
            "status": "WORKING",
            "me": {
                "id": CHAT,
                "pushName": "Alice",
                "lid": "123456789012345@lid",
                "jid": "447700900123:3@s.whatsapp.net",
            },
            "config": {"metadata": {"sender": "s1", "odd": 7}, "noweb": {"store": {"enabled": True}}},
            "engine": {"gows": {"connected": True}},
            "presence": "online",
            "timestamps": {"activity": 1784540000000},
            "assignedWorker": "w1",
        }
    )

    assert session.status is WahaStatus.WORKING
    assert session.me == Me(CHAT, "Alice", "123456789012345@lid", "447700900123:3@s.whatsapp.net")
    assert session.metadata == {"sender": "s1"}
    assert session.engine == {"gows": {"connected": True}}
    assert (session.presence, session.activity_at, session.assigned_worker) == ("online", 1784540000000, "w1")


def test_a_session_needs_only_a_name_and_a_status() -> None:
    body = {"name": "alice", "status": "STOPPED", "me": None, "timestamps": {"activity": None}, "presence": None}
    session = answers.read_session(body)

    assert session == answers.read_session({"name": "alice", "status": "STOPPED"})
    assert (session.me, session.activity_at, session.metadata) == (None, None, {})


def test_a_status_of_a_newer_waha_is_unknown_but_the_list_is_read() -> None:
    bodies = answers.list_of_sessions([{"name": "a", "status": "HIBERNATING"}, {"name": "b", "status": "FAILED"}])
    sessions = [answers.read_session(body) for body in bodies]

    assert [session.status for session in sessions] == [WahaStatus.UNKNOWN, WahaStatus.FAILED]


def test_an_unpaired_session_has_no_account() -> None:
    assert Me.from_json(None) is None
    assert Me.from_json({}) is None
    assert Me.from_json({"id": JID}) == Me(CHAT)


def test_a_found_message_tells_its_receipt_level() -> None:
    body = {"id": f"true_{CHAT}_{BARE}", "fromMe": True, "ack": 2}
    assert answers.read_found(body, BARE) == FoundMessage(BARE, CHAT, 2, True)


def test_a_found_message_without_a_level_is_found_all_the_same() -> None:
    body = {"id": f"true_{CHAT}_{BARE}", "ack": None}
    assert answers.read_found(body, BARE) == FoundMessage(BARE, CHAT, None, True)


@pytest.mark.parametrize("body", [None, {}, [], {"id": f"true_{CHAT}_3EB0SOMEOTHER"}])
def test_another_message_is_no_proof(body: object) -> None:
    with pytest.raises(WahaUnexpectedAnswer):
        answers.read_found(body, BARE)


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ({"numberExists": True, "chatId": CHAT}, NumberCheck(True, CHAT)),
        ({"numberExists": False}, NumberCheck(False, None)),
        ({"numberExists": False, "chatId": CHAT, "pn": None}, NumberCheck(False, None)),
        ({"numberExists": True, "chatId": None}, NumberCheck(True, None)),
    ],
)
def test_a_number_check_is_read_on_every_engine(body: object, check: NumberCheck) -> None:
    assert answers.read_number_check(body) == check


def test_the_server_tells_when_it_started() -> None:
    body = {"startTimestamp": 1784540000000.0, "uptime": 1000, "worker": {"id": None}}
    assert answers.read_status(body) == ServerStatus(1784540000000, 1000, None)


def test_secrets_of_pairing_are_not_in_a_repr() -> None:
    assert "2@secret" not in repr(answers.read_qr({"value": "2@secret"}))
    assert "ABCD" not in repr(answers.read_pairing_code({"code": "ABCD-EFGH"}))


UNREADABLE: list[tuple[Any, object]] = [
    (answers.read_session, {"name": "alice"}),
    (answers.read_session, None),
    (answers.read_session, {"name": 7, "status": "WORKING"}),
    (answers.list_of_sessions, {"sessions": []}),
    (answers.read_qr, {"mimetype": "image/png", "data": "..."}),
    (answers.read_pairing_code, None),
    (answers.read_version, {"version": "2026.7.1"}),
    (answers.read_status, {"startTimestamp": True, "uptime": 1}),
    (answers.read_status, {"startTimestamp": 1e300, "uptime": 1}),
    (answers.read_number_check, {"numberExists": "yes"}),
    (answers.read_sent, {"id": None}),
]


@pytest.mark.parametrize(("read", "body"), UNREADABLE)
def test_what_cannot_be_read_says_so(read: Any, body: object) -> None:
    with pytest.raises(WahaUnexpectedAnswer):
        read(body)


@pytest.mark.parametrize(
    ("body", "digits"),
    [
        ({"lid": "123456789012345@lid", "pn": CHAT}, "447700900123"),
        ({"lid": "123456789012345@lid", "pn": JID}, "447700900123"),
        ({"lid": "123456789012345@lid", "pn": None}, None),
        ({"pn": "123456789012345@lid"}, None),
        (None, None),
    ],
)
def test_the_number_behind_a_hidden_id_is_told_or_not_known(body: object, digits: str | None) -> None:
    assert answers.read_phone(body) == digits

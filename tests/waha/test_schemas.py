"""Events as WAHA sends them, by WebSocket or webhook."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.schemas import (
    Me,
    MessageAckEvent,
    MessageAnyEvent,
    SessionStatusEvent,
    Timelock,
    WahaStatus,
    parse_event,
)

BARE = "3EB0123456789ABCDEF012"
CHAT = "447700900123@c.us"


def envelope(event: str, payload: object, **more: object) -> dict[str, Any]:
    return {
        "id": "evt_01k0example",
        "timestamp": 1784540000123,
        "event": event,
        "session": "alice",
        "metadata": {"sender": "s1"},
        "me": {"id": "447700900999@c.us", "pushName": "Alice"},
        "payload": payload,
        "engine": "GOWS",
        **more,
    }


def test_a_status_is_read_with_account_and_metadata() -> None:
    event = envelope("session.status", {"name": "alice", "status": "WORKING", "statuses": []})

    assert parse_event(event) == SessionStatusEvent(
        event_id="evt_01k0example",
        session="alice",
        status=WahaStatus.WORKING,
        timestamp=1784540000123,
        me=Me("447700900999@c.us", "Alice"),
        metadata={"sender": "s1"},
    )


def test_a_passkey_step_brings_its_data() -> None:
    event = parse_event(envelope("session.status", {"status": "PASSKEY_CONFIRMATION_REQUIRED", "data": {"code": "12"}}))

    assert isinstance(event, SessionStatusEvent)
    assert event.data == {"code": "12"}


GOWS_ACK = {"id": f"true_{CHAT}_{BARE}", "from": CHAT, "to": None, "participant": None, "fromMe": True, "ack": 3}
WEBJS_ACK = {
    "id": {"fromMe": True, "remote": CHAT, "id": BARE},
    "from": "447700900999@c.us",
    "to": CHAT,
    "fromMe": True,
    "ack": 3,
    "body": "canary",
}


@pytest.mark.parametrize("payload", [GOWS_ACK, WEBJS_ACK], ids=["GOWS", "WEBJS"])
def test_a_receipt_names_the_bare_id_and_the_recipients_chat(payload: dict[str, Any]) -> None:
    assert parse_event(envelope("message.ack", payload)) == MessageAckEvent(
        event_id="evt_01k0example",
        session="alice",
        message_id=BARE,
        chat_id=CHAT,
        ack=3,
        from_me=True,
        timestamp=1784540000123,
    )


def test_a_receipt_may_name_the_hidden_id_of_the_recipient() -> None:
    event = parse_event(envelope("message.ack", {**GOWS_ACK, "id": f"true_123456789012345@lid_{BARE}"}))

    assert isinstance(event, MessageAckEvent)
    assert (event.message_id, event.chat_id) == (BARE, "123456789012345@lid")


def test_a_receipt_with_a_bare_id_takes_the_chat_from_its_sender_field() -> None:
    event = parse_event(envelope("message.ack", {"id": BARE, "from": "447700900123@s.whatsapp.net", "ack": -1}))

    assert isinstance(event, MessageAckEvent)
    assert (event.chat_id, event.ack, event.from_me) == (CHAT, -1, None)


def test_an_own_message_is_read_with_its_source() -> None:
    payload = {"id": f"true_{CHAT}_{BARE}", "from": CHAT, "fromMe": True, "source": "api", "ack": 1, "body": "canary"}

    assert parse_event(envelope("message.any", payload)) == MessageAnyEvent(
        event_id="evt_01k0example",
        session="alice",
        message_id=BARE,
        chat_id=CHAT,
        from_me=True,
        source="api",
        ack=1,
        timestamp=1784540000123,
    )


@pytest.mark.parametrize("kind", ["message", "message.ack.group", "presence.update", "engine.event", "event.of.2031"])
def test_other_kinds_are_nothing_to_us(kind: str) -> None:
    assert parse_event(envelope(kind, {"anything": True})) is None


def test_bytes_text_and_decoded_json_read_alike() -> None:
    event = envelope("message.ack", GOWS_ACK)
    raw = orjson.dumps(event)

    assert parse_event(raw) == parse_event(raw.decode()) == parse_event(event) is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        "not json",
        "[]",
        "null",
        "{}",
        {"event": 7},
        {"event": "session.status"},
        envelope("session.status", {"status": None}),
        envelope("session.status", None),
        envelope("session.status", {"status": "WORKING"}, session=None),
        envelope("session.status", {"status": "WORKING"}, id=""),
        envelope("message.ack", {**GOWS_ACK, "ack": None}),
        envelope("message.ack", {**GOWS_ACK, "ack": 5}),
        envelope("message.ack", {**GOWS_ACK, "ack": True}),
        envelope("message.ack", {**GOWS_ACK, "id": None}),
        envelope("message.any", {}),
    ],
)
def test_a_malformed_event_says_so_without_its_content(raw: Any) -> None:
    with pytest.raises(WahaMalformedEvent) as caught:
        parse_event(raw)

    assert "447700900123" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "key", "ack", "from", "me", "status", "data", "remote"]), inner)
    ),
    max_leaves=10,
)


@given(st.sampled_from(["session.status", "message.ack", "message.any"]), JSON, JSON)
def test_no_json_makes_the_parser_fail_otherwise(kind: str, payload: object, me: object) -> None:
    try:
        event = parse_event(envelope(kind, payload, me=me))
    except WahaMalformedEvent:
        return
    assert event is not None


LOCK = {"isActive": True, "enforcementType": "DEFAULT", "timeEnforcementEnds": 1784541000}


def test_an_account_tells_its_limits_where_waha_knows_them() -> None:
    told = {"id": CHAT, "reachoutTimelock": LOCK, "messageCapping": {"totalQuota": 50}}

    assert Me.from_json(told) == Me(CHAT, timelock=Timelock(True, "DEFAULT", 1784541000.0), capping={"totalQuota": 50})


@pytest.mark.parametrize("lock", [None, {}, [], "locked", {"isActive": None}, {"timeEnforcementEnds": 5}])
def test_a_lock_that_is_not_told_is_none(lock: object) -> None:
    assert Timelock.from_json(lock) is None
    assert Me.from_json({"id": CHAT, "reachoutTimelock": lock, "messageCapping": lock}) is not None


@pytest.mark.parametrize("ends", [None, "soon", 0, True])
def test_a_lock_may_have_no_end(ends: object) -> None:
    assert Timelock.from_json({"isActive": True, "timeEnforcementEnds": ends}) == Timelock(True)


def test_a_status_that_tells_a_lock_is_fresher_than_the_account_beside_it() -> None:
    payload = {"status": "WORKING", "data": {"reachoutTimelock": {"isActive": False}}}
    event = parse_event(envelope("session.status", payload, me={"id": CHAT, "reachoutTimelock": LOCK}))

    assert isinstance(event, SessionStatusEvent)
    assert event.me == Me(CHAT, timelock=Timelock(False))

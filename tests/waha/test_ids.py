"""Identifiers: what is made, and every shape that is read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.waha.ids import (
    ChatId,
    ChatKind,
    MessageKey,
    make_chat_id,
    make_message_id,
    normalize_chat_id,
    parse_chat_id,
    parse_message_id,
    parse_message_key,
)

BARE = "3EB0123456789ABCDEF012"
CHAT = "447700900123@c.us"


def test_a_message_id_looks_like_whatsapps_own() -> None:
    ids = {make_message_id() for _ in range(200)}

    assert len(ids) == 200
    assert all(re.fullmatch(r"3EB0[0-9A-F]{18}", message_id) for message_id in ids)


@pytest.mark.parametrize("phone", ["447700900123", "+447700900123"])
def test_a_chat_id_is_made_of_digits(phone: str) -> None:
    assert make_chat_id(phone) == CHAT


@pytest.mark.parametrize("phone", ["", "+", "44 7700", "447700900123@c.us", "٤٤٧٧٠٠٩٠٠١٢٣", "../x", "++447700900123"])
def test_a_chat_id_is_made_of_nothing_else(phone: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        make_chat_id(phone)


@pytest.mark.parametrize(
    ("chat_id", "parsed"),
    [
        (CHAT, ChatId("447700900123", ChatKind.PHONE)),
        ("447700900123@s.whatsapp.net", ChatId("447700900123", ChatKind.PHONE)),
        ("447700900123:7@s.whatsapp.net", ChatId("447700900123", ChatKind.PHONE)),
        ("123456789012345@lid", ChatId("123456789012345", ChatKind.LID)),
        ("123456789012345:3@lid", ChatId("123456789012345", ChatKind.LID)),
        ("120363012345678901@g.us", ChatId("120363012345678901", ChatKind.GROUP)),
        ("447700900123-1400000000@g.us", ChatId("447700900123-1400000000", ChatKind.GROUP)),
        ("status@broadcast", None),
        ("120363012345678901@newsletter", None),
        ("447700900123", None),
        ("@c.us", None),
        ("abc@c.us", None),
        ("", None),
        (None, None),
        (447700900123, None),
    ],
)
def test_a_chat_id_is_taken_apart(chat_id: object, parsed: ChatId | None) -> None:
    assert parse_chat_id(chat_id) == parsed


@given(st.from_regex(r"[0-9]{7,15}", fullmatch=True).filter(str.isascii))
def test_what_is_made_is_read_back(phone: str) -> None:
    assert parse_chat_id(make_chat_id(phone)) == ChatId(phone, ChatKind.PHONE)


def test_chat_ids_are_spelled_as_waha_does() -> None:
    assert normalize_chat_id("447700900123:7@s.whatsapp.net") == CHAT
    assert normalize_chat_id("123456789012345@lid") == "123456789012345@lid"
    assert normalize_chat_id("status@broadcast") == "status@broadcast"


GROUP = "120363012345678901@g.us"
SHAPES: list[tuple[str, object, MessageKey]] = [
    ("bare", BARE, MessageKey(BARE)),
    ("GOWS text", f"true_{CHAT}_{BARE}", MessageKey(BARE, CHAT, True)),
    ("incoming", f"false_{CHAT}_{BARE}", MessageKey(BARE, CHAT, False)),
    ("by hidden id", f"true_123456789012345@lid_{BARE}", MessageKey(BARE, "123456789012345@lid", True)),
    ("group", f"true_{GROUP}_{BARE}_447700900124@c.us", MessageKey(BARE, GROUP, True)),
    ("GOWS answer", {"id": f"true_{CHAT}_{BARE}", "_data": None}, MessageKey(BARE, CHAT, True)),
    (
        "WEBJS object",
        {"fromMe": True, "remote": CHAT, "id": BARE, "_serialized": f"true_{CHAT}_{BARE}"},
        MessageKey(BARE, CHAT, True),
    ),
    (
        "WEBJS object without _serialized",
        {"fromMe": True, "remote": CHAT, "id": BARE},
        MessageKey(BARE, CHAT, True),
    ),
    ("WEBJS object with only _serialized", {"_serialized": f"true_{CHAT}_{BARE}"}, MessageKey(BARE, CHAT, True)),
    (
        "WEBJS object whose remote is an object",
        {"fromMe": True, "remote": {"server": "c.us", "_serialized": CHAT}, "id": BARE},
        MessageKey(BARE, CHAT, True),
    ),
    ("WEBJS answer", {"id": {"fromMe": True, "remote": CHAT, "id": BARE}, "ack": 0}, MessageKey(BARE, CHAT, True)),
    (
        "NOWEB key",
        {"remoteJid": "447700900123@s.whatsapp.net", "fromMe": True, "id": BARE},
        MessageKey(BARE, CHAT, True),
    ),
    (
        "NOWEB answer",
        {"key": {"remoteJid": "447700900123@s.whatsapp.net", "fromMe": True, "id": BARE}, "status": "PENDING"},
        MessageKey(BARE, CHAT, True),
    ),
]


@pytest.mark.parametrize(("value", "key"), [(value, key) for _, value, key in SHAPES], ids=[s[0] for s in SHAPES])
def test_the_bare_message_id_comes_out_of_every_shape(value: object, key: MessageKey) -> None:
    assert parse_message_id(value) == BARE
    assert parse_message_key(value) == key


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        7,
        True,
        [],
        {},
        {"id": None},
        {"id": 7},
        {"key": {}},
        "true_x",
        f"true_{CHAT}_",
        "a b",
        {"id": {"id": {}}},
    ],
)
def test_rubbish_has_no_message_id(value: object) -> None:
    assert parse_message_id(value) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(st.sampled_from(["id", "key", "remote", "_serialized", "fromMe"]), inner),
        max_leaves=8,
    )
)
def test_no_json_breaks_the_reading_of_ids(value: object) -> None:
    found = parse_message_id(value)
    assert found is None or found

"""Ids of messages in the messaging API's form, and its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.doors.messaging.ids import MessageName, make_message_id, parse_message_id
from campaigns.doors.messaging.words import MessageStatus, word_for
from campaigns.sending.models import MessageState

DIGITS = st.text("0123456789", min_size=1, max_size=15)


@given(DIGITS, st.uuids())
def test_an_id_says_again_what_it_was_made_of(digits: str, message_id: object) -> None:
    made = make_message_id(digits, str(message_id))
    assert made.isascii()
    assert set(made.removeprefix("custom_msg_")) <= set("0123456789_")
    assert parse_message_id(made) == MessageName(digits, str(message_id))


@given(st.tuples(DIGITS, st.uuids()), st.tuples(DIGITS, st.uuids()))
def test_two_messages_never_have_one_id(one: tuple[str, object], other: tuple[str, object]) -> None:
    ids = {make_message_id(digits, str(message_id)) for digits, message_id in (one, other)}
    assert len(ids) == len({one, other})


@given(st.text(max_size=80) | st.from_regex(r"custom_msg_\w{0,20}_\w{0,60}"))
def test_whatever_is_read_as_an_id_is_the_only_way_to_write_it(text: str) -> None:
    name = parse_message_id(text)
    assert name is None or make_message_id(name.digits, name.id) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "custom_msg_",
        "custom_msg_447700900100",
        "custom_msg_447700900100_",
        "custom_msg__1",
        "custom_msg_447700900100_01",
        "custom_msg_447700900100_-1",
        "custom_msg_+447700900100_1",
        "custom_msg_447700900100_1\n",
        "custom_msg_4477009001000000_1",
        f"custom_msg_447700900100_{2**128}",
        "custom_msg_447700900100_" + "9" * 5000,
        "custom_msg_٤٤٧٧_1",
        "Custom_msg_447700900100_1",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_message_id(text) is None


def test_every_state_has_a_word() -> None:
    assert {word_for(state) for state in MessageState} == set(MessageStatus)
    same = {MessageState.QUEUED, MessageState.SENDING, MessageState.SENT, MessageState.DELIVERED, MessageState.READ}
    assert [word_for(state).value for state in same] == [state.value for state in same]

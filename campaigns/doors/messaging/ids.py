"""The ids of messages in this API's form: `custom_msg_<digits>_<the message's UUID as a decimal>`. Pure."""

import re
from dataclasses import dataclass
from uuid import UUID

_FORM = re.compile(r"custom_msg_([0-9]{1,15})_(0|[1-9][0-9]{0,38})")
_BITS = 128


@dataclass(frozen=True, slots=True)
class MessageName:
    """Whom a message goes to (digits), and its id (a UUID)."""

    digits: str
    id: str


def make_message_id(digits: str, message_id: str) -> str:
    """The id of a message to a number (digits), as this API tells it."""
    return f"custom_msg_{digits}_{UUID(message_id).int}"


def parse_message_id(text: str) -> MessageName | None:
    """What an id says; None for what is none. Whether the digits are the message's is the caller's to look."""
    found = _FORM.fullmatch(text)
    if found is None or (number := int(found[2])).bit_length() > _BITS:
        return None
    return MessageName(found[1], str(UUID(int=number)))

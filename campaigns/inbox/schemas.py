"""What the inbox's routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.sending.rendering import MAX_TEXT
from campaigns.sending.schemas import refuse_nul

_CONVERSATION: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216b1",
    "account": "local",
    "sender_number": "+447700900001",
    "phone_number": "+447700900100",
    "name": "Ada",
    "unread": 2,
    "last_message_at": "2026-11-21T09:04:10.250000Z",
    "last_text": "Yes, please!",
}
_CAME_IN: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216b2",
    "direction": "in",
    "kind": "text",
    "text": "Yes, please!",
    "status": "received",
    "timestamp": "2026-11-21T09:04:10.250000Z",
    "message_id": "3EB0C767D26A1D8E1F11",
    "campaign_id": "01a1fb76-b031-7b43-9d8e-a57d616216a1",
    "answers_id": "01a1fb76-b031-7273-b754-4d16dc8ff1fd",
    "receipt": None,
    "delivered_at": None,
    "read_at": None,
    "error": None,
    "error_code": None,
}
_WENT_OUT: dict[str, Any] = _CAME_IN | {
    "id": "01a1fb76-b031-7273-b754-4d16dc8ff1fd",
    "direction": "out",
    "text": "Your order is ready. Shall we deliver it?",
    "status": "read",
    "timestamp": "2026-11-21T09:00:00.700000Z",
    "message_id": "3EB0A1B2C3D4E5F6A7B8C9",
    "answers_id": None,
    "receipt": 3,
    "delivered_at": "2026-11-21T09:00:02.600000Z",
    "read_at": "2026-11-21T09:03:00Z",
}
_REPLY: dict[str, Any] = _WENT_OUT | {"status": "queued", "receipt": None, "delivered_at": None, "read_at": None}


def not_blank(text: str) -> str:
    """The text itself; raises `ValueError` where nothing can be seen of it."""
    if not text.strip():
        raise ValueError("is empty")
    return text


WrittenText = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(refuse_nul), AfterValidator(not_blank)
]


class ConversationOut(BaseModel):
    """The thread of one sender with one person."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONVERSATION]})

    id: str
    account: str = Field(description="Whose it is")
    sender_number: str
    phone_number: str | None = Field(description="Null while WhatsApp tells a hidden id only")
    name: str = Field(description="The recipient's name, else what they call themselves; may be empty")
    unread: int
    last_message_at: datetime = Field(description="When they last wrote")
    last_text: str = Field(description="How that began")


class ThreadMessage(BaseModel):
    """One message of a conversation, of either direction."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CAME_IN, _WENT_OUT]})

    id: str
    direction: Literal["in", "out"]
    kind: str = Field(description="text, media, location, contact, other")
    text: str
    status: str = Field(description="received, or the status of what we sent")
    timestamp: datetime = Field(description="When it was written or has left; of what has not left, when it was queued")
    message_id: str | None = Field(description="WhatsApp's id")
    campaign_id: str | None = Field(description="Its campaign; of what came in, that of the message which it answers")
    answers_id: str | None = Field(description="The `id` of the message of ours that it answers")
    receipt: int | None
    delivered_at: datetime | None
    read_at: datetime | None
    error: str | None
    error_code: str | None


class ReplyIn(BaseModel):
    """What to answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "It is on its way."}]})

    text: WrittenText = Field(description="As it stands: {{ and }} mean themselves")


class ReplyOut(ThreadMessage):
    """A reply that was queued."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLY]})

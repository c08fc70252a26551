"""The words of the support API: a message has a sender, a receiver and a content."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.inbox.schemas import WrittenText
from campaigns.sending.hours_schemas import Moment
from campaigns.sending.schemas import PhoneText, refuse_nul

_MESSAGE: dict[str, Any] = {
    "sender": "+447700900001",
    "receiver": "+447700900100",
    "content": "Your order is on its way.",
}
_TIMED: dict[str, Any] = _MESSAGE | {"timestamp": "2026-11-21T09:00:00Z"}
_ARRIVED: dict[str, Any] = {"sender": "+447700900100", "receiver": "+447700900001", "content": "Where is my order?"}


class SupportMessage(BaseModel):
    """A message to send: from a number of ours."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MESSAGE]})

    sender: PhoneText
    receiver: PhoneText
    content: WrittenText


class ArrivedMessage(SupportMessage):
    """A message that came in: to a number of ours.

    With an `id` it is stored once, however often it is posted; without one each post is a message of its own.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_ARRIVED]})

    id: Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(refuse_nul)] | None = None
    timestamp: Moment | None = Field(default=None, description="When it was written; now if it is not said")


class TimedMessage(BaseModel):
    """The message as it was given, with its time."""

    sender: str
    receiver: str
    content: str
    timestamp: datetime


class SentAnswer(BaseModel):
    """A message was queued; the `Location` header says where to ask what becomes of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"message": "Message sent asynchronously", "data": _TIMED}]}
    )

    message: str = "Message sent asynchronously"
    data: TimedMessage


class ReceivedAnswer(BaseModel):
    """A message was stored; without `data` it was an event that tells of no message to us."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"message": "Webhook received asynchronously", "data": _ARRIVED | {"timestamp": _TIMED["timestamp"]}}
            ]
        }
    )

    message: str = "Webhook received asynchronously"
    data: TimedMessage | None

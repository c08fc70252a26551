"""The words of the messaging API for single messages."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from campaigns.doors.messaging.words import MessageStatus
from campaigns.sending.models import Priority
from campaigns.sending.rendering import MAX_TEXT
from campaigns.sending.schemas import PERSONALIZATION, PhoneText, Waiting, refuse_nul

MESSAGE_ID = "custom_msg_447700900100_2262474353138047733184523817362497953"
_MESSAGE: dict[str, Any] = {
    "phone_number": "+447700900100",
    "message": "Hello from Custom API!",
    "campaign_id": "spring",
    "priority": "normal",
}
_SENT: dict[str, Any] = {
    "success": True,
    "message_id": MESSAGE_ID,
    "status": "queued",
    "priority": "normal",
    "estimated_delivery": "2026-11-21T09:00:01.200000Z",
}

Label = Annotated[str, StringConstraints(max_length=100), AfterValidator(refuse_nul)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(refuse_nul)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
_LABEL = "A word of yours for messages that belong together; the statistics tell them apart by it"


class SingleMessage(BaseModel):
    """A text for one number. It may be empty only where a file is sent."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_MESSAGE]})

    phone_number: PhoneText
    message: Text
    campaign_id: Label | None = Field(default=None, description=_LABEL)
    priority: Priority = Field(
        default=Priority.NORMAL, description="Of a sender's messages those of a higher one go first"
    )
    attachment_url: Address | None = Field(
        default=None, description="A file to send with the text as its caption: an address, or an upload's `media_url`"
    )
    sender_number: PhoneText | None = Field(
        default=None, description="One of your numbers; whichever is free if not said"
    )


class BulkIn(BaseModel):
    """Messages, each to one number. A wrong one does not stop the others."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "messages": [
                        {"phone_number": "+447700900100", "message": "Hello User 1!", "priority": "normal"},
                        {"phone_number": "+447700900101", "message": "Hello User 2!", "priority": "high"},
                    ],
                    "campaign_id": "spring",
                }
            ]
        },
    )

    messages: list[Annotated[SingleMessage | Any, Field(union_mode="left_to_right")]] = Field(
        min_length=1, description="At most `limits.messages_per_bulk`. What is no message has that as its result"
    )
    campaign_id: Label | None = Field(default=None, description=f"{_LABEL}. For messages that have none of their own")


class SingleSent(BaseModel):
    """A message was queued."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SENT]})

    success: bool = Field(description="false: it is not sent, because its recipient does not want messages")
    message_id: str
    status: MessageStatus
    priority: Priority
    estimated_delivery: datetime | None = Field(
        description="When it will have left if nobody else uses its senders and all stays as it is; null if it will not"
    )
    error: str | None = Field(default=None, description="Why it will not")
    error_code: str | None = None


class BulkResult(BaseModel):
    """What became of one message: as of a single one, or why there is none."""

    success: bool
    message_id: str | None = None
    status: MessageStatus | None = None
    priority: Priority | None = None
    estimated_delivery: datetime | None = None
    error: str | None = None
    error_code: str | None = None
    phone_number: str | None = Field(default=None, description="As it was given")
    retry_after: int | None = Field(
        default=None, description="Seconds until it may be tried again, where that is known"
    )


class BulkOut(BaseModel):
    """What became of each message, in the order of the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": False,
                    "total": 2,
                    "successful": 1,
                    "failed": 1,
                    "results": [
                        {**_SENT, "phone_number": "+447700900100"},
                        {
                            "success": False,
                            "error": "phone_number: there are letters in it",
                            "error_code": "INVALID_PHONE_NUMBER",
                            "phone_number": "n/a",
                        },
                    ],
                }
            ]
        }
    )

    success: bool = Field(description="Whether all were queued")
    total: int
    successful: int
    failed: int
    results: list[BulkResult]


class MessageStatusOut(BaseModel):
    """What has become of a message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "success": True,
                    "message_id": MESSAGE_ID,
                    "status": "delivered",
                    "phone_number": "+447700900100",
                    "sender_number": "+447700900001",
                    "priority": "normal",
                    "campaign_id": "spring",
                    "queued_at": "2026-11-21T09:00:00Z",
                    "sent_at": "2026-11-21T09:00:01.200000Z",
                    "delivered_at": "2026-11-21T09:00:02.600000Z",
                    "read_at": None,
                    "failed_at": None,
                    "error": None,
                    "error_code": None,
                    "waiting": None,
                    "personalization": None,
                }
            ]
        }
    )

    success: bool = True
    message_id: str
    status: MessageStatus
    phone_number: str
    sender_number: str | None = Field(description="Through which it leaves, once that is known")
    priority: Priority
    campaign_id: str | None
    queued_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    error: str | None = Field(description="Why it failed, or what is not known of it")
    error_code: str | None
    waiting: Waiting | None = Field(description="Why it has not left yet")
    personalization: str | None = Field(description=PERSONALIZATION)

"""The words of the clients' queue: an entry has a client, a contact, a text and a status."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from campaigns.audience.schemas import PersonName
from campaigns.inbox.schemas import WrittenText
from campaigns.sending.hours_schemas import Moment
from campaigns.sending.schemas import PhoneText

QueueStatus = Literal["pending", "sent", "failed"]
_ENTRY: dict[str, Any] = {
    "id": "01a1fb76-b031-7273-b754-4d16dc8ff1fd",
    "client": "infinity",
    "contact": {"id": "01a1fb76-b031-7b43-9d8e-a57d616216a7", "name": "Dani", "phone": "+447700900100"},
    "text": "Hello Dani, your order is ready.",
    "status": "pending",
    "error_reason": None,
    "scheduled_time": None,
    "created_at": "2026-11-21T09:00:00Z",
    "sent_at": None,
}


class QueueIn(BaseModel):
    """A message of a client's to one of its contacts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_name": "infinity",
                    "api_key": "wgk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
                    "phone": "+447700900100",
                    "name": "Dani",
                    "text": "Hello Dani, your order is ready.",
                }
            ]
        }
    )

    client_name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    api_key: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(repr=False)
    phone: PhoneText = Field(description="The contact's number, written in any way")
    name: PersonName = Field(description="What the contact is called, where it is new")
    text: WrittenText
    scheduled_time: Moment | None = Field(default=None, description="Not before; now if left out")


class QueueContact(BaseModel):
    """Whom it is for."""

    id: str | None = Field(description="The recipient's; null if it has been removed")
    name: str
    phone: str


class QueueEntry(BaseModel):
    """A message in the queue."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY]})

    id: str
    client: str
    contact: QueueContact
    text: str
    status: QueueStatus
    error_reason: str | None = Field(description="Why it failed, or why nobody knows whether it was sent")
    scheduled_time: datetime | None
    created_at: datetime
    sent_at: datetime | None

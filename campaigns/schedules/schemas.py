"""What the schedule routes take and give. Seed 002 calls a template a message, and a campaign a task."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from campaigns.schedules import examples
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.repeating_schemas import Repeating, RepeatingOut, RepeatsOut
from campaigns.sending.hours import Weekday
from campaigns.sending.hours_schemas import Moment, OpenHours, QuietHours, TimeZone
from campaigns.sending.models import Priority, Rotation
from campaigns.sending.schemas import PhoneText
from gateway.settings import LEAST_LATENESS, MOST_LATENESS

RECIPIENTS_SHOWN = 1_000
"""So many recipients one schedule is shown with, unless told otherwise; and never more."""


class ScheduleIn(OpenHours, Repeating):
    """A message to send to a group at a time, once or again and again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": examples.REQUESTS},
    )

    message_id: UUID = Field(description="What to send: a message template")
    group_id: UUID = Field(description="Whom to send it to")
    scheduled_time: Moment = Field(
        description="When to begin: a time to come, at most a year ahead. Without an offset it is meant in UTC"
    )
    timezone: TimeZone = Field(
        default="UTC", description="IANA name: quiet_hours and weekdays are meant in it, and recurrence keeps its clock"
    )
    sender_number: PhoneText | None = Field(
        default=None, description="The number that sends; without, all that are connected when it begins"
    )
    sender_numbers: list[PhoneText] = Field(default=[], max_length=1000, description="More senders, for a pool")
    max_lateness: Annotated[float, Field(ge=LEAST_LATENESS, le=MOST_LATENESS, strict=True)] | None = Field(
        default=None,
        description="Seconds after its time in which it may still begin; schedules.max_lateness if left out",
    )
    priority: Priority = Priority.NORMAL
    rotation: Rotation = Field(default=Rotation.EVEN, description="even: in turn; fastest: whoever is free")
    failover: StrictBool = Field(default=True, description="Whether others take over what a fallen sender cannot send")
    auto_pause: StrictBool = Field(
        default=True, description="Pause by itself where the first 20 messages all fail for good"
    )


class MessageName(BaseModel):
    """The template that is sent, as it was when it was read; without id once it was deleted."""

    id: UUID | None
    title: str


class MessageContent(MessageName):
    """The template with its text."""

    content: str


class GroupName(BaseModel):
    """The group that it is sent to; without id once it was deleted."""

    id: UUID | None
    name: str


class GroupSize(GroupName):
    """The group, and for how many people the schedule is."""

    recipient_count: int


class ScheduleRecipient(BaseModel):
    """Somebody whom a schedule is for; without id and name where they are no recipient any more."""

    id: UUID | None
    name: str | None
    phone_number: str
    status: str = Field(description="pending, processing, sent, failed, unconfirmed or cancelled")
    sent_at: datetime | None
    error: str | None = Field(description="Why it was not sent")


class GroupRecipients(GroupSize):
    """The group with its people: its members while the schedule is pending, and then those that it is sent to."""

    recipients: list[ScheduleRecipient] = Field(
        description=f"At most {RECIPIENTS_SHOWN}, from `recipients_skip` on; `recipient_count` tells how many there are"
    )


class Options(RepeatingOut):
    """How a schedule is sent."""

    sender_numbers: list[str] = Field(description="Who sends; empty until it begins where nobody was named")
    max_lateness: float
    priority: Priority
    rotation: Rotation
    failover: bool
    auto_pause: bool
    expires_at: datetime | None
    quiet_hours: QuietHours | None
    weekdays: list[Weekday]


_READ_AT = Field(
    description="When message and group were read. Null: they will be when it begins, as they are then, so both may "
    "still be changed"
)


class ScheduleCreated(Options):
    """A schedule that was made."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CREATED]})

    id: UUID
    message: MessageName
    group: GroupName
    scheduled_time: datetime
    status: ScheduleStatus
    created_at: datetime
    task_id: UUID = Field(description="The campaign's id, for /api/status and /api/campaigns; it is the schedule's too")
    recipient_count: int = Field(description="Members of the group now")
    content_read_at: datetime | None = _READ_AT


class ScheduleOut(RepeatsOut):
    """A schedule in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ITEM]})

    id: UUID
    message: MessageContent
    group: GroupSize
    scheduled_time: datetime
    status: ScheduleStatus
    created_at: datetime
    sent_at: datetime | None = Field(description="When the last message was dealt with, of one that was sent")
    error_message: str | None = Field(description="Why it failed, was paused or waits")
    recipient_count: int = Field(description="Members of the group while it is pending, then its recipients")
    sent_count: int
    failed_count: int = Field(description="What was not sent: failed, or left out with its reason")
    task_id: UUID
    content_read_at: datetime | None = _READ_AT


class ScheduleDetails(ScheduleOut, Options):
    """One schedule with its people, and what became of each."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DETAILS]})

    group: GroupRecipients
    processing_started_at: datetime | None
    processing_time: int | None = Field(description="Seconds from its beginning to its end")
    cancelled_at: datetime | None
    cancelled_by: str | None = Field(description="A user's email, operator, a sender's number, or local (open mode)")
    archived_at: datetime | None
    created_by: str


class ScheduleCancelled(BaseModel):
    """A schedule that was cancelled."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": examples.ID,
                    "status": "cancelled",
                    "cancelled_at": "2026-11-21T11:00:00Z",
                    "cancelled_by": "user@example.com",
                }
            ]
        }
    )

    id: UUID
    status: ScheduleStatus
    cancelled_at: datetime
    cancelled_by: str


class ScheduleStarted(BaseModel):
    """A schedule that begins at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": examples.ID,
                    "status": "processing",
                    "task_id": examples.ID,
                    "processing_started_at": "2026-11-21T11:00:00Z",
                }
            ]
        }
    )

    id: UUID
    status: ScheduleStatus
    task_id: UUID
    processing_started_at: datetime


class ScheduleArchived(BaseModel):
    """A schedule that was archived."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": examples.ID, "status": "archived", "archived_at": "2026-11-21T11:00:00Z"}]
        }
    )

    id: UUID
    status: ScheduleStatus
    archived_at: datetime

"""What the sending routes take and give."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
)

from campaigns.sending import examples
from campaigns.sending.models import Priority, Rotation
from campaigns.sending.rendering import MAX_TEXT


def _refuse_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character, which no database takes")
    return text


def _check_value(value: Any) -> Any:
    """One sentence about a wrong value, where a union would give one for each of its members."""
    if not isinstance(value, str | int | float | None):  # a bool is an int
        raise ValueError("must be a text, a number, true, false or null")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(f"has {len(value)} characters, at most {MAX_TEXT} are possible")
    return value


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


PlainText = Annotated[str, StringConstraints(max_length=255), AfterValidator(_refuse_nul)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time in a request; one that names no zone is meant in UTC, as all our answers are."""
PhoneText = Annotated[str, StringConstraints(min_length=1, max_length=40)]
VariableName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
VariableValue = Annotated[
    Annotated[str, StringConstraints(max_length=MAX_TEXT)] | bool | int | float | None, BeforeValidator(_check_value)
]
Variables = dict[VariableName, VariableValue]
MAX_VARIABLES = 100


class Recipient(BaseModel):
    """One recipient with values of their own."""

    model_config = ConfigDict(extra="forbid")

    phone: PhoneText
    variables: Variables = Field(default={}, max_length=MAX_VARIABLES)


def _kind_of_recipient(item: Any) -> str:
    """Which form of a recipient is meant, so that an error speaks of that one only."""
    return "recipient object" if isinstance(item, dict | Recipient) else "recipient number"


AnyRecipient = Annotated[
    Annotated[PhoneText, Tag("recipient number")] | Annotated[Recipient, Tag("recipient object")],
    Discriminator(_kind_of_recipient),
]


class SendRequest(BaseModel):
    """A campaign: one text for many recipients."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "sender_number": "42108077",
                    "recipients": ["21642108101"],
                    "template": "Hello, this is a test message from FastAPI backend after the fix!",
                    "media_url": None,
                },
                {
                    "sender_number": "+447700900001",
                    "sender_numbers": ["+447700900002", "+447700900003"],
                    "template": "Hello {{name}}, your order {{ order | (no number) }} is ready.",
                    "variables": {"name": "friend"},
                    "recipients": ["+447700900100", {"phone": "+447700900101", "variables": {"name": "Ada"}}],
                    "priority": "high",
                    "name": "Orders of today",
                },
            ]
        },
    )

    sender_number: PhoneText = Field(description="The number that sends (and whose campaign it is)")
    sender_numbers: list[PhoneText] = Field(default=[], max_length=1000, description="More senders, for a pool")
    template: Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_refuse_nul)] = Field(
        description="The text, with {{name}} and {{ name | fallback }}; may be empty only with a media_url"
    )
    variables: Variables = Field(default={}, max_length=MAX_VARIABLES, description="Values for all recipients")
    recipients: list[AnyRecipient] = Field(min_length=1, description="Numbers, or numbers with values")
    media_url: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        default=None, description="An image, video, voice or other file to send, with the text as its caption"
    )
    name: PlainText = Field(default="", description="What the campaign is called in lists")
    priority: Priority = Priority.NORMAL
    rotation: Rotation = Field(default=Rotation.EVEN, description="even: in turn; fastest: whoever is free")
    failover: bool = Field(default=True, description="Whether others take over what a fallen sender cannot send")
    queue_if_offline: bool = Field(default=False, description="Accept although a sender is not connected, and wait")
    on_bad_row: Literal["strict", "partial"] = Field(
        default="strict", description="strict: one bad recipient refuses all; partial: the good ones go"
    )

    @field_validator("variables", mode="before")
    @classmethod
    def _none_means_none_given(cls, value: Any) -> Any:
        return {} if value is None else value


class BadRow(BaseModel):
    """A recipient that cannot be written to."""

    index: int = Field(description="Its place in `recipients`, from 0")
    recipient: str
    reason: str
    code: str


class CampaignOut(BaseModel):
    """A campaign: how far it is, and what it waits for. `sent` counts what WhatsApp took, whatever came after."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.CAMPAIGN))

    campaign_id: str
    name: str
    sender_number: str
    sender_numbers: list[str]
    status: str = Field(description="queued, running, paused, completed, completed_with_errors, failed, cancelled")
    priority: Priority
    total: int
    pending: int = Field(description="Not sent yet")
    sent: int
    delivered: int
    read: int
    failed: int
    unconfirmed: int = Field(description="Nobody can tell whether they were sent; a person decides")
    skipped: int
    cancelled: int
    progress: float = Field(description="0 to 100: what has been dealt with")
    template: str
    media_url: str | None
    created_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    reason: str


class Waiting(BaseModel):
    """Why something has not been sent yet, and when it may go at the earliest."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.WAITING))

    reason: str = Field(description="One of a fixed list of words", examples=["session_not_connected"])
    message: str = Field(description="The same for a person")
    until: datetime | None = Field(default=None, description="When it may go at the earliest, where that is known")
    sender_number: str | None = None


class MessageOut(BaseModel):
    """One recipient of a campaign."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.MESSAGE))

    id: str
    recipient: str
    grade: str
    status: str
    text: str
    sender_number: str | None
    receipt: int | None = Field(description="WhatsApp's word: -1 error, 1 server, 2 device, 3 read, 4 played")
    attempts: int
    timestamp: datetime = Field(description="When its status last changed")
    created_at: datetime
    started_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    error: str | None
    error_code: str | None
    waiting: Waiting | None = None
    note: str | None = Field(default=None, description="What a person should know of it, beside its status")


class MessagePage(BaseModel):
    """A page of a campaign's messages."""

    items: list[MessageOut]
    total: int
    page: int
    pages: int
    per_page: int


class StatusOut(CampaignOut):
    """A campaign's status; `messages` only where details were asked for."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.STATUS, examples.DETAILED_STATUS))

    waiting: list[Waiting] = []
    estimated_finish: datetime | None = Field(
        default=None, description="If nobody else uses its senders and all stays as it is"
    )
    messages: MessagePage | None = None


class SendAnswer(CampaignOut):
    """A campaign that was accepted."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.SENT))

    duplicates: int = Field(description="Repeated numbers, left out")
    invalid: list[BadRow] = Field(default=[], description="Bad recipients that were left out (partial)")
    grades: dict[str, int] = Field(description="How many numbers are valid, possible, invalid by libphonenumber")
    estimated_finish: datetime | None


class Sample(BaseModel):
    """How one recipient's message would read."""

    recipient: str
    text: str


class PreviewAnswer(BaseModel):
    """What would happen; nothing was stored."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PREVIEW))

    valid: int
    duplicates: int
    invalid: list[BadRow]
    invalid_count: int
    missing_variables: list[BadRow]
    missing_variables_count: int
    grades: dict[str, int]
    samples: list[Sample]
    shares: dict[str, int] = Field(description="How many messages each sender would send")
    not_connected: list[str] = Field(description="Senders that cannot send now")
    duration_seconds: float
    finish_time: datetime
    note: str = ""

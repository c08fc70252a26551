"""What the sending routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    Tag,
    field_validator,
)

from campaigns.sending import examples
from campaigns.sending.hours import Weekday
from campaigns.sending.hours_schemas import QuietHours, SendingHours
from campaigns.sending.models import Priority, Rotation
from campaigns.sending.rendering import MAX_TEXT


def refuse_nul(text: str) -> str:
    """The text itself; raises `ValueError` where there is a NUL in it."""
    if "\x00" in text:
        raise ValueError("contains a NUL character, which no database takes")
    return text


def trimmed(text: str) -> str:
    """The text without space around it, for names; raises `ValueError` where nothing is left, or a NUL.

    It comes after the check of the length, so that what is too long is refused as the API's description says.
    """
    if not (text := refuse_nul(text).strip()):
        raise ValueError("is empty")
    return text


def _check_value(value: Any) -> Any:
    """One sentence about a wrong value, where a union would give one for each of its members."""
    if not isinstance(value, str | int | float | None):  # a bool is an int
        raise ValueError("must be a text, a number, true, false or null")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(f"has {len(value)} characters, at most {MAX_TEXT} are possible")
    return value


PlainText = Annotated[str, StringConstraints(max_length=255), AfterValidator(refuse_nul)]
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


class CapIn(BaseModel):
    """At most so many messages of campaigns to one person in so many days."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"messages": 3, "days": 7}]})

    messages: StrictInt = Field(ge=1, le=10_000)
    days: StrictInt = Field(ge=1, le=366)


class SendRequest(SendingHours):
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
                    "timezone": "Europe/London",
                    "quiet_hours": {"from": "21:00", "to": "08:00"},
                    "weekdays": ["mon", "tue", "wed", "thu", "fri"],
                },
            ]
        },
    )

    sender_number: PhoneText = Field(description="The number that sends (and whose campaign it is)")
    sender_numbers: list[PhoneText] = Field(default=[], max_length=1000, description="More senders, for a pool")
    template: Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(refuse_nul)] = Field(
        description="The text, with {{name}} and {{ name | fallback }}; may be empty only with a media_url"
    )
    variables: Variables = Field(default={}, max_length=MAX_VARIABLES, description="Values for all recipients")
    recipients: list[AnyRecipient] = Field(min_length=1, description="Numbers, or numbers with values")
    media_url: Annotated[str, StringConstraints(max_length=2048)] | None = Field(
        default=None,
        description="A file to send with the text as its caption: an address, or an upload's `media_url`",
    )
    name: PlainText = Field(default="", description="What the campaign is called in lists")
    priority: Priority = Priority.NORMAL
    rotation: Rotation = Field(default=Rotation.EVEN, description="even: in turn; fastest: whoever is free")
    failover: StrictBool = Field(default=True, description="Others take over what a fallen sender cannot send")
    auto_pause: StrictBool = Field(
        default=True, description="Pause by itself if the first 20 messages all fail for good"
    )
    queue_if_offline: StrictBool = Field(
        default=False, description="Take it although a sender is not connected, and wait"
    )
    label: PlainText = Field(default="", description="A word of yours for campaigns that belong together")
    stop_on_reply: StrictBool = Field(
        default=False,
        description="Skip what is still queued for somebody who answers it, or another campaign with its label",
    )
    frequency_cap: CapIn | None = Field(
        default=None,
        description="Skip who has had so many messages of the account's campaigns; the account's own limit if left out",
    )
    on_bad_row: Literal["strict", "partial"] = Field(
        default="strict", description="strict: one bad recipient refuses all; partial: the good ones go"
    )

    @field_validator("variables", mode="before")
    @classmethod
    def _none_means_none_given(cls, value: Any) -> Any:
        return {} if value is None else value


PERSONALIZATION = (
    "`personalized` if a service wrote its text; if it was asked and the template is sent instead, why: `too_slow`, "
    "`out_of_time`, `unreachable`, `bad_status`, `too_large`, `not_json`, `empty`, `too_long`, `unfilled`"
)


class BadRow(BaseModel):
    """A recipient that cannot be written to."""

    index: int = Field(description="Its place in `recipients`, from 0")
    recipient: str
    reason: str
    code: str


class OptedOutRow(BaseModel):
    """A recipient who does not want to be written to: their message is skipped."""

    recipient: str
    reason: str
    code: str


class CampaignOut(BaseModel):
    """A campaign: how far it is, and what it waits for. `sent` counts what WhatsApp took, whatever came after."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.CAMPAIGN))

    campaign_id: str
    name: str
    sender_number: str = Field(description="Empty for a schedule that names none and has not begun")
    sender_numbers: list[str]
    status: str = Field(
        description="scheduled, queued, running, paused, completed, completed_with_errors, failed, cancelled"
    )
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
    replied: int = Field(description="Messages that were answered, each counted once")
    progress: float = Field(description="0 to 100: what has been dealt with")
    template: str
    media_url: str | None
    created_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    reason: str
    start_at: datetime | None
    expires_at: datetime | None
    timezone: str
    quiet_hours: QuietHours | None
    weekdays: list[Weekday]
    auto_pause: bool
    label: str
    stop_on_reply: bool


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
    personalization: str | None = Field(default=None, description=PERSONALIZATION)


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
    opted_out: list[OptedOutRow] = Field(default=[], description="Who has opted out and is skipped; the first 100")
    opted_out_count: int = 0
    grades: dict[str, int] = Field(description="How many numbers are valid, possible, invalid by libphonenumber")
    estimated_finish: datetime | None


class Sample(BaseModel):
    """How one recipient's message would read."""

    recipient: str
    text: str


class PreviewAnswer(BaseModel):
    """What would happen; nothing was stored."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PREVIEW))

    valid: int = Field(description="How many would be sent")
    duplicates: int
    opted_out: list[OptedOutRow] = Field(description="Who has opted out and would be skipped; the first 100")
    opted_out_count: int
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

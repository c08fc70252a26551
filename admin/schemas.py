"""What the operator's routes take and give."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from campaigns.sending.hours_schemas import TimeZone

MAX_DELAY_SECONDS = 86_400
MAX_DAILY_CAP = 1_000_000
DelaySeconds = Annotated[
    float, Field(ge=0, le=MAX_DELAY_SECONDS, allow_inf_nan=False, strict=True, description="Seconds, fractions allowed")
]
DelayShown = Annotated[
    float,
    PlainSerializer(lambda seconds: int(seconds) if seconds == int(seconds) else seconds, return_type=int | float),
]
"""Seconds; a whole number is shown as one, because that is how the API writes delays."""


class DelaysIn(BaseModel):
    """New delays; one that is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"MESSAGE_DELAY": 2, "SENDER_SWITCH_DELAY": 5}]}
    )

    MESSAGE_DELAY: DelaySeconds | None = None
    SENDER_SWITCH_DELAY: DelaySeconds | None = None


class DelaysOut(BaseModel):
    """The delays that hold now, in seconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"MESSAGE_DELAY": 2, "SENDER_SWITCH_DELAY": 5}]})

    MESSAGE_DELAY: DelayShown
    SENDER_SWITCH_DELAY: DelayShown


class UserDelaysIn(BaseModel):
    """One sender's own delay; null gives it the general one again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"sender_number": "+447700900001", "MESSAGE_DELAY": 10}]},
    )

    sender_number: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    MESSAGE_DELAY: DelaySeconds | None


class UserDelaysOut(BaseModel):
    """One sender's delay: its own (null: none), and the one that holds for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sender_number": "+447700900001", "MESSAGE_DELAY": None, "effective_message_delay": 2}]
        }
    )

    sender_number: str
    MESSAGE_DELAY: DelayShown | None
    effective_message_delay: DelayShown = Field(description="The one that holds for it now")


class SenderLimitsIn(BaseModel):
    """New limits of one sender; one that is left out stays, and null gives it the general one again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"daily_cap": 500, "timezone": "Europe/London"}]}
    )

    MESSAGE_DELAY: DelaySeconds | None = None
    daily_cap: Annotated[int, Field(ge=0, le=MAX_DAILY_CAP, strict=True)] | None = Field(
        default=None, description="So many messages a day; 0: any number"
    )
    timezone: TimeZone | None = Field(
        default=None, description="IANA name; its days end at midnight there. Null: the zone of its number"
    )


class SenderLimitsOut(BaseModel):
    """One sender's limits: its own (null: none), and those that hold for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sender_number": "+447700900001",
                    "MESSAGE_DELAY": None,
                    "effective_message_delay": 2,
                    "daily_cap": 500,
                    "effective_daily_cap": 500,
                    "timezone": None,
                    "effective_timezone": "Europe/London",
                    "sent_today": 42,
                    "day_ends_at": "2026-11-22T00:00:00Z",
                }
            ]
        }
    )

    sender_number: str
    MESSAGE_DELAY: DelayShown | None
    effective_message_delay: DelayShown
    daily_cap: int | None
    effective_daily_cap: int = Field(description="0: any number")
    timezone: str | None
    effective_timezone: str
    sent_today: int
    day_ends_at: datetime | None = Field(description="When its count begins anew; null: nothing was sent today")


class UserOut(BaseModel):
    """A sender number that is registered here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sender_number": "+447700900001",
                    "session_status": "CONNECTED",
                    "campaigns": 3,
                    "messages_sent": 412,
                    "MESSAGE_DELAY": None,
                    "created_at": "2026-11-21T09:00:00Z",
                }
            ]
        }
    )

    sender_number: str
    session_status: str | None = Field(description="Null: it has no session")
    campaigns: int
    messages_sent: int
    MESSAGE_DELAY: DelayShown | None = Field(description="Its own delay; null: the general one")
    created_at: datetime | None


class Metrics(BaseModel):
    """How the whole system is doing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "active_sessions": 2,
                    "sessions": {"CONNECTED": 2, "WAITING_FOR_SCAN": 1},
                    "messages_sent_today": 412,
                    "messages": {"queued": 77, "sending": 2, "sent": 12, "delivered": 320, "read": 78, "failed": 2},
                    "queue_size": 77,
                    "in_flight": 2,
                    "campaigns": {"running": 1, "completed": 5},
                    "servers_up": 1,
                    "servers_total": 1,
                    "average_answer_seconds": 0.45,
                    "uptime_seconds": 86400.0,
                    "version": "0.1.0",
                }
            ]
        }
    )

    active_sessions: int = Field(description="Sessions that are CONNECTED")
    sessions: dict[str, int] = Field(description="Sessions by state")
    messages_sent_today: int = Field(description="Since midnight, in each sender's own time zone")
    messages: dict[str, int] = Field(description="Messages by state")
    queue_size: int = Field(description="Messages that wait")
    in_flight: int = Field(description="Messages that this replica is sending now")
    campaigns: dict[str, int] = Field(description="Campaigns by state")
    servers_up: int
    servers_total: int
    average_answer_seconds: float = Field(description="How long WAHA takes to answer a send, lately")
    uptime_seconds: float
    version: str

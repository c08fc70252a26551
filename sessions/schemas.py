"""What the session routes take and give."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PhoneText = Annotated[str, StringConstraints(min_length=1, max_length=40)]


def in_utc(seconds: float) -> datetime:
    """Epoch seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def as_time(seconds: float | None) -> datetime | None:
    """Epoch seconds as a time in UTC; None stays None."""
    return None if seconds is None else in_utc(seconds)


class SessionCreate(BaseModel):
    """Which number to open a session for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"phone_number": "42108077"}]})

    phone_number: PhoneText = Field(description="The number, written in any way")


SESSION_EXAMPLE: dict[str, Any] = {
    "phone_number": "+42108077",
    "grade": "possible",
    "status": "CONNECTED",
    "waha_status": "WORKING",
    "reason": "",
    "name": "Ada",
    "server": "waha1",
    "server_up": True,
    "server_seen_at": "2026-11-21T09:00:07Z",
    "status_since": "2026-11-21T09:00:00Z",
    "paired_at": "2026-11-21T09:00:00Z",
    "last_active": "2026-11-21T09:00:00Z",
    "expires_at": "2026-12-05T09:00:00Z",
    "expires_in_seconds": 1209593,
    "requires_auth": False,
    "phone_last_seen": "2026-11-21T09:00:00Z",
    "phone_expires_at": "2026-12-05T09:00:00Z",
    "message": "Connected and fine.",
    "new_contacts_from": None,
    "limits": None,
    "capping": None,
    "created_at": "2026-11-21T08:59:40Z",
}
_NEW_SESSION: dict[str, Any] = SESSION_EXAMPLE | {
    "status": "STARTING",
    "waha_status": "STARTING",
    "name": "",
    "paired_at": None,
    "last_active": None,
    "expires_at": None,
    "expires_in_seconds": None,
    "requires_auth": True,
    "phone_last_seen": None,
    "phone_expires_at": None,
    "message": "It is starting: its QR code comes in a moment.",
    "sender_token": "wgs_...",
}


class SessionOut(BaseModel):
    """A session as we tell it."""

    model_config = ConfigDict(json_schema_extra={"examples": [SESSION_EXAMPLE]})

    phone_number: str = Field(description="With country code and +", examples=["+42108077"])
    grade: str = Field(description="What libphonenumber thinks of the number: valid, possible or invalid")
    status: str = Field(description="STOPPED, STARTING, WAITING_FOR_SCAN, SCANNED, CONNECTED, FAILED or EXPIRED")
    waha_status: str = Field(description="WAHA's own word")
    reason: str = Field(description="Why, where there is something to say")
    name: str = Field(description="The name that the owner gave the phone's account")
    server: str = Field(description="The WAHA server it lives on")
    server_up: bool = Field(description="False: the server does not answer, and this is what was known last")
    server_seen_at: datetime | None = Field(description="When that server answered last: the age of all this")
    status_since: datetime | None
    paired_at: datetime | None = Field(
        description="When it was paired (UTC); or, if its server has got another address since then, when it got that"
    )
    last_active: datetime | None = Field(description="The last time that the session was active (UTC)")
    expires_at: datetime | None = Field(description="14 days after that: when WhatsApp may log it out")
    expires_in_seconds: int | None = Field(description="How long that is from now; 0 when it is over")
    requires_auth: bool = Field(description="True if the phone has to scan again")
    phone_last_seen: datetime | None = Field(description="The last sign of its phone: the scan, or a message by hand")
    phone_expires_at: datetime | None = Field(
        description="14 days after that WhatsApp logs the session out, unless the phone is used: no ping replaces it"
    )
    message: str = Field(description="How it is and what to do, in one sentence for a person")
    new_contacts_from: datetime | None = Field(
        description="Until then WhatsApp lets this number write to nobody new; null where no such lock is known"
    )
    limits: str | None = Field(description="Why it may not")
    capping: dict[str, Any] | None = Field(description="WhatsApp's quota of new chats, where WAHA tells it")
    created_at: datetime | None


class SessionCreated(SessionOut):
    """A new session, with the token of its owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NEW_SESSION]})

    sender_token: str | None = Field(
        description="Shown this once; valid as soon as the phone has scanned. null where an `Idempotency-Key` gives an "
        "earlier answer again"
    )


class SessionStatusOut(BaseModel):
    """Where a session is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "phone_number": "+42108077",
                    "status": "active in memory",
                    "state": "CONNECTED",
                    "last_active": "2026-11-21T09:00:00Z",
                    "expires_at": "2026-12-05T09:00:00Z",
                    "requires_auth": False,
                }
            ]
        }
    )

    phone_number: str
    status: Literal["active in memory", "saved in DB", "not found"]
    state: str = Field(description="The session's state, or NOT_FOUND")
    last_active: datetime | None
    expires_at: datetime | None
    requires_auth: bool


class MeOut(BaseModel):
    """The WhatsApp account that a session is paired with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "42108077@c.us", "phone_number": "+42108077", "name": "Ada"}]}
    )

    id: str
    phone_number: str
    name: str


class SessionRemoved(BaseModel):
    """A session was removed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"phone_number": "+42108077", "status": "removed", "message": "the session was removed"}]
        }
    )

    phone_number: str
    status: str
    message: str

"""What the session routes take and give."""

from datetime import UTC, datetime
from typing import Annotated, Literal

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


class SessionOut(BaseModel):
    """A session as we tell it."""

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
    paired_at: datetime | None
    last_active: datetime | None = Field(description="The last time that the session was active (UTC)")
    expires_at: datetime | None = Field(description="14 days after that: when WhatsApp may log it out")
    requires_auth: bool = Field(description="True if the phone has to scan again")
    created_at: datetime | None


class SessionCreated(SessionOut):
    """A new session, with the token of its owner."""

    sender_token: str = Field(description="Shown this once; valid as soon as the phone has scanned")


class SessionStatusOut(BaseModel):
    """Where a session is."""

    phone_number: str
    status: Literal["active in memory", "saved in DB", "not found"]
    state: str = Field(description="The session's state, or NOT_FOUND")
    last_active: datetime | None
    expires_at: datetime | None
    requires_auth: bool


class QrOut(BaseModel):
    """The current QR code, or that none is needed."""

    status: str = Field(description="CONNECTED, WAITING_FOR_SCAN, or what the session is still busy with")
    qr_code: str | None = Field(default=None, description="PNG as base64")
    expires_at: datetime | None = Field(default=None, description="When the code is replaced by the next")
    reason: str | None = Field(default=None, description="Why, where there is something to say: who scanned wrongly")


class MeOut(BaseModel):
    """The WhatsApp account that a session is paired with."""

    id: str
    phone_number: str
    name: str


class SessionRemoved(BaseModel):
    """A session was removed."""

    phone_number: str
    status: str
    message: str

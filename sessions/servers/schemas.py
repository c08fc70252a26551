"""What the operator's routes about servers take and give."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictBool, StringConstraints

from gateway.waha.addresses import check_base_url

Url = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2048), AfterValidator(check_base_url)]
ApiKey = Annotated[SecretStr, Field(max_length=512)]
Capacity = Annotated[int, Field(ge=1, le=100_000, strict=True)]
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"


def _printable(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a key has printable ASCII characters only")
    return key


Key = Annotated[ApiKey, AfterValidator(_printable)]


class ServerCreate(BaseModel):
    """A WAHA server to add. Its address may be anywhere in the operator's network."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "waha2", "url": "http://localhost:3001", "api_key": "...", "capacity": 100}]
        },
    )

    name: str = Field(pattern=NAME_PATTERN, max_length=64, description="What it is called here; it cannot be changed")
    url: Url = Field(description="http(s)://host[:port], without user, query or fragment")
    api_key: Key = Field(default=SecretStr(""), description="Its WAHA_API_KEY; stored encrypted, and never shown")
    capacity: Capacity = Field(default=100, description="How many sessions it may carry")
    check: StrictBool = Field(default=True, description="False: add it without asking whether it answers")


class ServerChange(BaseModel):
    """What to change about a server; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"capacity": 200}]})

    url: Url | None = Field(default=None, description="Its new address, where its sessions must be found")
    api_key: Key | None = Field(default=None, description="Its new key; an empty one for none")
    capacity: Capacity | None = Field(default=None, description="Fewer than it has now only stops new ones")
    check: StrictBool = Field(default=True, description="False: change it without asking whether it answers")
    force: StrictBool = Field(default=False, description="True: take an address that has not all of its sessions")


_SERVER: dict[str, Any] = {
    "name": "waha1",
    "url": "http://localhost:3000",
    "capacity": 100,
    "sessions": 42,
    "free": 58,
    "sessions_by_state": {"CONNECTED": 41, "FAILED": 1},
    "load": 0.42,
    "up": True,
    "draining": False,
    "version": "2026.7.1",
    "engine": "GOWS",
    "last_seen": "2026-11-21T09:00:07Z",
    "started_at": "2026-11-20T09:00:00Z",
    "uptime_seconds": 86407.0,
    "failures": 0,
    "next_ask_at": None,
    "last_error": "",
    "ghosts": [],
    "watched_by": "019aa2b4-1c00-7000-8000-000000000001",
    "created_at": "2026-11-01T09:00:00Z",
}


class ServerOut(BaseModel):
    """A WAHA server as the operator sees it; its key is never told."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SERVER]})

    name: str
    url: str
    capacity: int
    sessions: int = Field(description="Places that are taken; a session that is moving takes one on either server")
    free: int = Field(description="Places that are left")
    sessions_by_state: dict[str, int] = Field(description="Sessions that live here, by state")
    load: float = Field(description="Taken places of all, 0 to 1")
    up: bool = Field(description="False: it does not answer, and everything waits that needs it")
    draining: bool = Field(description="True: it gets no new sessions")
    version: str = Field(description="WAHA's version; empty before it was asked")
    engine: str = Field(description="GOWS, NOWEB, WEBJS or WPP; empty before it was asked")
    last_seen: datetime | None = Field(description="When it answered last")
    started_at: datetime | None = Field(description="When its process started")
    uptime_seconds: float | None = Field(description="For how long it has been running; null while it does not answer")
    failures: int = Field(description="How often in a row it was asked in vain")
    next_ask_at: datetime | None = Field(description="When it is asked again; null while it answers")
    last_error: str = Field(description="What came instead of an answer")
    ghosts: list[str] = Field(description="Sessions on it that are not ours; they are left alone")
    watched_by: str | None = Field(description="The replica that watches it; null for none just now")
    created_at: datetime | None


class ServerRemoved(BaseModel):
    """A server was removed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "waha2",
                    "status": "removed",
                    "forgotten": [],
                    "message": "the server was removed; WAHA was not asked to do anything",
                }
            ]
        }
    )

    name: str
    status: str
    forgotten: list[str] = Field(description="Numbers whose sessions were forgotten with it")
    message: str


class MoveIn(BaseModel):
    """Where a session is to live."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"server": "waha2"}]})

    server: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="The server's name; left out: the one with the most room"
    )
    force: StrictBool = Field(
        default=False, description="True: also while its present server is down, and stop it there when that is back"
    )


class MoveOut(BaseModel):
    """A session has moved."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "phone_number": "+42108077",
                    "from_server": "waha1",
                    "server": "waha2",
                    "status": "STARTING",
                    "scan_again": True,
                    "message": "waha2 has not its login: scan the code of GET /api/sessions/+42108077/qr",
                }
            ]
        }
    )

    phone_number: str
    from_server: str
    server: str
    status: str = Field(description="The session's state")
    scan_again: bool = Field(description="True: the phone has to scan again, as the servers share no store")
    message: str

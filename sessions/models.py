"""Servers, senders and their sessions.

A sender is a number of ours; it keeps its row when its session is deleted, because campaigns refer to it.
"""

from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel


class SessionState(StrEnum):
    """A session as we tell it. `NOT_FOUND` is an answer and never stored."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    WAITING_FOR_SCAN = "WAITING_FOR_SCAN"
    SCANNED = "SCANNED"
    CONNECTED = "CONNECTED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


_ANY = frozenset(SessionState)
TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    # WAHA decides what happens to a session, and any event may be lost: so any state may follow any other,
    # but for the few that only we produce.
    SessionState.STOPPED: _ANY - {SessionState.EXPIRED},
    SessionState.STARTING: _ANY,
    SessionState.WAITING_FOR_SCAN: _ANY - {SessionState.EXPIRED},
    SessionState.SCANNED: _ANY,
    SessionState.CONNECTED: _ANY,
    SessionState.FAILED: _ANY,
    SessionState.EXPIRED: _ANY - {SessionState.SCANNED},
}


def one_of(column: str, values: type[StrEnum]) -> str:
    """The text of a CHECK that `column` holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Server(SQLModel, table=True):
    """One running WAHA. Its key is encrypted at rest."""

    id: str = Field(primary_key=True, max_length=36)
    name: str = Field(unique=True, max_length=64)
    url: str = Field(max_length=2048)
    api_key_encrypted: str = ""
    capacity: int = 100
    draining: bool = False
    up: bool = True
    engine: str = Field(default="", max_length=16)
    version: str = Field(default="", max_length=32)
    last_seen_at: float | None = None
    created_at: float


class Sender(SQLModel, table=True):
    """A phone number of ours that sends; `number` is digits with country code."""

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True, max_length=15)
    account_id: str = Field(foreign_key="account.id", max_length=36)
    created_at: float


class Session(SQLModel, table=True):
    """A sender's login on a WAHA server.

    `paired_at` is when the present pairing was made (None: never, or not any more). `pairing_until` is when the
    open pairing runs out (None: nobody asked for one).
    """

    __table_args__ = (
        CheckConstraint(one_of("state", SessionState), name="state"),
        CheckConstraint("desired IN ('RUNNING', 'STOPPED')", name="desired"),
    )

    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    server_id: str = Field(foreign_key="server.id", index=True, max_length=36)
    name: str = Field(max_length=54, index=True)
    state: str = Field(default=SessionState.STARTING, max_length=20)
    waha_status: str = Field(default="", max_length=40)
    desired: str = Field(default="RUNNING", max_length=8)
    reason: str = ""
    push_name: str = ""
    paired_at: float | None = None
    pairing_until: float | None = None
    last_active: float | None = None
    state_at: float
    created_at: float

"""Servers, senders and their sessions.

A sender is a number of ours; it keeps its row when its session is deleted, because campaigns refer to it.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer
from sqlmodel import Field, SQLModel

_LONG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER only


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
    SessionState.EXPIRED: _ANY,
}


def one_of(column: str, values: type[StrEnum]) -> str:
    """The text of a CHECK that `column` holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Desired(StrEnum):
    """What a session is meant to be; the keeper makes it so."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DELETED = "DELETED"


class Server(SQLModel, table=True):
    """One running WAHA. Its key is encrypted at rest.

    One replica at a time looks after it: `listener` until `listener_until`. While it does not answer (`up` is false)
    it is asked again at `ask_at`, after more and more time; `last_error` says what came instead. `started_at` is when
    its process started, by our clock. `ghosts` (a JSON list) are the sessions on it that are not ours.
    """

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
    started_at: float | None = None
    failures: int = 0
    ask_at: float = 0
    last_error: str = ""
    listener: str | None = Field(default=None, max_length=36)
    listener_until: float = 0
    ghosts: str = "[]"
    created_at: float


class ServerSeed(SQLModel, table=True):
    """What the settings said about a server when they were last taken over, encrypted: only a change counts again."""

    __tablename__ = "server_seed"

    name: str = Field(primary_key=True, max_length=64)
    values_encrypted: str


class Sender(SQLModel, table=True):
    """A phone number of ours that sends; `number` is digits with country code.

    It belongs to an account for good once a scan has `proven` that; before, to whoever opened its last pairing.

    Until `locked_until` WhatsApp lets it write to nobody new; `lock_strikes` counts the refusals in a row that named
    no time, and `lock_reason` is for people.
    """

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True, max_length=15)
    account_id: str = Field(foreign_key="account.id", max_length=36)
    proven: bool = False
    locked_until: float = 0
    lock_strikes: int = 0
    lock_reason: str = ""
    created_at: float


class Session(SQLModel, table=True):
    """A sender's login on a WAHA server. Times are epoch seconds.

    Pairing: `paired_at` is when the present pairing was made (None: never, or not any more); `pairing_until` is when
    the open pairing runs out (None: nobody asked for one); `requires_auth` says that only its phone can help.

    What WAHA says: `waha_status` since `status_at`; `event_at` is WAHA's own time of the last status event that was
    taken, or about that of the answer which told another status, so that a repeated or late event changes nothing.
    `capping` is its quota of new chats as JSON, if any.

    Keeping: one lifecycle call at a time, by the lease `busy_by`, `busy_with`, `busy_until`. `repairs` in vain so far,
    the last at `repaired_at`, the next not before `repair_at`; the last `rejections` of them failed at once, as they do
    where the login is gone. `configured_at` and `deaf_at` are when it was last given its configuration and restarted
    for being deaf. `moving_to` is the server that it is moving to.

    Two clocks: `last_active` of the session and `phone_last_seen` of the phone. `ping_at` is the next ping, `pinged_at`
    the last that was answered, `ping_failures` counts those since; `warned_at` is when its expiry was announced, and
    `phone_warned_at` when it was told that its phone has not been seen.
    """

    __table_args__ = (
        CheckConstraint(one_of("state", SessionState), name="state"),
        CheckConstraint(one_of("desired", Desired), name="desired"),
    )

    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    server_id: str = Field(foreign_key="server.id", index=True, max_length=36)
    moving_to: str | None = Field(default=None, foreign_key="server.id", max_length=36)
    name: str = Field(max_length=54, index=True)
    state: str = Field(default=SessionState.STARTING, max_length=20)
    waha_status: str = Field(default="", max_length=40)
    status_at: float = 0
    event_at: float = 0
    desired: str = Field(default=Desired.RUNNING, max_length=8)
    reason: str = ""
    push_name: str = ""
    requires_auth: bool = True
    paired_at: float | None = None
    pairing_until: float | None = None
    busy_by: str | None = Field(default=None, max_length=36)
    busy_with: str = Field(default="", max_length=16)
    busy_until: float = 0
    repairs: int = 0
    repair_at: float = 0
    repaired_at: float | None = None
    rejections: int = 0
    configured_at: float | None = None
    deaf_at: float | None = None
    last_active: float | None = None
    phone_last_seen: float | None = None
    ping_at: float | None = None
    pinged_at: float | None = None
    ping_failures: int = 0
    warned_at: float | None = None
    phone_warned_at: float | None = None
    capping: str = ""
    state_at: float
    created_at: float


class SessionEvent(SQLModel, table=True):
    """One line of a session's history: what happened to it, or was done with it, and why."""

    __tablename__ = "session_event"
    __table_args__ = (Index("ix_session_event_sender", "sender_id", "id"), Index("ix_session_event_at", "at"))

    id: int | None = Field(default=None, sa_column=Column(_LONG, primary_key=True))
    sender_id: int = Field(foreign_key="sender.id")
    at: float
    kind: str = Field(max_length=40)
    reason: str = ""

"""What is told to clients: events, who listens to them, and how far they are numbered."""

from sqlalchemy import BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel

from gateway.db import ID, SECONDS

IDLE = 1e12
"""`until` of a listener that has no end."""
EVERYBODY = "*"
"""`account_id` of a listener that hears the events of every account: an operator's."""

_NEW = text("sequence IS NULL")
_NUMBERED = text("sequence IS NOT NULL")


class Event(SQLModel, table=True):
    """One fact that somebody wants to hear of, written in the transaction of the fact.

    `id` sorts by the time it was written. `sequence` is None until the event is numbered: only then it is told, so that
    whoever has heard of one has heard of all before it. `sender_number` (digits) is the number of ours that it is
    about, whose token may see it. `data` is a JSON object.
    """

    __table_args__ = (
        Index("ix_event_new", "id", sqlite_where=_NEW, postgresql_where=_NEW),
        Index("uq_event_sequence", "sequence", unique=True, sqlite_where=_NUMBERED, postgresql_where=_NUMBERED),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    sequence: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    account_id: str = Field(max_length=36)
    campaign_id: str | None = Field(default=None, sa_column=Column(ID, nullable=True))
    sender_number: str | None = Field(default=None, max_length=15)
    kind: str = Field(max_length=40)
    at: float = Field(sa_column=Column(SECONDS, nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))


class EventListener(SQLModel, table=True):
    """Somebody who wants to hear events, until then: without one, nothing is written.

    `account_id` is whose events (`EVERYBODY`: all accounts'), or empty where it is the events of `sender_number`
    (digits). `heard_after`, of those who may come again and ask what they have missed, is the sequence after which
    nothing was left out for them.
    """

    __tablename__ = "event_listener"
    __table_args__ = (Index("ix_event_listener_account_id", "account_id"),)

    key: str = Field(primary_key=True, max_length=64)
    account_id: str = Field(max_length=36)
    sender_number: str | None = Field(default=None, max_length=15)
    until: float = Field(sa_column=Column(SECONDS, nullable=False))
    heard_after: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class EventCounter(SQLModel, table=True):
    """The one row that says how far events are numbered, and up to which one they may have been removed.

    Whoever numbers events holds it locked.
    """

    __tablename__ = "event_counter"

    name: str = Field(primary_key=True, max_length=16)
    last: int = Field(sa_column=Column(BigInteger, nullable=False))
    forgotten: int = Field(sa_column=Column(BigInteger, nullable=False))

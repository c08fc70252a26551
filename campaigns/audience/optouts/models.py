"""Whom an account may not write to, why, and how that came and went; and how often it may write to the same person."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID, SECONDS
from gateway.folding import FOLDED
from sessions.models import one_of

EVERY_ACCOUNT = "*"
"""`account_id` where an operator has stopped a number for all accounts."""


class Source(StrEnum):
    """How an opt-out, or its end, came to us."""

    KEYWORD = "keyword"
    API = "api"
    IMPORT = "import"
    CONSOLE = "console"


class Action(StrEnum):
    """What happened to somebody's wish."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class Suppression(SQLModel, table=True):
    """Somebody (digits) to whom an account, or nobody (`EVERY_ACCOUNT`), may write; it is gone when they opt in again.

    `person` are the digits that all spellings of one person's number share (`people.py`): by them messages are judged.
    `said` is what they wrote, and `sender_number` (digits) to which of ours. `search_text` is the folded reason and the
    digits.
    """

    __table_args__ = (
        CheckConstraint(one_of("source", Source), name="source"),
        Index("uq_suppression_account_person", "account_id", "person", unique=True),
        Index("ix_suppression_account", "account_id", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(max_length=36)
    person: str = Field(max_length=15)
    phone: str = Field(max_length=15)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    source: str = Field(max_length=8)
    said: str | None = Field(default=None, sa_column=Column(Text))
    sender_number: str | None = Field(default=None, max_length=15)
    created_at: float = Field(sa_column=Column(SECONDS, nullable=False))
    search_text: str = Field(sa_column=Column(FOLDED, nullable=False))


class SuppressionHistory(SQLModel, table=True):
    """One step of somebody's wish: that they opted out or in, when, why, and through whom (`by`).

    `confirmed` tells that it was to be answered with a confirmation. `said_at` is when they wrote, by WhatsApp's clock.
    """

    __tablename__ = "suppression_history"
    __table_args__ = (
        CheckConstraint(one_of("action", Action), name="action"),
        CheckConstraint(one_of("source", Source), name="source"),
        Index("ix_suppression_history_person", "account_id", "person", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(max_length=36)
    person: str = Field(max_length=15)
    phone: str = Field(max_length=15)
    action: str = Field(max_length=9)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    source: str = Field(max_length=8)
    by: str = Field(max_length=320)
    said: str | None = Field(default=None, sa_column=Column(Text))
    sender_number: str | None = Field(default=None, max_length=15)
    said_at: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    confirmed: bool = False
    at: float = Field(sa_column=Column(SECONDS, nullable=False))


class FrequencyCap(SQLModel, table=True):
    """How many campaign messages an account may send to one person in so many days, where a request says nothing."""

    __tablename__ = "frequency_cap"

    account_id: str = Field(primary_key=True, foreign_key="account.id", max_length=36)
    messages: int
    days: int

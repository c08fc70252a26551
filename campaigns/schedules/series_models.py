"""Series of schedules: the rule, how far it has come, and which schedule is which occurrence.

What is sent, and to whom, stands in the schedules: each occurrence is a schedule of its own.
"""

from sqlalchemy import Column, Float, Index, Text
from sqlmodel import Field, SQLModel

from gateway.db import ID


class ScheduleSeries(SQLModel, table=True):
    """A rule (RFC 5545) on the clock of an IANA zone.

    `last_` tells of the occurrence that was made last: its number (from 1), what the clock shows (ISO 8601 without an
    offset) and the moment (epoch seconds). `ended_at` is set where nothing follows any more.
    """

    __tablename__ = "schedule_series"

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    rule: str = Field(sa_column=Column(Text, nullable=False))
    timezone: str = Field(max_length=64)
    last_number: int = 1
    last_wall: str = Field(max_length=19)
    last_at: float = Field(sa_column=Column(Float(53), nullable=False))
    ended_at: float | None = None
    created_at: float


class SeriesOccurrence(SQLModel, table=True):
    """Which occurrence of which series a schedule is; each occurrence is one schedule only."""

    __tablename__ = "series_occurrence"
    __table_args__ = (Index("uq_series_occurrence_number", "series_id", "number", unique=True),)

    schedule_id: str = Field(sa_column=Column(ID, primary_key=True))
    series_id: str = Field(sa_column=Column(ID, nullable=False))
    number: int

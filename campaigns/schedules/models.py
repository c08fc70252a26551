"""Schedules: campaigns with a start time, whose text and recipients are read when it has come.

A schedule is the campaign of the same id, and a row beside it. What the campaign waits for, sends and counts is in the
campaign's row; here is what a schedule has besides: what it is made of, its status as its API tells it, and what became
of it. Times are epoch seconds.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from sessions.models import one_of


class ScheduleStatus(StrEnum):
    """How a schedule is, in the words of its API."""

    PENDING = "pending"
    PROCESSING = "processing"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ARCHIVED = "archived"


IS_PENDING = text("status = 'pending'")
_IS_FILLING = text("filling")
_IS_UNTOLD = text("untold_from IS NOT NULL")


class Schedule(SQLModel, table=True):
    """What a campaign with a start time is made of. Its id is the campaign's.

    `status` follows the campaign's state in the same transactions (`following.py`). `minute` is the one of its
    `scheduled_time`, since 1970: a text goes to a group once in a minute. `title` and `group_name` are those of the
    template and the group when they were read, at `content_read_at` (None: they will be), and stay when those are gone.
    With `any_sender` nobody was named, and the connected senders of the account take part. `filling`: messages of it
    may be stored that do not count yet. It is begun at most `max_lateness` seconds after its time.

    `local_wall` is set where each recipient is written to when the clock where they are shows that (ISO 8601 without an
    offset); `scheduled_time` is when that of the schedule's own zone does. With `at_once` (send-now) no clock counts.
    `missed` occurrences of its series, after it, passed while nobody could begin them. Those of its messages that were
    skipped when it began are told of; from number `untold_from` on that is still to be done (None: nobody is left).
    """

    __table_args__ = (
        CheckConstraint(one_of("status", ScheduleStatus), name="status"),
        # each list's index has the status in it, so that it is filtered and counted without a look at the rows
        Index("ix_schedule_time", "scheduled_time", "campaign_id", "status"),
        Index("ix_schedule_account_time", "account_id", "scheduled_time", "campaign_id", "status"),
        Index("ix_schedule_template_time", "template_id", "scheduled_time", "campaign_id", "status"),
        Index("ix_schedule_group_time", "group_id", "scheduled_time", "campaign_id", "status"),
        Index("ix_schedule_both_time", "template_id", "group_id", "scheduled_time", "campaign_id", "status"),
        Index("ix_schedule_account_status", "account_id", "status", "scheduled_time", "campaign_id"),
        Index("ix_schedule_template_status", "template_id", "status", "scheduled_time", "campaign_id"),
        Index("ix_schedule_group_status", "group_id", "status", "scheduled_time", "campaign_id"),
        # and these are to be counted in: with so few kinds of entries they are a tenth of the size on PostgreSQL
        Index("ix_schedule_account_count", "account_id", "status"),
        Index("ix_schedule_both_count", "template_id", "group_id", "status"),
        Index("ix_schedule_group_count", "group_id", "status"),
        Index(
            "uq_schedule_minute",
            "template_id",
            "group_id",
            "minute",
            unique=True,
            sqlite_where=IS_PENDING,
            postgresql_where=IS_PENDING,
        ),
        Index("ix_schedule_filling", "campaign_id", sqlite_where=_IS_FILLING, postgresql_where=_IS_FILLING),
        Index("ix_schedule_untold", "campaign_id", sqlite_where=_IS_UNTOLD, postgresql_where=_IS_UNTOLD),
    )

    campaign_id: str = Field(sa_column=Column(ID, ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    template_id: str | None = Field(sa_column=Column(ID, ForeignKey("template.id", ondelete="SET NULL"), nullable=True))
    group_id: str | None = Field(
        sa_column=Column(ID, ForeignKey("recipient_group.id", ondelete="SET NULL"), nullable=True)
    )
    title: str = Field(max_length=255)
    group_name: str = Field(max_length=100)
    status: str = Field(default=ScheduleStatus.PENDING, max_length=12)
    scheduled_time: float
    minute: int = Field(sa_column=Column(BigInteger, nullable=False))
    max_lateness: float
    any_sender: bool = False
    local_wall: str | None = Field(default=None, max_length=19)
    at_once: bool = False
    missed: int = 0
    recipient_count: int = 0
    filling: bool = False
    untold_from: int | None = None
    created_at: float
    created_by: str = Field(max_length=254)
    processing_at: float | None = None
    content_read_at: float | None = None
    cancelled_at: float | None = None
    cancelled_by: str | None = Field(default=None, max_length=254)
    archived_at: float | None = None

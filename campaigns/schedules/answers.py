"""What is told of schedules. Pure: from the rows of `queries.py` to what the routes give."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from campaigns.schedules.following import SENT_STATES
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.rules import parse_rule
from campaigns.schedules.schemas import (
    GroupName,
    GroupRecipients,
    GroupSize,
    MessageContent,
    MessageName,
    ScheduleCreated,
    ScheduleDetails,
    ScheduleOut,
    ScheduleRecipient,
)
from campaigns.schedules.series import SHOWN_AHEAD, Series, ahead
from campaigns.sending.models import CampaignState, MessageState, Priority
from campaigns.sending.timing import hours_out
from gateway.db import AnyRow
from sessions.schemas import as_time, in_utc

_M = MessageState
RECIPIENT_STATUS = {
    _M.QUEUED: "pending",
    _M.SENDING: "processing",
    _M.SENT: "sent",
    _M.DELIVERED: "sent",
    _M.READ: "sent",
    _M.UNCONFIRMED: "unconfirmed",
    _M.FAILED: "failed",
    _M.SKIPPED: "failed",
    _M.CANCELLED: "cancelled",
}


def created_out(row: AnyRow, numbers: Sequence[str], count: int) -> ScheduleCreated:
    """A schedule that was just made, for so many members."""
    return ScheduleCreated(
        id=row.campaign_id,
        message=MessageName(id=row.template_id, title=row.title_now),
        group=GroupName(id=row.group_id, name=row.group_name_now),
        scheduled_time=in_utc(row.scheduled_time),
        status=row.status,
        created_at=in_utc(row.created_at),
        task_id=row.campaign_id,
        recipient_count=count,
        content_read_at=as_time(row.content_read_at),
        **_options(row, numbers),
    )


def schedule_out(row: AnyRow, count: int) -> ScheduleOut:
    """A schedule in a list; `count` is for how many people it is."""
    return ScheduleOut(**_fields(row, count), **_repeats(row), group=GroupSize(**_group(row), recipient_count=count))


def details_out(row: AnyRow, numbers: Sequence[str], count: int, people: list[ScheduleRecipient]) -> ScheduleDetails:
    """One schedule with some of its people."""
    return ScheduleDetails(
        **_fields(row, count),
        **_options(row, numbers),
        group=GroupRecipients(**_group(row), recipient_count=count, recipients=people),
        processing_started_at=as_time(row.processing_at),
        processing_time=processing_time(row),
        cancelled_at=as_time(cancelled_at(row)),
        cancelled_by=row.cancelled_by,
        archived_at=as_time(row.archived_at),
        created_by=row.created_by,
    )


def next_times(row: AnyRow) -> list[float]:
    """When the series comes after this schedule; nothing without a series, or after it was ended."""
    if row.recurrence is None or row.series_ended_at is not None:
        return []
    last = Occurrence(row.last_number, datetime.fromisoformat(row.last_wall), row.last_at)
    known = [last.at] if row.occurrence < last.number else []
    return [*known, *ahead(Series(parse_rule(row.recurrence), row.timezone, last))][:SHOWN_AHEAD]


def _repeats(row: AnyRow) -> dict[str, Any]:
    return {
        "recurrence": row.recurrence,
        "timezone": row.timezone,
        "local_time": row.local_wall is not None,
        "series_id": row.series_id,
        "occurrence": row.occurrence,
        "missed_occurrences": row.missed,
    }


def processing_time(row: AnyRow) -> int | None:
    """Whole seconds from its beginning to its end; None before that, or without a beginning."""
    if row.processing_at is None or row.finished_at is None:
        return None
    return max(0, round(float(row.finished_at) - float(row.processing_at)))


def cancelled_at(row: AnyRow) -> float | None:
    """When it was cancelled, at whatever door."""
    return row.finished_at if row.state == CampaignState.CANCELLED else None


def waiting_person(row: AnyRow) -> ScheduleRecipient:
    """A member of the group of a schedule that has not begun, or never did (columns: id, name, phone)."""
    return ScheduleRecipient(
        id=row.id, name=row.name, phone_number=f"+{row.phone}", status="pending", sent_at=None, error=None
    )


def person(row: AnyRow) -> ScheduleRecipient:
    """Somebody whom a schedule was begun for, by their message."""
    return ScheduleRecipient(
        id=row.id,
        name=row.name,
        phone_number=f"+{row.phone}",
        status=RECIPIENT_STATUS[MessageState(row.state)],
        sent_at=as_time(row.sent_at),
        error=row.error,
    )


def _fields(row: AnyRow, count: int) -> dict[str, Any]:
    return {
        "id": row.campaign_id,
        "message": MessageContent(id=row.template_id, title=row.title_now, content=row.content_now),
        "scheduled_time": in_utc(row.scheduled_time),
        "status": row.status,
        "created_at": in_utc(row.created_at),
        "sent_at": as_time(row.finished_at) if row.state in SENT_STATES else None,
        "error_message": _error_message(row),
        "recipient_count": count,
        "sent_count": row.n_sent + row.n_delivered + row.n_read,
        "failed_count": row.n_failed + row.n_skipped,
        "task_id": row.campaign_id,
        "content_read_at": as_time(row.content_read_at),
    }


def _error_message(row: AnyRow) -> str | None:
    """Its campaign's reason; one of which everything failed has none of its own."""
    if row.reason or row.status != ScheduleStatus.FAILED:
        return row.reason or None
    return f"none of its {row.total} messages could be sent; each recipient tells why"


def _group(row: AnyRow) -> dict[str, Any]:
    return {"id": row.group_id, "name": row.group_name_now}


def _options(row: AnyRow, numbers: Sequence[str]) -> dict[str, Any]:
    hours = hours_out(dict(row._mapping))
    return {
        "sender_numbers": [f"+{number}" for number in numbers],
        "max_lateness": row.max_lateness,
        "priority": list(Priority)[row.priority],
        "rotation": row.rotation,
        "failover": row.failover,
        **{name: hours[name] for name in ("expires_at", "quiet_hours", "weekdays", "auto_pause")},
        **_repeats(row),
        "next_occurrences": [in_utc(at) for at in next_times(row)],
    }

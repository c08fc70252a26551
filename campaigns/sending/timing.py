"""Hours of a campaign on their way: from a request into its row, and from its row to who asks. Pure; epoch seconds."""

from collections.abc import Mapping
from typing import Any

from campaigns.sending.hours import Hours, alarm, names_of, window
from campaigns.sending.models import EVERY_DAY, IDLE, CampaignState
from gateway.errors import FieldError, ValidationFailed
from sessions.schemas import as_time

LATE_SECONDS = 60.0
"""A start that is over by less is meant as *now*: clocks differ, and a request takes its time."""
AHEAD_SECONDS = 366 * 86_400.0


def check_times(hours: Hours, now: float, *, start_field: str = "start_at") -> None:
    """Refuse times that nothing can be sent in; `start_field` is where the request says when to begin.

    Raises:
        ValidationFailed: the start or the expiry is over, in the wrong order or too far away, or no time is left.
    """
    starts_at, expires_at = hours.starts_at, hours.expires_at
    if starts_at is not None and starts_at < now - LATE_SECONDS:
        _refuse(start_field, "is over; leave it out to begin now")
    if starts_at is not None and starts_at > now + AHEAD_SECONDS:
        _refuse(start_field, "is more than a year away")
    if expires_at is not None and expires_at <= now:
        _refuse("expires_at", "is over: nothing could be sent")
    if expires_at is not None and starts_at is not None and expires_at <= starts_at:
        _refuse("expires_at", f"must be after {start_field}")
    if expires_at is not None and window(hours, now).opens_at == IDLE:
        _refuse("expires_at", "is before the first time that quiet_hours and weekdays leave open")


def _refuse(field: str, message: str) -> None:
    raise ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, "value_error")])


def new_columns(hours: Hours, now: float) -> dict[str, Any]:
    """A new campaign's columns that follow from its hours, its state among them."""
    scheduled = hours.starts_at is not None and hours.starts_at > now
    return {
        "state": CampaignState.SCHEDULED if scheduled else CampaignState.QUEUED,
        "starts_at": hours.starts_at,
        "expires_at": hours.expires_at,
        "timezone": hours.timezone,
        "quiet_from": hours.quiet_from,
        "quiet_to": hours.quiet_to,
        "weekdays": hours.weekdays,
        **window_columns(hours, now, scheduled=scheduled),
    }


def window_columns(hours: Hours, now: float, *, scheduled: bool = False) -> dict[str, float | None]:
    """The columns of a campaign that change as its windows come and go."""
    current = window(hours, now)
    return {
        "opens_at": current.opens_at,
        "closes_at": current.closes_at,
        "alarm_at": alarm(hours, current, now, scheduled=scheduled),
    }


def hours_of(row: Mapping[str, Any]) -> Hours:
    """The hours of a campaign's row."""
    return Hours(
        timezone=row["timezone"],
        quiet_from=row["quiet_from"],
        quiet_to=row["quiet_to"],
        weekdays=row["weekdays"],
        starts_at=row["starts_at"],
        expires_at=row["expires_at"],
    )


def hours_out(row: Mapping[str, Any]) -> dict[str, Any]:
    """The hours of a campaign's row as the API tells them, named as in a request.

    Rows that were kept as answers by a version without hours have none.
    """
    begins, ends = row.get("quiet_from"), row.get("quiet_to")
    return {
        "start_at": as_time(row.get("starts_at")),
        "expires_at": as_time(row.get("expires_at")),
        "timezone": row.get("timezone", "UTC"),
        "quiet_hours": quiet_out(begins, ends),
        "weekdays": names_of(row.get("weekdays", EVERY_DAY)),
        "auto_pause": row.get("auto_pause", True),
    }


def quiet_out(begins: int | None, ends: int | None) -> dict[str, str] | None:
    """Quiet hours of a row as a request names them; minutes of the day."""
    return None if begins is None or ends is None else {"from": _clock(begins), "to": _clock(ends)}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"

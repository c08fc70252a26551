"""When a request has its schedule begin, and what it is the first occurrence of. Pure; epoch seconds."""

from dataclasses import dataclass, replace
from datetime import datetime

from campaigns.schedules.local_time import first_anywhere, wall_time
from campaigns.schedules.rules import parse_rule
from campaigns.schedules.schemas import ScheduleIn
from campaigns.schedules.series import Series, begin, wall_in
from campaigns.sending.hours import Hours
from campaigns.sending.timing import AHEAD_SECONDS, check_times
from campaigns.sending.wall_clock import instant_of, zone_of
from gateway.errors import FieldError, ValidationFailed

_DAYS = 2 * 86_400.0
"""A reading of a clock is no further than this from the same reading in any other zone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule's time, the hours of its campaign (which begin when it is looked at), and its series if it repeats.

    `local_wall` is what the clock of each recipient shows when they are written to (ISO 8601 without an offset).
    """

    scheduled_time: float
    hours: Hours
    local_wall: str | None
    series: Series | None


def plan_of(body: ScheduleIn, now: float, usual: Hours | None = None) -> Plan:
    """What a request asks for; `usual` are the hours of the account that it keeps to where it names none.

    Raises:
        ValidationFailed: its time is over or too far away, or is not one that its rule gives.
    """
    wall = wall_time(body.scheduled_time).replace(microsecond=0) if body.local_time else None
    at = _moment(body, wall, now)
    _refuse_over(at, now)
    hours = replace(body.hours_from(None, usual), starts_at=at)
    check_times(hours, now, start_field="scheduled_time")
    series = None
    if body.recurrence is not None:
        series = begin(parse_rule(body.recurrence), body.timezone, wall or wall_in(body.timezone, at))
    return Plan(
        scheduled_time=at,
        hours=replace(hours, starts_at=start_of(at, wall)),
        local_wall=None if wall is None else wall.isoformat(),
        series=series,
    )


def start_of(at: float, wall: datetime | None) -> float:
    """When a schedule is looked at: at its time, or when a clock anywhere shows `wall` first."""
    return at if wall is None else first_anywhere(wall)


def _moment(body: ScheduleIn, wall: datetime | None, now: float) -> float:
    """When it is time in the schedule's own zone; what is refused anyway is as it was given."""
    given = body.scheduled_time.timestamp()
    if wall is None or not now - _DAYS < given < now + AHEAD_SECONDS + _DAYS:
        return given
    return instant_of(wall, zone_of(body.timezone))


def _refuse_over(scheduled_time: float, now: float) -> None:
    if scheduled_time <= now:
        message = "is over; name a time to come, and have it sent at once with POST /api/schedules/{id}/send-now"
        field = "scheduled_time"
        raise ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, "in_the_past")])

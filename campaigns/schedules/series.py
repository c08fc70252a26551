"""A recurring schedule as a series: each occurrence is a schedule of its own, and leads to the next one. Pure.

The next occurrence is made in the transaction that starts (or fails, or cancels) the one before, so that there is
always exactly one that waits. After a downtime the occurrences that nobody may send any more are counted and passed
over: one row tells of all of them.
"""

from dataclasses import dataclass
from datetime import datetime

from campaigns.schedules.recurrence import Occurrence, first_of, following, preview
from campaigns.schedules.rules import Rule
from campaigns.sending.wall_clock import wall_of, zone_of
from gateway.errors import FieldError, ValidationFailed

SHOWN_AHEAD = 3
"""How many of the next occurrences an answer tells."""


@dataclass(frozen=True, slots=True)
class Series:
    """A rule on the clock of an IANA zone, as far as it has come: `last` is the occurrence that was made last."""

    rule: Rule
    zone: str
    last: Occurrence


@dataclass(frozen=True, slots=True)
class Following:
    """The occurrence to be made (None: the series is over), and how many before it were missed."""

    occurrence: Occurrence | None
    missed: int


def begin(rule: Rule, zone: str, wall: datetime) -> Series:
    """A series whose first occurrence is at `wall` on the clock of `zone`.

    Raises:
        ValidationFailed: the rule gives nothing, or not this time first.
    """
    first = first_of(rule, zone, wall)
    if first is None:
        raise _refused("recurrence", "gives no time at or after scheduled_time")
    if first.wall != wall:
        shown = first.wall.isoformat()
        raise _refused("scheduled_time", f"is not one of the rule's times: the first one after it is {shown} in {zone}")
    return Series(rule, zone, first)


def wall_in(zone: str, at: float) -> datetime:
    """What the clock of `zone` shows at a moment, to the second."""
    return wall_of(at, zone_of(zone)).replace(microsecond=0)


def follow(series: Series, now: float, max_lateness: float) -> Following:
    """The first occurrence after the last one that is not late by more than `max_lateness` seconds."""
    missed = 0
    for one in following(series.rule, series.zone, series.last):
        if one.at >= now - max_lateness:
            return Following(one, missed)
        missed += 1
    return Following(None, missed)


def ahead(series: Series) -> list[float]:
    """When the next few occurrences after the last one are."""
    return [one.at for one in preview(series.rule, series.zone, series.last, SHOWN_AHEAD)]


def tell_missed(missed: int) -> str:
    """What the reason of an occurrence adds where others after it were missed too; empty where none were."""
    if not missed:
        return ""
    return (
        f"; {missed} further occurrence{'s' if missed > 1 else ''} of the series passed meanwhile and will not be sent"
    )


def _refused(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {message}", errors=[FieldError(field, message, "value_error")])

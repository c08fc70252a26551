"""When a recurring schedule comes: an RFC 5545 rule on the clock on the wall of a named time zone. Pure; epoch seconds.

The time on the wall is kept over changes of the clock: 09:00 stays 09:00. A time that the clock skips is the moment of
the change, and one that it shows twice happens once, the first time. A rule with several occurrences a day leaves out
those in a skipped hour, so that none follows another at once.

Days are looked at one by one and for at most `HORIZON_DAYS` after an occurrence, so no rule costs more than some
milliseconds, whatever it says (docs/decisions/bounded-recurrence.md).
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from typing import NamedTuple

from campaigns.schedules.rules import ByDay, Frequency, Rule
from campaigns.sending.wall_clock import instant_of, is_skipped, zone_of

HORIZON_DAYS = 8 * 366 + 1
"""A rule that has no occurrence for so long after one (29 February over the year 2100 has one) is over."""
_LAST_DAY = date(9990, 1, 1)


class Occurrence(NamedTuple):
    """One time of a series: its number (from 1), what the clock on the wall shows (no zone), and the moment."""

    number: int
    wall: datetime
    at: float


def first_of(rule: Rule, zone: str, wall: datetime) -> Occurrence | None:
    """The first occurrence that is not before `wall` on the clock of `zone`; None if the rule gives none."""
    return next(_numbered(rule, zone, _walls(rule, wall), None), None)


def following(rule: Rule, zone: str, last: Occurrence) -> Iterator[Occurrence]:
    """The occurrences after `last`, which is one itself, in order; a COUNT counts from the first of all."""
    return _numbered(rule, zone, _walls(rule, last.wall), last)


def next_after(rule: Rule, zone: str, last: Occurrence, after: float) -> Occurrence | None:
    """The first occurrence after `last` that lies after the moment `after`; None if the series is over by then."""
    return next((one for one in following(rule, zone, last) if one.at > after), None)


def preview(rule: Rule, zone: str, last: Occurrence, count: int) -> list[Occurrence]:
    """The `count` occurrences after `last`, or as many as there are."""
    return list(islice(following(rule, zone, last), count))


def _numbered(rule: Rule, zone: str, walls: Iterator[datetime], last: Occurrence | None) -> Iterator[Occurrence]:
    """The readings after `last` as moments, until the rule's own end."""
    info = zone_of(zone)
    for wall in walls:
        at = instant_of(wall, info)
        is_old = last is not None and (wall <= last.wall or at <= last.at)
        if is_old or (rule.several_a_day and is_skipped(wall, info)):
            continue
        last = Occurrence(1 if last is None else last.number + 1, wall, at)
        if _is_over(rule, last):
            return
        yield last


def _is_over(rule: Rule, one: Occurrence) -> bool:
    if rule.count is not None and one.number > rule.count:
        return True
    if rule.until is None:
        return False
    return one.wall > rule.until if rule.until.tzinfo is None else one.at > rule.until.timestamp()


def _walls(rule: Rule, start: datetime) -> Iterator[datetime]:
    """What the clock shows at the rule's times from `start` on, in order; it gives up `HORIZON_DAYS` after the last."""
    whole = _completed(rule, start)
    clock = start.time().replace(minute=whole.minute or 0, second=whole.second or 0, microsecond=0)
    found = start.date()
    for days in _periods(whole, start.date()):
        if days[0] > _LAST_DAY or (days[0] - found).days > HORIZON_DAYS:
            return
        times = [
            datetime.combine(day, clock.replace(hour=hour))
            for day in days
            if _fits(whole, day)
            for hour in _hours(whole, start, day)
        ]
        for wall in _chosen(whole, times):
            if wall >= start:
                found = wall.date()
                yield wall


def _completed(rule: Rule, start: datetime) -> Rule:
    """The rule with what it leaves open taken from its start, as RFC 5545 says it."""
    no_days = not (rule.days or rule.month_days or rule.year_days)
    if no_days and rule.frequency is Frequency.WEEKLY:
        rule = replace(rule, days=frozenset({ByDay(start.weekday())}))
    elif no_days and rule.frequency in (Frequency.MONTHLY, Frequency.YEARLY):
        yearly = rule.frequency is Frequency.YEARLY and not rule.months
        months = frozenset({start.month}) if yearly else rule.months
        rule = replace(rule, month_days=frozenset({start.day}), months=months)
    if not rule.hours and rule.frequency is not Frequency.HOURLY:
        rule = replace(rule, hours=frozenset({start.hour}))
    return replace(
        rule,
        minute=start.minute if rule.minute is None else rule.minute,
        second=start.second if rule.second is None else rule.second,
    )


def _periods(rule: Rule, start: date) -> Iterator[Sequence[date]]:
    """The days of each period, from the one of `start` on: a year, a month, a week, or a single day."""
    if rule.frequency is Frequency.YEARLY:
        for year in range(start.year, _LAST_DAY.year + 1, rule.interval):
            yield _days(date(year, 1, 1), 366 if calendar.isleap(year) else 365)
    elif rule.frequency is Frequency.MONTHLY:
        first = start.year * 12 + start.month - 1
        for months in range(first, _LAST_DAY.year * 12, rule.interval):
            year, month = months // 12, months % 12 + 1
            yield _days(date(year, month, 1), calendar.monthrange(year, month)[1])
    else:
        length = 7 if rule.frequency is Frequency.WEEKLY else 1
        step = 1 if rule.frequency is Frequency.HOURLY else rule.interval * length
        begins = start.toordinal()
        if length == 7:
            begins = max(begins - (start.weekday() - rule.week_starts) % 7, 1)
        for day in range(begins, _LAST_DAY.toordinal(), step):
            yield _days(date.fromordinal(day), length)


def _days(first: date, count: int) -> Sequence[date]:
    ordinal = first.toordinal()
    return [date.fromordinal(ordinal + index) for index in range(count)]


def _fits(rule: Rule, day: date) -> bool:
    """Whether the rule's parts that speak of days let this one pass."""
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days:
        length = calendar.monthrange(day.year, day.month)[1]
        if day.day not in rule.month_days and day.day - length - 1 not in rule.month_days:
            return False
    if rule.year_days:
        year_day, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
        if year_day not in rule.year_days and year_day - length - 1 not in rule.year_days:
            return False
    return not rule.days or any(one.weekday == day.weekday() and _is_nth(rule, one.nth, day) for one in rule.days)


def _is_nth(rule: Rule, nth: int | None, day: date) -> bool:
    """Whether a day is the nth of its weekday: of the year, where a yearly rule names no months, or of the month."""
    if nth is None:
        return True
    if rule.frequency is Frequency.YEARLY and not rule.months:
        place, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
    else:
        place, length = day.day, calendar.monthrange(day.year, day.month)[1]
    return nth == (place - 1) // 7 + 1 if nth > 0 else -nth == (length - place) // 7 + 1


def _hours(rule: Rule, start: datetime, day: date) -> Sequence[int]:
    """The hours of a day that fits; an hourly rule counts its interval over the days from its start."""
    hours = sorted(rule.hours) or range(24)
    if rule.frequency is not Frequency.HOURLY:
        return hours
    passed = (day - start.date()).days * 24 - start.hour
    return [hour for hour in hours if (passed + hour) % rule.interval == 0]


def _chosen(rule: Rule, times: Sequence[datetime]) -> Sequence[datetime]:
    """Those of a period's times that BYSETPOS names, in order; all without one."""
    if not rule.positions:
        return times
    places = {place - 1 if place > 0 else len(times) + place for place in rule.positions}
    return [times[place] for place in sorted(places) if 0 <= place < len(times)]

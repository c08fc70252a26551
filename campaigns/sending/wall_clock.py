"""The clock on the wall of a time zone: when it shows what, also on days when it is changed. Pure; epoch seconds.

A time that the clock skips (in spring) is the moment of the change.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import structlog

log = structlog.get_logger()


_NO_ZONES = {"Factory", "localtime"}
"""Files beside the zones: what they say is this machine's own."""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone that this machine knows."""
    return name in _zones()


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """A time zone by its IANA name; UTC where this machine does not know it, which is logged once."""
    if not is_zone(name):
        log.warning("time_zone_unknown", name=name, used="UTC")
        return UTC
    return ZoneInfo(name)


def first_showing(day: date, minute: int, zone: tzinfo) -> float:
    """When the clock of `zone` first shows this time, or a later one."""
    return instant_of(_on_the_wall(day, minute), zone)


def instant_of(wall: datetime, zone: tzinfo) -> float:
    """When the clock of `zone` first shows `wall` (which names no zone), or a later time where it skips that."""
    once, again = _readings(wall, zone)
    return once if once <= again else _change_between(again, once, zone)


def is_skipped(wall: datetime, zone: tzinfo) -> bool:
    """Whether the clock of `zone` never shows `wall`, being set forward over it."""
    once, again = _readings(wall, zone)
    return once > again


def wall_of(at: float, zone: tzinfo) -> datetime:
    """What the clock of `zone` shows at a moment, as a time that names no zone."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)


def last_showing(day: date, minute: int, zone: tzinfo) -> float:
    """When the clock of `zone` shows this time or a later one, and no earlier one ever again."""
    once, again = _readings(_on_the_wall(day, minute), zone)
    if once == again:
        return once
    change = _change_between(min(once, again), max(once, again), zone)
    if once > again:
        return change
    set_back_to = datetime.fromtimestamp(change, zone).replace(tzinfo=None)
    return again if set_back_to < _on_the_wall(day, minute) else once


def next_midnight(at: float, zone: tzinfo) -> float:
    """When the local day of `at` is over; after `at`, always."""
    today = datetime.fromtimestamp(at, zone).date()
    return last_showing(today + timedelta(days=1), 0, zone)


def _on_the_wall(day: date, minute: int) -> datetime:
    return datetime.combine(day, time(minute // 60, minute % 60))


def _readings(clock: datetime, zone: tzinfo) -> tuple[float, float]:
    """The moments that this time on the clock may mean.

    Twice the same, as a rule; growing where the clock is set back over it, and falling where it is set forward.
    """
    wall = clock.replace(tzinfo=zone, fold=0)
    return wall.timestamp(), wall.replace(fold=1).timestamp()


def _change_between(before: float, after: float, zone: tzinfo) -> float:
    """The second in which the clock of `zone` is changed, once, in (before, after]."""
    low, high = int(before), int(after)
    offset = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return float(high)

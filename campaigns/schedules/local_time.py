"""Sending to each recipient at the same time of their own day: from a time on the wall to moments. Pure; epoch seconds.

The zone is that of the number: its country, and its area code where that tells more. Where a number may be in several
(numbers without an area code, of wide countries), it is the one in the middle: of their clocks that differ at that
time, as many are ahead of it as behind it, so that islands far away count for little. Of two it is the eastern one,
where the mainland is more often than not. A number whose zone is not known has the schedule's.

A time that a zone's clock skips is the moment of the change, and one that it shows twice is the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from campaigns.sending.caps import zones_of_number
from campaigns.sending.wall_clock import instant_of, zone_of

EARLIEST_OFFSET = timedelta(hours=14)
"""No clock on earth is further ahead of UTC."""
LATEST_OFFSET = timedelta(hours=-12)
"""And none is further behind it."""


def wall_time(scheduled: datetime) -> datetime:
    """The time on the wall that a request names: what it says, whether an offset stands behind it or not."""
    return scheduled.replace(tzinfo=None, fold=0)


def read_wall(text: str | None) -> datetime | None:
    """The time on the wall that a row keeps (ISO 8601 without an offset)."""
    return None if text is None else datetime.fromisoformat(text)


def first_anywhere(wall: datetime) -> float:
    """When a clock anywhere shows `wall` first: so early a schedule has to be looked at."""
    return (wall.replace(tzinfo=UTC) - EARLIEST_OFFSET).timestamp()


def last_anywhere(wall: datetime) -> float:
    """When the last clock on earth has shown `wall`."""
    return (wall.replace(tzinfo=UTC) - LATEST_OFFSET).timestamp()


def zone_for(digits: str, wall: datetime, own_zone: str) -> str:
    """The IANA zone of a number at that time; `own_zone` where none is known."""
    return middle_zone(zones_of_number(digits), wall) or own_zone


@lru_cache(maxsize=4096)
def middle_zone(zones: tuple[str, ...], wall: datetime) -> str | None:
    """The one of `zones` with as many different clocks ahead of it as behind it; None without any."""
    by_moment: dict[float, str] = {}
    for name in zones:
        by_moment.setdefault(instant_of(wall, zone_of(name)), name)
    moments = sorted(by_moment)
    return by_moment[moments[(len(moments) - 1) // 2]] if moments else None


@lru_cache(maxsize=4096)
def _moment(wall: datetime, zone: str) -> float:
    return instant_of(wall, zone_of(zone))


def moment_for(digits: str, wall: datetime, own_zone: str) -> float:
    """When the clock where this number is shows `wall`."""
    return _moment(wall, zone_for(digits, wall, own_zone))


def in_order(numbers: Iterable[str], wall: datetime, own_zone: str) -> list[tuple[float, int]]:
    """For each number the moment, with its place among `numbers`: the earliest first, and the rest in their order.

    Messages that are given their places so have the first one always in front.
    """
    return sorted((moment_for(digits, wall, own_zone), place) for place, digits in enumerate(numbers))


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """When each recipient's time is: at `wall` on their own clock, which is that of `own_zone` where it is not known.

    Looked at from the moment `now`, at which nobody is written to who is late by more than `max_lateness` seconds.
    """

    wall: datetime
    own_zone: str
    now: float
    max_lateness: float

    def moment(self, digits: str) -> float:
        """When it is time for a number."""
        return moment_for(digits, self.wall, self.own_zone)

    def lateness(self, moment: float) -> float | None:
        """By how many seconds somebody is too late whose time was then; None if they are not."""
        late = self.now - moment
        return late if late > self.max_lateness else None

"""When a campaign may send: its start and expiry, quiet hours and weekdays in a named time zone. Pure; epoch seconds.

Quiet hours and weekdays are read off the clock on the wall of that zone. Where it shows a time twice (in autumn), what
is closed begins the first time and ends the last time, so that nobody is written to in an hour that was asked to be
quiet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

from campaigns.sending.models import EVERY_DAY, IDLE
from campaigns.sending.wall_clock import first_showing, last_showing, zone_of

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
_DAYS_AHEAD = 15
"""A pattern of a week shows twice in so many days, should a change of the clock have swallowed it once."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When messages may leave.

    `quiet_from` and `quiet_to` are minutes of the local day; from may be later than to (over midnight), and the same
    minute twice is no quiet time. Bit 0 of `weekdays` is Monday. Nothing leaves before `starts_at` or at `expires_at`
    and after it (None: no such limit).
    """

    timezone: str = "UTC"
    quiet_from: int | None = None
    quiet_to: int | None = None
    weekdays: int = EVERY_DAY
    starts_at: float | None = None
    expires_at: float | None = None

    @property
    def always(self) -> bool:
        """Whether neither quiet hours nor weekdays limit anything."""
        return self.weekdays == EVERY_DAY and not self.has_quiet

    @property
    def has_quiet(self) -> bool:
        """Whether there is a quiet time."""
        return self.quiet_from is not None and self.quiet_to is not None and self.quiet_from != self.quiet_to


class Window(NamedTuple):
    """A time in which messages may leave: `opens_at <= t < closes_at`."""

    opens_at: float
    closes_at: float


NEVER = Window(IDLE, IDLE)


def window(hours: Hours, at: float) -> Window:
    """The window that is open at `at`, or else the next one after it.

    One that is open has an `opens_at` of `at` or before; one that nothing closes has `closes_at` IDLE. Where there is
    none any more, both are IDLE.
    """
    end = IDLE if hours.expires_at is None else hours.expires_at
    opens_at = at if hours.starts_at is None else max(at, hours.starts_at)
    closes_at = end
    if not hours.always:
        opens_at, closes_at = _between_closed(hours, opens_at)
    elif opens_at == at:
        opens_at = hours.starts_at or 0.0
    return Window(opens_at, min(closes_at, end)) if opens_at < end and at < end else NEVER


def alarm(hours: Hours, current: Window, at: float, *, scheduled: bool) -> float | None:
    """When a campaign has to be looked at again; None for never. `current` is its window at `at`.

    The earliest of its start (while it is `scheduled`), the opening and the closing of its window, and its expiry. A
    start or an expiry that is over is due at once.
    """
    moments = [hours.starts_at] if scheduled else []
    moments += [current.opens_at if current.opens_at > at else None, current.closes_at, hours.expires_at]
    return min((moment for moment in moments if moment is not None and moment < IDLE), default=None)


def _between_closed(hours: Hours, start: float) -> Window:
    """The first time from `start` on that lies in no closed time, and the closed time that ends it."""
    opens_at = start
    for closes, reopens in _closed_times(hours, start):
        if closes == reopens:
            continue  # the clock skips all of it
        if closes > opens_at:
            return Window(opens_at, closes)
        opens_at = max(opens_at, reopens)
    return NEVER


def _closed_times(hours: Hours, start: float) -> Iterator[tuple[float, float]]:
    """The closed times of the days around `start`, in the order in which they begin."""
    zone = zone_of(hours.timezone)
    today = datetime.fromtimestamp(start, zone).date()
    for offset in range(-1, _DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        tomorrow = day + timedelta(days=1)
        if not hours.weekdays >> day.weekday() & 1:
            yield first_showing(day, 0, zone), last_showing(tomorrow, 0, zone)
        if hours.quiet_from is not None and hours.quiet_to is not None and hours.has_quiet:
            ends = day if hours.quiet_from < hours.quiet_to else tomorrow
            yield first_showing(day, hours.quiet_from, zone), last_showing(ends, hours.quiet_to, zone)


def mask_of(days: Sequence[Weekday]) -> int:
    """Names of weekdays as bits, Monday first."""
    return sum(1 << WEEKDAYS.index(day) for day in set(days))


def names_of(mask: int) -> list[Weekday]:
    """The names of the weekdays in `mask`, Monday first."""
    return [name for bit, name in enumerate(WEEKDAYS) if mask >> bit & 1]

"""When a campaign may send: against a clock on the wall that is read every minute, over changes of the clock."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.sending.hours import NEVER, WEEKDAYS, Hours, Window, alarm, mask_of, names_of, window
from campaigns.sending.models import EVERY_DAY, IDLE

MINUTE, HOUR, DAY = 60, 3600, 86_400
# (zone, a day around which the clock is changed): forward, back, by half an hour, at midnight, over it, and never
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2019-02-17"),
    ("America/St_Johns", "2010-11-07"),
    ("Asia/Kolkata", "2026-06-01"),
]
SUNDAY = 0b100_0000


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def local(text: str, zone: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@lru_cache(maxsize=32)
def wall(zone: str, day: str) -> tuple[int, list[datetime]]:
    """What the clock shows, every minute of four weeks with the change in the second."""
    start = int(utc(day)) - 10 * DAY
    info = ZoneInfo(zone)
    shown = [datetime.fromtimestamp(start + i * MINUTE, info).replace(tzinfo=None) for i in range(28 * 1440)]
    return start, shown


@lru_cache(maxsize=4096)
def first_minute(zone: str, day: str, reading: datetime) -> int:
    """The first minute that shows this or later."""
    _, shown = wall(zone, day)
    return next((i for i, clock in enumerate(shown) if clock >= reading), len(shown))


@lru_cache(maxsize=4096)
def after_last_minute(zone: str, day: str, reading: datetime) -> int:
    """The minute after the last one that shows less."""
    _, shown = wall(zone, day)
    return next((i + 1 for i in range(len(shown) - 1, -1, -1) if shown[i] < reading), 0)


def open_minutes(hours: Hours, day: str) -> tuple[int, list[bool]]:
    """For every minute whether messages may leave, by marking what is closed, day by day."""
    start, shown = wall(hours.timezone, day)
    is_open = [True] * len(shown)

    def close(begin: datetime, end: datetime) -> None:
        low, high = first_minute(hours.timezone, day, begin), after_last_minute(hours.timezone, day, end)
        is_open[low:high] = [False] * len(is_open[low:high])

    midnight = datetime.combine(shown[0].date(), datetime.min.time()) - timedelta(days=1)
    while midnight <= shown[-1]:
        tomorrow = midnight + timedelta(days=1)
        if not hours.weekdays & (1 << midnight.weekday()):
            close(midnight, tomorrow)
        if hours.quiet_from is not None and hours.quiet_to is not None and hours.quiet_from != hours.quiet_to:
            ends = midnight if hours.quiet_from < hours.quiet_to else tomorrow
            close(midnight + timedelta(minutes=hours.quiet_from), ends + timedelta(minutes=hours.quiet_to))
        midnight = tomorrow
    for i in range(len(is_open)):
        at = start + i * MINUTE
        if (hours.starts_at is not None and at < hours.starts_at) or (
            hours.expires_at is not None and at >= hours.expires_at
        ):
            is_open[i] = False
    return start, is_open


minutes = st.one_of(st.integers(0, 1439), st.sampled_from([0, 1, 30, 60, 61, 90, 119, 120, 121, 150, 180, 1380, 1439]))
quiet_times = st.one_of(st.none(), st.tuples(minutes, minutes))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CHANGES),
    quiet_times,
    st.integers(1, EVERY_DAY),
    st.lists(st.integers(2 * 1440, 18 * 1440), min_size=12, max_size=12),
    st.one_of(st.none(), st.integers(1440, 18 * 1440)),
    st.one_of(st.none(), st.integers(3 * 1440, 24 * 1440)),
)
@example(("America/Havana", "2026-11-01"), None, SUNDAY, [12960] * 12, None, None)
@example(("America/Havana", "2026-11-01"), (1380, 60), SUNDAY, [12960] * 12, None, None)
@example(("America/Sao_Paulo", "2018-11-04"), (0, 1), 0b110_0000, [2880, *[12960] * 11], None, None)
@example(("America/Sao_Paulo", "2018-11-04"), (0, 30), SUNDAY, [12960] * 12, None, None)
@example(("Europe/Berlin", "2026-10-25"), (90, 150), SUNDAY, [12960] * 12, None, None)
def test_every_window_is_what_the_clock_on_the_wall_says(
    change: tuple[str, str],
    quiet: tuple[int, int] | None,
    weekdays: int,
    looks: list[int],
    starts: int | None,
    expires: int | None,
) -> None:
    zone, day = change
    start, _ = wall(zone, day)
    hours = Hours(
        timezone=zone,
        quiet_from=quiet[0] if quiet else None,
        quiet_to=quiet[1] if quiet else None,
        weekdays=weekdays,
        starts_at=start + starts * MINUTE if starts is not None else None,
        expires_at=start + expires * MINUTE if expires is not None else None,
    )
    _, is_open = open_minutes(hours, day)
    for look in looks:
        at = float(start + look * MINUTE)
        found = window(hours, at)
        opening = next((i for i in range(look, len(is_open)) if is_open[i]), None)
        if opening is None:
            # nothing in all the weeks that are marked: it expires, or no time of the week is open
            assert found == NEVER or found.opens_at >= start + len(is_open) * MINUTE
            continue
        closing = next((i for i in range(opening, len(is_open)) if not is_open[i]), None)
        if opening == look:
            assert found.opens_at <= at
        else:
            assert found.opens_at == start + opening * MINUTE
        if closing is None:
            assert found.closes_at >= start + len(is_open) * MINUTE
        else:
            assert found.closes_at == start + closing * MINUTE


@given(st.floats(0, 4e9), st.integers(1, EVERY_DAY), minutes, minutes, st.sampled_from(CHANGES))
def test_a_window_is_found_again_from_anywhere_in_it(
    at: float, weekdays: int, quiet_from: int, quiet_to: int, change: tuple[str, str]
) -> None:
    hours = Hours(change[0], quiet_from, quiet_to, weekdays)
    found = window(hours, at)
    if found == NEVER:
        return
    assert found.opens_at < found.closes_at
    assert found.closes_at > at
    assert window(hours, max(at, found.opens_at)).closes_at == found.closes_at
    assert window(hours, found.closes_at).opens_at > found.closes_at or quiet_from == quiet_to


def test_without_any_limit_it_is_always_open() -> None:
    assert window(Hours(), 1e9) == Window(0.0, IDLE)


def test_the_night_of_friday_reaches_into_saturday_and_a_closed_day_lasts_from_midnight_to_midnight() -> None:
    hours = Hours("Europe/Berlin", 21 * 60, 8 * 60, mask_of(["mon", "tue", "wed", "thu", "fri"]))
    friday_noon = local("2026-06-05T12:00", "Europe/Berlin")
    assert window(hours, friday_noon).closes_at == local("2026-06-05T21:00", "Europe/Berlin")
    monday = local("2026-06-08T08:00", "Europe/Berlin")
    assert window(hours, local("2026-06-05T23:00", "Europe/Berlin")).opens_at == monday
    assert window(hours, local("2026-06-06T12:00", "Europe/Berlin")).opens_at == monday
    saturday_too = Hours("Europe/Berlin", 21 * 60, 8 * 60, mask_of(["fri", "sat"]))
    assert window(saturday_too, local("2026-06-06T07:59", "Europe/Berlin")) == Window(
        local("2026-06-06T08:00", "Europe/Berlin"), local("2026-06-06T21:00", "Europe/Berlin")
    )


@pytest.mark.parametrize(
    ("quiet", "at", "opens"),
    [
        ((60, 150), "2026-03-29T00:30", "2026-03-29T01:00"),  # to 02:30, which is skipped: the change ends it
        ((150, 240), "2026-03-28T23:30", "2026-03-29T01:00"),  # from 02:30: the change begins it
    ],
)
def test_a_boundary_that_the_clock_skips_is_the_moment_of_the_change(
    quiet: tuple[int, int], at: str, opens: str
) -> None:
    found = window(Hours("Europe/Berlin", *quiet), utc(at))
    assert (found.opens_at if quiet[0] == 60 else found.closes_at) == utc(opens)


def test_where_the_clock_shows_a_time_twice_quiet_begins_the_first_time_and_ends_the_last() -> None:
    hours = Hours("Europe/Berlin", 2 * 60 + 15, 2 * 60 + 45)
    found = window(hours, local("2026-10-25T00:00", "Europe/Berlin"))
    assert found.closes_at == local("2026-10-25T02:15", "Europe/Berlin", fold=0)
    assert window(hours, found.closes_at).opens_at == local("2026-10-25T02:45", "Europe/Berlin", fold=1)


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-07", 24)])
def test_a_closed_sunday_has_as_many_hours_as_the_day_has(day: str, length: int) -> None:
    hours = Hours("Europe/Berlin", weekdays=EVERY_DAY & ~SUNDAY)
    closes = window(hours, local(f"{day}T00:00", "Europe/Berlin") - 1).closes_at
    assert window(hours, closes).opens_at - closes == length * HOUR


def test_nothing_is_open_before_the_start_or_after_the_expiry() -> None:
    hours = Hours(starts_at=1000.0, expires_at=2000.0)
    assert window(hours, 0.0) == Window(1000.0, 2000.0)
    assert window(hours, 1500.0) == Window(1000.0, 2000.0)
    assert window(hours, 2000.0) == NEVER
    night = Hours(quiet_from=0, quiet_to=600, expires_at=utc("2026-06-01T10:00"))
    assert window(night, utc("2026-06-01T03:00")) == NEVER


def test_it_has_to_be_looked_at_again_at_the_earliest_change() -> None:
    hours = Hours(quiet_from=0, quiet_to=600, starts_at=5 * DAY + 3.0, expires_at=9 * DAY + 1.0)
    first = window(hours, 0.0)
    assert first.opens_at == 5 * DAY + 600 * MINUTE
    assert alarm(hours, first, 0.0, scheduled=True) == 5 * DAY + 3.0
    assert alarm(hours, first, 5 * DAY + 3.0, scheduled=False) == first.opens_at
    assert alarm(hours, first, first.opens_at, scheduled=False) == first.closes_at == 6 * DAY
    assert alarm(hours, NEVER, 8.5 * DAY, scheduled=False) == 9 * DAY + 1.0
    assert alarm(Hours(), window(Hours(), 7.0), 7.0, scheduled=False) is None
    late = Hours(starts_at=5.0)
    assert alarm(late, window(late, 9.0), 9.0, scheduled=True) == 5.0


def test_the_next_window_is_found_without_looking_far_ahead() -> None:
    """One hour of a week that the clock skips: the next week has it."""
    hours = Hours("Europe/Berlin", quiet_from=3 * 60, quiet_to=2 * 60, weekdays=SUNDAY)
    found = window(hours, local("2026-03-23T00:00", "Europe/Berlin"))
    assert found.opens_at == local("2026-04-05T02:00", "Europe/Berlin")


def test_weekdays_are_known_by_three_letters() -> None:
    assert mask_of(WEEKDAYS) == EVERY_DAY
    assert mask_of(["sun", "mon", "mon"]) == 0b100_0001
    assert names_of(0b100_0001) == ["mon", "sun"]

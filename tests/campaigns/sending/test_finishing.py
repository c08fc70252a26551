"""When a campaign will be done: hours and caps against a play of them, second by second or send by send."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.caps import Sent, full_until, roll, sent_last_hour
from campaigns.sending.finishing import DAY_SECONDS, Day, Finish, finish, hourly_seconds, last_day
from campaigns.sending.hours import Hours, window

MONDAY = 4 * DAY_SECONDS  # 1970-01-05
HOUR = 3600.0
NIGHTS = Hours(quiet_from=20 * 60, quiet_to=8 * 60)
"""Twelve hours a day."""


def test_what_fits_into_one_window_is_done_in_one_go() -> None:
    assert finish(Hours(), MONDAY, 500.0) == Finish(MONDAY, MONDAY + 500.0)
    assert finish(NIGHTS, MONDAY + 9 * HOUR, HOUR) == Finish(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR)


def test_what_does_not_fit_goes_on_in_the_next_windows() -> None:
    found = finish(NIGHTS, MONDAY + 19 * HOUR, 14 * HOUR)
    assert found == Finish(MONDAY + 19 * HOUR, MONDAY + DAY_SECONDS + DAY_SECONDS + 9 * HOUR, 3)


def test_a_start_ahead_and_closed_hours_are_waited_for() -> None:
    assert finish(NIGHTS, MONDAY, 60.0) == Finish(MONDAY + 8 * HOUR, MONDAY + 8 * HOUR + 60.0)
    later = replace(NIGHTS, starts_at=MONDAY + 30 * HOUR)
    assert finish(later, MONDAY, 60.0).begins_at == MONDAY + 32 * HOUR


def test_what_expires_first_says_how_much_is_not_sent() -> None:
    hours = replace(NIGHTS, expires_at=MONDAY + DAY_SECONDS + 9 * HOUR)
    assert finish(hours, MONDAY + 19 * HOUR, 10 * HOUR) == Finish(
        MONDAY + 19 * HOUR, MONDAY + DAY_SECONDS + 9 * HOUR, 2, 8 * HOUR
    )


@given(st.floats(0, 7 * DAY_SECONDS), st.floats(1, 5 * DAY_SECONDS), st.integers(1, 127))
def test_between_beginning_and_end_as_much_is_open_as_the_sending_takes(
    start: float, seconds: float, weekdays: int
) -> None:
    hours = replace(NIGHTS, weekdays=weekdays)
    found = finish(hours, start, seconds)
    open_seconds, at = 0.0, start
    while at < found.at:
        opens_at, closes_at = window(hours, at)
        open_seconds += max(0.0, min(closes_at, found.at) - max(at, opens_at))
        at = closes_at
    assert open_seconds == pytest.approx(seconds)


@given(st.integers(0, 80), st.integers(1, 12), st.floats(0.1, 900), st.floats(0.01, 2))
def test_an_hourly_cap_never_takes_less_than_foretold(share: int, cap: int, delay: float, latency: float) -> None:
    """And not more than by the slices in which the hour is counted."""
    sent, at, end = Sent(), 1e6, 1e6
    for _ in range(share):
        sent = roll(sent, at)
        if sent_last_hour(sent) >= cap:
            at = full_until(sent, cap)
            sent = roll(sent, at)
        sent = replace(sent, slice_sent=sent.slice_sent + 1)
        end = at + latency
        at = end + delay
    pace = (share - 1) * (latency + delay) + latency if share else 0.0
    foretold = max(pace, hourly_seconds(share, cap, latency + delay, latency))
    assert end - 1e6 <= foretold + HOUR
    assert end - 1e6 >= foretold - (share // cap + 1) * 300.0 - 1e-6


def test_without_an_hourly_cap_nothing_is_added() -> None:
    assert hourly_seconds(5000, 0, 1.0, 0.1) == 0.0
    assert hourly_seconds(1000, 1000, 1.0, 0.1) == pytest.approx(999.1)
    assert hourly_seconds(1001, 1000, 1.0, 0.1) == pytest.approx(3900.1)


def test_daily_caps_spread_a_campaign_over_days() -> None:
    days = [Day(100, 30, MONDAY + 6 * HOUR), Day(50, 50, MONDAY + 8 * HOUR)]
    assert last_day(80, days, MONDAY) == (80, MONDAY)
    assert last_day(81, days, MONDAY) == (1, MONDAY + 6 * HOUR)
    assert last_day(230, days, MONDAY) == (150, MONDAY + 6 * HOUR)
    assert last_day(231, days, MONDAY) == (1, MONDAY + DAY_SECONDS + 6 * HOUR)


def test_a_sender_without_a_daily_cap_takes_what_the_others_may_not() -> None:
    assert last_day(10_000, [Day(100, 30, 0.0), Day(0, 0, 0.0)], MONDAY) == (10_000, MONDAY)
    assert last_day(10_000, [], MONDAY) == (10_000, MONDAY)

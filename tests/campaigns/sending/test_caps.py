"""Caps of a sender: against a window that slides over the times of all its messages, and days of its own zone."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.caps import (
    HOUR_SECONDS,
    SLICE_SECONDS,
    Sent,
    day_end,
    full_until,
    roll,
    sent_last_hour,
    zone_of_number,
)

gaps = st.one_of(st.floats(0.0, 30.0), st.floats(0.0, 900.0), st.floats(0.0, 9000.0))


def count_of(sends: list[float], at: float) -> int:
    """How many left in the sixty minutes that end at `at`."""
    return sum(at - HOUR_SECONDS < time <= at for time in sends)


@given(st.lists(gaps, min_size=1, max_size=120), st.integers(1, 12), st.floats(1.7e9, 1.9e9))
def test_never_more_than_the_cap_in_any_hour_and_never_a_slice_too_late(
    waits: list[float], cap: int, start: float
) -> None:
    at, sent, sends = start, Sent(), list[float]()
    for wait in waits:
        at += wait
        sent = roll(sent, at)
        until = full_until(sent, cap)
        assert (until > at) is (sent_last_hour(sent) >= cap)
        if until > at:
            must_wait_until = sends[-cap] + HOUR_SECONDS
            assert must_wait_until <= until <= must_wait_until + SLICE_SECONDS
            at = until
            sent = roll(sent, at)
            assert sent_last_hour(sent) < cap
        sent = replace(sent, slice_sent=sent.slice_sent + 1)
        sends.append(at)
        assert count_of(sends, at) <= sent_last_hour(sent) <= cap
        assert len(orjson.loads(sent.slices)) <= HOUR_SECONDS // SLICE_SECONDS + 1


def test_what_was_not_sent_after_all_begins_no_slice() -> None:
    sent = roll(Sent(), 1000.0)
    assert sent == Sent(1000.0, 0, "[]")
    assert roll(sent, 1200.0) == Sent(1200.0, 0, "[]")


def test_a_slice_counts_until_its_end_is_an_hour_back() -> None:
    sent = roll(Sent(1000.0, 3, "[]"), 1300.0)
    assert sent == Sent(1300.0, 0, "[[1000.0,3]]")
    assert full_until(sent, 3) == 4900.0
    assert sent_last_hour(roll(sent, 4899.9)) == 3
    assert sent_last_hour(roll(sent, 4900.0)) == 0
    assert full_until(sent, 4) == 0.0


def test_a_cap_that_was_lowered_waits_for_as_many_as_are_too_many() -> None:
    sent = Sent(1700.0, 1, "[[1000.0,3],[1300.0,3]]")
    assert full_until(sent, 7) == 4900.0
    assert full_until(sent, 4) == 5200.0
    assert full_until(sent, 1) == 5600.0


@pytest.mark.parametrize(
    ("zone", "at", "ends"),
    [
        ("UTC", "2026-06-01T23:59:59", "2026-06-02T00:00"),
        ("Asia/Kolkata", "2026-06-01T00:00", "2026-06-02T00:00"),
        ("Europe/Berlin", "2026-03-29T01:00", "2026-03-30T00:00"),
        ("Europe/Berlin", "2026-10-25T01:00", "2026-10-26T00:00"),
        ("America/Sao_Paulo", "2018-11-03T12:00", "2018-11-04T01:00"),  # no midnight
        ("America/Havana", "2026-10-31T12:00", "2026-11-01T00:00"),  # two of them: the first
    ],
)
def test_a_day_ends_at_the_next_midnight_on_the_wall(zone: str, at: str, ends: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).timestamp()
    assert day_end(moment, zone) == datetime.fromisoformat(ends).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize("zone", ["America/Havana", "America/Sao_Paulo", "America/St_Johns", "Europe/Berlin"])
@given(at=st.floats(1.2e9, 1.8e9))
def test_a_day_always_ends_later(zone: str, at: float) -> None:
    assert at < day_end(at, zone) <= at + 26 * 3600


@pytest.mark.parametrize(
    ("digits", "zone"),
    [
        ("447700900001", "Europe/Guernsey"),
        ("33639980001", "Europe/Paris"),
        ("12125550101", "America/New_York"),
        ("13105550101", "America/Los_Angeles"),
        ("9999999", "UTC"),
        ("0", "UTC"),
    ],
)
def test_a_number_has_the_time_zone_of_its_country_or_area(digits: str, zone: str) -> None:
    assert zone_of_number(digits) == zone

"""When a session is due for a ping, when it expires, and when a person is warned."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from sessions.keepalive import clocks
from sessions.keepalive.clocks import DAY_SECONDS, Periods
from sessions.models import Desired, SessionState

NOW = 1_800_000_000.0
DAY = DAY_SECONDS
HOUR = 3600.0
PERIODS = Periods.of_days(keepalive=12, expiry=14, warn=2)


def session(idle: float = 0.0, unseen: float = 0.0, **values: Any) -> Any:
    """A connected session that was idle, and whose phone was unseen, for so many seconds."""
    usual = {
        "state": SessionState.CONNECTED,
        "waha_status": "WORKING",
        "desired": Desired.RUNNING,
        "server_up": True,
        "paired_at": NOW - 100 * DAY,
        "last_active": NOW - idle,
        "phone_last_seen": NOW - unseen,
        "ping_at": None,
        "ping_failures": 0,
        "warned_at": None,
        "phone_warned_at": None,
    }
    return SimpleNamespace(**usual | values)


def test_a_session_expires_fourteen_days_after_its_last_activity() -> None:
    row = session(idle=3 * DAY)
    assert clocks.expires_at(row, PERIODS) == NOW + 11 * DAY
    assert clocks.expires_in(row, PERIODS, NOW) == 11 * 86_400


def test_what_is_over_has_no_seconds_left() -> None:
    assert clocks.expires_in(session(idle=20 * DAY), PERIODS, NOW) == 0


def test_a_pairing_is_the_first_activity() -> None:
    row = session(last_active=None, paired_at=NOW - DAY)
    assert clocks.expires_at(row, PERIODS) == NOW + 13 * DAY


def test_nothing_expires_where_nobody_is_paired() -> None:
    row = session(paired_at=None)
    assert clocks.expires_at(row, PERIODS) is None
    assert clocks.expires_in(row, PERIODS, NOW) is None
    assert clocks.phone_expires_at(row, PERIODS) is None
    assert not clocks.expiry_warning_due(session(idle=13 * DAY, paired_at=None), PERIODS, NOW)


def test_the_phone_has_a_clock_of_its_own() -> None:
    row = session(idle=0, unseen=5 * DAY)
    assert clocks.phone_expires_at(row, PERIODS) == NOW + 9 * DAY


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (session(idle=12 * DAY), True),
        (session(idle=12 * DAY - 1), False),
        (session(idle=12 * DAY, ping_at=NOW + 60), False),
        (session(idle=12 * DAY, state=SessionState.STARTING, waha_status="STARTING"), False),
        (session(idle=12 * DAY, state=SessionState.STOPPED, waha_status="STOPPED"), False),
        (session(idle=12 * DAY, desired=Desired.STOPPED), False),
        (session(idle=15 * DAY, state=SessionState.EXPIRED), True),
        (session(idle=15 * DAY, state=SessionState.EXPIRED, waha_status="SCAN_QR_CODE"), False),
        (session(idle=1 * DAY, ping_failures=1), True),
    ],
)
def test_a_ping_is_planned_for_what_works_and_was_idle_or_did_not_answer_the_last(row: Any, wanted: bool) -> None:
    assert clocks.wants_ping(row, PERIODS, NOW) is wanted


def test_pings_of_one_server_are_spread_evenly_and_end_before_the_hour() -> None:
    times = clocks.slots(NOW, 100, lead=0)
    assert times[0] == NOW
    assert {round(after - before, 6) for before, after in pairwise(times)} == {33.0}
    assert times[-1] < NOW + HOUR


def test_the_latest_ping_is_within_two_hours_of_twelve_days() -> None:
    found_at = 12 * DAY + HOUR  # it became due just after a sweep
    for lead in (10, 600, 7200):
        assert clocks.slots(found_at, 10_000, lead)[-1] + 60 < 12 * DAY + 2 * HOUR


def test_no_ping_is_due_before_its_server_was_seen() -> None:
    assert clocks.slots(NOW, 3, lead=600) == [NOW + 600, NOW + 1500, NOW + 2400]


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (session(idle=12 * DAY), False),
        (session(idle=12 * DAY + 2 * HOUR), False),
        (session(idle=12 * DAY + 3 * HOUR), True),
        (session(idle=12 * DAY, ping_failures=1), True),
        (session(idle=11 * DAY, ping_failures=1), False),
        (session(idle=12 * DAY, server_up=False), True),
        (session(idle=12 * DAY, state=SessionState.FAILED, waha_status="FAILED"), True),
        (session(idle=12 * DAY, state=SessionState.STOPPED, desired=Desired.STOPPED), True),
        (session(idle=12 * DAY, ping_failures=1, warned_at=NOW - HOUR), False),
        (session(idle=12 * DAY, ping_failures=1, warned_at=NOW - 13 * DAY), True),
        (session(idle=15 * DAY, ping_failures=9, state=SessionState.EXPIRED), False),
        (session(idle=13 * DAY, ping_failures=1, desired=Desired.DELETED), False),
    ],
)
def test_its_end_is_announced_once_where_nothing_refreshes_it(row: Any, due: bool) -> None:
    assert clocks.expiry_warning_due(row, PERIODS, NOW) is due


def test_a_session_that_works_is_not_announced_only_because_the_warning_comes_before_the_ping() -> None:
    early = Periods.of_days(keepalive=12, expiry=14, warn=6)
    assert not clocks.expiry_warning_due(session(idle=9 * DAY), early, NOW)
    assert clocks.expiry_warning_due(session(idle=9 * DAY, state=SessionState.FAILED), early, NOW)


@pytest.mark.parametrize(
    ("row", "due"),
    [
        (session(unseen=12 * DAY), True),
        (session(unseen=12 * DAY - 1), False),
        (session(unseen=13 * DAY, phone_warned_at=NOW - DAY), False),
        (session(unseen=13 * DAY, phone_warned_at=NOW - 20 * DAY), True),
        (session(unseen=27 * DAY, phone_warned_at=NOW - 14 * DAY), True),
        (session(phone_last_seen=None, paired_at=NOW - 12 * DAY), True),
        (session(unseen=13 * DAY, paired_at=None), False),
    ],
)
def test_a_phone_that_was_not_seen_is_told_once_in_a_period(row: Any, due: bool) -> None:
    assert clocks.phone_warning_due(row, PERIODS, NOW) is due


@pytest.mark.parametrize(
    ("row", "expired"),
    [
        (session(idle=14 * DAY), True),
        (session(idle=14 * DAY - 1), False),
        (session(idle=14 * DAY, state=SessionState.FAILED, waha_status="FAILED"), False),
    ],
)
def test_a_failed_ping_after_fourteen_days_ends_what_says_that_it_works(row: Any, expired: bool) -> None:
    assert clocks.has_run_out(row, PERIODS, NOW) is expired

"""When a failing server is asked again, and what counts as a restart."""

import pytest

from gateway.waha.errors import WahaError, WahaNotFound, WahaTimeout, WahaUnauthorized, WahaUnreachable
from sessions.servers.circuit import describe_failure, pause_after, start_time


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)])
def test_the_pause_doubles_up_to_a_minute(failures: int, seconds: float) -> None:
    assert pause_after(failures, chance=0.0) == seconds


def test_chance_takes_off_at_most_a_half() -> None:
    assert pause_after(7, chance=1.0) == 30
    assert pause_after(7, chance=0.5) == 45


def test_a_start_time_that_was_not_known_is_no_restart() -> None:
    assert start_time(None, earliest=90, latest=100) == (100, False)


def test_a_later_start_is_a_restart() -> None:
    assert start_time(100, earliest=200, latest=200) == (200, True)


def test_an_earlier_start_is_another_process() -> None:
    assert start_time(200, earliest=100, latest=100) == (100, True)


def test_a_slow_answer_is_no_restart() -> None:
    assert start_time(100, earliest=98, latest=113) == (100, False)


def test_a_clock_that_drifts_never_adds_up_to_a_restart() -> None:
    known = 1000.0
    for tick in range(1, 200):
        moving = 1000.0 + tick
        known, restarted = start_time(known, earliest=moving, latest=moving)
        assert not restarted
    assert known == 1199


@pytest.mark.parametrize(
    ("error", "beginning"),
    [
        (WahaUnauthorized("Unauthorized", status_code=401), "it does not take our API key"),
        (WahaNotFound("Not Found", status_code=404), "it does not answer as a WAHA"),
        (WahaTimeout("WAHA gave no answer in time"), "WAHA gave no answer in time"),
        (WahaUnreachable("WAHA cannot be reached: refused"), "WAHA cannot be reached"),
    ],
)
def test_the_operator_is_told_what_is_wrong(error: WahaError, beginning: str) -> None:
    assert describe_failure(error).startswith(beginning)


def test_what_a_stranger_answers_is_told_in_short() -> None:
    assert len(describe_failure(WahaNotFound("x" * 10_000))) == 300

"""What is decided about a session, as tables: each row is what it is, and the step that follows."""

from typing import Any

import pytest

from gateway.waha.schemas import WahaStatus
from sessions.keeping.decisions import ATTEMPTS, Drift, Step, View, attempts_after, decide, pause
from sessions.models import Desired, SessionState
from sessions.pairing.qr_codes import PAIRING_SECONDS

NOW = 1_000_000.0
S, W = SessionState, WahaStatus


def step(**view: Any) -> Step:
    """The step for a session that is connected and well but for what is told."""
    return decide(View(**view), NOW).step


def ago(seconds: float) -> float:
    """So many seconds before now."""
    return NOW - seconds


def test_a_session_that_is_well_is_left_alone() -> None:
    assert step() is Step.REST


@pytest.mark.parametrize(
    ("engine", "waited", "expected"),
    [
        ("GOWS", 0, Step.RESTART),
        ("NOWEB", 0, Step.RESTART),
        ("", 0, Step.RESTART),
        ("WEBJS", 0, Step.REST),
        ("WEBJS", 14.9, Step.REST),
        ("WEBJS", 15, Step.RESTART),
        ("WPP", 14.9, Step.REST),
    ],
)
def test_a_failed_session_is_restarted_when_its_engine_has_had_its_time(
    engine: str, waited: float, expected: Step
) -> None:
    assert step(engine=engine, state=S.FAILED, waha=W.FAILED, since=ago(waited)) is expected


@pytest.mark.parametrize(
    ("engine", "waited", "expected"),
    [
        ("GOWS", 599, Step.REST),
        ("GOWS", 600, Step.RESTART),
        ("NOWEB", 179, Step.REST),
        ("NOWEB", 180, Step.RESTART),
        ("WEBJS", 299, Step.REST),
        ("WEBJS", 300, Step.RESTART),
    ],
)
def test_a_session_that_starts_is_restarted_only_after_long(engine: str, waited: float, expected: Step) -> None:
    assert step(engine=engine, state=S.STARTING, waha=W.STARTING, since=ago(waited)) is expected


@pytest.mark.parametrize(
    ("waha", "waited", "expected"),
    [(W.STOPPED, 4.9, Step.REST), (W.STOPPED, 5, Step.START), (None, 0, Step.START)],
)
def test_what_should_run_and_does_not_is_started(waha: WahaStatus | None, waited: float, expected: Step) -> None:
    assert step(state=S.STOPPED, waha=waha, since=ago(waited)) is expected


@pytest.mark.parametrize("waha", [W.STOPPED, None, W.FAILED, W.STARTING])
def test_nothing_is_started_on_a_server_that_may_still_bring_its_sessions_back(waha: WahaStatus | None) -> None:
    assert step(state=S.FAILED, waha=waha, since=ago(10_000), young=True) is Step.REST


@pytest.mark.parametrize("waha", [W.SCAN_QR_CODE, W.PASSKEY_REQUIRED, W.PASSKEY_CONFIRMATION_REQUIRED, W.UNKNOWN])
def test_what_only_a_person_can_do_is_left_to_a_person(waha: WahaStatus) -> None:
    assert step(state=S.SCANNED, waha=waha, since=ago(10_000)) is Step.REST


# --- attempts


@pytest.mark.parametrize(("repair_at", "expected"), [(NOW + 1, Step.REST), (NOW, Step.RESTART)])
def test_the_next_attempt_waits_for_its_time(repair_at: float, expected: Step) -> None:
    assert step(state=S.FAILED, waha=W.FAILED, since=ago(60), repairs=3, repair_at=repair_at) is expected


def test_the_pauses_grow_to_half_an_hour_and_jitter_only_lengthens_them() -> None:
    assert [pause(attempts, 0.0) for attempts in range(1, 9)] == [5, 15, 60, 300, 900, 1800, 1800, 1800]
    assert pause(3, 1.0) == 75.0
    hours = sum(pause(attempts, 0.0) for attempts in range(1, ATTEMPTS + 1)) / 3600
    assert 3.5 < hours < 5.0


def test_a_login_that_is_refused_at_once_twice_in_a_row_has_expired() -> None:
    failed: dict[str, Any] = {"state": S.FAILED, "waha": W.FAILED, "since": ago(1), "repaired_at": ago(4)}
    first = decide(View(**failed, repairs=1), NOW)
    assert (first.step, first.rejections) == (Step.RESTART, 1)
    second = decide(View(**failed, repairs=2, rejections=1), NOW)
    assert (second.step, second.rejections) == (Step.EXPIRE, 2)
    assert "scan again" in second.reason


def test_a_login_that_is_refused_is_judged_without_waiting_for_the_next_attempt() -> None:
    failed: dict[str, Any] = {"state": S.FAILED, "waha": W.FAILED, "since": ago(1), "repaired_at": ago(4)}
    assert step(**failed, repairs=2, rejections=1, repair_at=NOW + 10) is Step.EXPIRE


def test_a_slow_failure_is_no_refusal_and_ends_a_row_of_them() -> None:
    slow = decide(View(state=S.FAILED, waha=W.FAILED, since=ago(1), repaired_at=ago(130), repairs=5, rejections=1), NOW)
    assert (slow.step, slow.rejections) == (Step.RESTART, 0)


def test_after_all_attempts_a_person_is_asked() -> None:
    tired: dict[str, Any] = {
        "state": S.FAILED,
        "waha": W.FAILED,
        "since": ago(60),
        "repaired_at": ago(1800),
        "repairs": ATTEMPTS,
    }
    assert step(**tired) is Step.GIVE_UP
    assert step(**{**tired, "repairs": ATTEMPTS - 1}) is Step.RESTART


def test_nobody_is_given_up_while_no_session_of_the_server_works() -> None:
    tired: dict[str, Any] = {"state": S.FAILED, "waha": W.FAILED, "since": ago(60), "repairs": 50}
    assert step(**tired, others_work=False) is Step.RESTART
    assert step(**tired, others_work=False, repair_at=NOW + 1) is Step.REST


@pytest.mark.parametrize(
    ("attempts", "others_work", "after"), [(0, True, 1), (11, True, 12), (0, False, 1), (6, False, 6), (9, False, 9)]
)
def test_attempts_while_nothing_works_only_lengthen_the_pause(attempts: int, others_work: bool, after: int) -> None:
    assert attempts_after(attempts, others_work=others_work) == after


@pytest.mark.parametrize(("connected_for", "expected"), [(60, Step.REST), (61, Step.FORGIVE)])
def test_troubles_are_forgotten_after_a_minute_of_health(connected_for: float, expected: Step) -> None:
    assert step(repairs=3, state_at=ago(connected_for)) is expected


# --- who needs a phone


@pytest.mark.parametrize("state", [S.EXPIRED, S.FAILED, S.STOPPED])
@pytest.mark.parametrize("waha", [None, W.STOPPED, W.FAILED, W.STARTING, W.SCAN_QR_CODE, W.WORKING])
def test_a_session_that_only_its_phone_can_help_is_left_alone(state: SessionState, waha: WahaStatus | None) -> None:
    assert step(state=state, waha=waha, since=ago(10_000), requires_auth=True) is Step.REST


# --- pairing


def pairing(opened: float, **view: Any) -> Step:
    """The step for a session that is being paired since so many seconds."""
    usual: dict[str, Any] = {"state": S.STARTING, "paired": False, "requires_auth": True}
    return step(**{**usual, "pairing_until": ago(opened) + PAIRING_SECONDS, **view})


@pytest.mark.parametrize("waha", [W.SCAN_QR_CODE, W.STARTING, W.FAILED, W.PASSKEY_REQUIRED, W.WORKING])
def test_an_open_pairing_is_its_persons(waha: WahaStatus) -> None:
    assert pairing(100, waha=waha, since=ago(50)) is Step.REST


@pytest.mark.parametrize(
    ("waha", "since", "opened", "expected"),
    [
        (None, 0.0, 10, Step.REST),
        (None, 0.0, 11, Step.START),
        (W.STOPPED, ago(5), 60, Step.REST),
        (W.STOPPED, ago(11), 60, Step.START),
        (W.FAILED, ago(100), 11, Step.START),
        (W.FAILED, ago(30), 60, Step.REST),
    ],
    ids=["just opened", "never started", "just stopped", "stopped", "failed before it was opened", "codes ran out"],
)
def test_an_open_pairing_that_nothing_was_started_for_is_started(
    waha: WahaStatus | None, since: float, opened: float, expected: Step
) -> None:
    assert pairing(opened, waha=waha, since=since) is expected


@pytest.mark.parametrize(
    ("waha", "over_for", "expected"),
    [
        (W.FAILED, 29, Step.REST),
        (W.FAILED, 30, Step.CLOSE_PAIRING),
        (W.STOPPED, 30, Step.CLOSE_PAIRING),
        (None, 30, Step.CLOSE_PAIRING),
        (W.STARTING, 30, Step.CLOSE_PAIRING),
        (W.SCAN_QR_CODE, 3000, Step.REST),
        (W.PASSKEY_REQUIRED, 60, Step.REST),
    ],
)
def test_a_pairing_that_has_run_out_is_closed_and_not_begun_again(
    waha: WahaStatus | None, over_for: float, expected: Step
) -> None:
    assert pairing(PAIRING_SECONDS + over_for, waha=waha, since=ago(1)) is expected


def test_a_paired_session_whose_pairing_was_not_needed_is_mended_as_any_other() -> None:
    over: dict[str, Any] = {"paired": True, "requires_auth": False}
    assert pairing(PAIRING_SECONDS + 1, waha=W.FAILED, since=ago(300), **over) is Step.RESTART


# --- what is wanted


@pytest.mark.parametrize("waha", [W.STARTING, W.SCAN_QR_CODE, W.WORKING, W.FAILED])
def test_what_should_be_stopped_and_runs_is_stopped_also_on_a_young_server(waha: WahaStatus) -> None:
    assert step(desired=Desired.STOPPED, waha=waha, young=True) is Step.STOP
    assert step(desired=Desired.STOPPED, waha=waha, repair_at=NOW + 1) is Step.REST


@pytest.mark.parametrize("waha", [W.STOPPED, None])
def test_what_should_be_stopped_and_is_stays_so(waha: WahaStatus | None) -> None:
    assert step(desired=Desired.STOPPED, state=S.STOPPED, waha=waha) is Step.REST
    assert step(desired=Desired.STOPPED, state=S.STOPPED, waha=waha, repairs=1) is Step.FORGIVE


@pytest.mark.parametrize("waha", [None, W.STOPPED, W.WORKING, W.FAILED])
def test_what_should_be_removed_is_removed_whatever_waha_says(waha: WahaStatus | None) -> None:
    removed: dict[str, Any] = {"desired": Desired.DELETED, "waha": waha, "requires_auth": True, "moving": True}
    assert step(**removed) is Step.FINISH_DELETE
    assert step(**removed, repair_at=NOW + 1) is Step.REST


def test_a_move_that_was_not_finished_is_finished() -> None:
    assert step(moving=True) is Step.FINISH_MOVE
    assert step(moving=True, repair_at=NOW + 1) is Step.REST


# --- configuration


@pytest.mark.parametrize(
    ("drift", "configured", "expected"),
    [
        (Drift.NONE, None, Step.REST),
        (Drift.CONFIG, None, Step.CONFIGURE),
        (Drift.CONFIG, 86_399, Step.REST),
        (Drift.CONFIG, 86_400, Step.CONFIGURE),
        (Drift.WEBHOOK, 599, Step.REST),
        (Drift.WEBHOOK, 600, Step.CONFIGURE),
    ],
)
def test_lost_configuration_is_given_again_but_not_often(
    drift: Drift, configured: float | None, expected: Step
) -> None:
    assert step(drift=drift, configured_at=None if configured is None else ago(configured)) is expected


@pytest.mark.parametrize(
    "view",
    [{"young": True}, {"state": S.STARTING}, {"pairing_until": NOW + 10}, {"requires_auth": True}],
    ids=["young server", "not connected yet", "pairing", "needs a phone"],
)
def test_configuration_waits_for_a_quiet_moment(view: dict[str, Any]) -> None:
    assert step(**{"drift": Drift.CONFIG, **view}) is Step.REST

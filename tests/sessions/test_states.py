"""What WAHA's word for a session means in ours."""

import pytest

from gateway.waha.schemas import WahaStatus
from sessions.models import TRANSITIONS, SessionState
from sessions.states import same_number, state_of

S, W = SessionState, WahaStatus


@pytest.mark.parametrize(
    ("status", "before", "paired", "pairing_open", "after"),
    [
        (W.STOPPED, S.CONNECTED, True, False, S.STOPPED),
        (W.WORKING, S.WAITING_FOR_SCAN, False, True, S.CONNECTED),
        (W.WORKING, S.FAILED, True, False, S.CONNECTED),
        (W.FAILED, S.CONNECTED, True, False, S.FAILED),
        (W.STARTING, S.STOPPED, True, False, S.STARTING),
        (W.STARTING, S.CONNECTED, True, False, S.STARTING),
        (W.SCAN_QR_CODE, S.STARTING, False, True, S.WAITING_FOR_SCAN),
        (W.SCAN_QR_CODE, S.STARTING, False, False, S.WAITING_FOR_SCAN),
        (W.PASSKEY_REQUIRED, S.WAITING_FOR_SCAN, False, True, S.SCANNED),
        (W.PASSKEY_CONFIRMATION_REQUIRED, S.SCANNED, False, True, S.SCANNED),
    ],
)
def test_each_status_has_its_state(
    status: WahaStatus, before: SessionState, paired: bool, pairing_open: bool, after: SessionState
) -> None:
    assert state_of(status, before, paired=paired, pairing_open=pairing_open) is after


def test_a_paired_session_at_a_code_that_nobody_asked_for_was_logged_out_by_the_phone() -> None:
    assert state_of(W.SCAN_QR_CODE, S.CONNECTED, paired=True, pairing_open=False) is S.EXPIRED


def test_a_paired_session_at_a_code_that_somebody_asked_for_waits_for_a_scan() -> None:
    assert state_of(W.SCAN_QR_CODE, S.EXPIRED, paired=True, pairing_open=True) is S.WAITING_FOR_SCAN


@pytest.mark.parametrize("before", [S.WAITING_FOR_SCAN, S.SCANNED])
def test_a_start_right_after_a_code_was_a_scan(before: SessionState) -> None:
    assert state_of(W.STARTING, before, paired=False, pairing_open=True) is S.SCANNED


def test_a_start_without_an_open_pairing_is_no_scan() -> None:
    assert state_of(W.STARTING, S.WAITING_FOR_SCAN, paired=False, pairing_open=False) is S.STARTING


@pytest.mark.parametrize("status", list(WahaStatus))
@pytest.mark.parametrize("before", list(SessionState))
def test_every_status_leads_somewhere_that_is_a_state(status: WahaStatus, before: SessionState) -> None:
    for paired in (False, True):
        for pairing_open in (False, True):
            assert state_of(status, before, paired=paired, pairing_open=pairing_open) in SessionState


def test_every_state_has_its_transitions_and_expired_follows_only_what_was_paired_and_running() -> None:
    assert set(TRANSITIONS) == set(SessionState)
    assert {before for before in SessionState if S.EXPIRED not in TRANSITIONS[before]} == {
        S.STOPPED,
        S.WAITING_FOR_SCAN,
    }


@pytest.mark.parametrize(
    ("asked", "scanned", "same"),
    [
        ("447700900001", "447700900001", True),
        ("447700900001", "447700900002", False),
        ("5511961234567", "551161234567", True),
        ("551161234567", "5511961234567", True),
        ("5511961234567", "5511961234568", False),
        ("5511861234567", "551161234567", False),  # only a 9 was ever added
        ("4411961234567", "441161234567", False),  # and only in Brazil
    ],
)
def test_two_numbers_are_one_phone_when_equal_or_brazilian_with_and_without_the_nine(
    asked: str, scanned: str, same: bool
) -> None:
    assert same_number(asked, scanned) is same

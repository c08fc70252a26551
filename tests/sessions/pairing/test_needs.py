"""What a session needs so that its phone can scan a code, for every word of WAHA."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.waha.schemas import WahaStatus
from sessions.models import SessionState
from sessions.pairing.needs import Need, need_of, only_a_logout_helps

NOW = 1_800_000_000.0
S, W = SessionState, WahaStatus


def row(state: SessionState = S.STARTING, **columns: Any) -> Any:
    """A session's row: never paired, and no pairing is open, unless told otherwise."""
    usual = {"state": state, "paired_at": None, "pairing_until": None, "requires_auth": True, "repair_at": 0.0}
    return SimpleNamespace(**usual | columns)


OPEN: dict[str, Any] = {"pairing_until": NOW + 1}
OVER: dict[str, Any] = {"pairing_until": NOW}
PAIRED: dict[str, Any] = {"paired_at": NOW - 9, "requires_auth": False}
LOST: dict[str, Any] = {"paired_at": NOW - 9, "requires_auth": True}


@pytest.mark.parametrize(
    ("session", "status", "need"),
    [
        (row(), None, Need.START),
        (row(), W.STOPPED, Need.START),
        (row(S.FAILED), W.FAILED, Need.START),
        (row(**OPEN), W.SCAN_QR_CODE, Need.NOTHING),
        (row(**OVER), W.SCAN_QR_CODE, Need.OPEN),
        (row(), W.SCAN_QR_CODE, Need.OPEN),
        (row(), W.STARTING, Need.OPEN),
        (row(**OPEN), W.STARTING, Need.NOTHING),
        (row(**PAIRED), W.STARTING, Need.NOTHING),  # it only reconnects
        (row(S.CONNECTED, **PAIRED), W.WORKING, Need.NOTHING),
        (row(S.SCANNED), W.PASSKEY_REQUIRED, Need.NOTHING),
        (row(), W.UNKNOWN, Need.NOTHING),
        (row(S.FAILED, **PAIRED), W.FAILED, Need.START),
        (row(S.FAILED, **PAIRED, repair_at=NOW + 1), W.FAILED, Need.NOTHING),  # restarted a moment ago
        (row(S.FAILED, repair_at=NOW + 1), W.FAILED, Need.START),
        (row(S.FAILED, **LOST), W.FAILED, Need.ANEW),
        (row(S.FAILED, **LOST), None, Need.START),  # nothing is left to log out
        (row(S.STOPPED, **LOST), W.STOPPED, Need.START),
        (row(S.EXPIRED, **LOST), W.WORKING, Need.NOTHING),
        (row(S.EXPIRED), W.SCAN_QR_CODE, Need.OPEN),
    ],
)
def test_what_a_stranger_may_have_done(session: Any, status: WahaStatus | None, need: Need) -> None:
    assert need_of(session, status, NOW, may_log_out=False) is need


@pytest.mark.parametrize("status", [W.WORKING, W.STOPPED, W.FAILED])
def test_an_expired_login_is_ended_only_for_who_has_a_right_to_it(status: WahaStatus) -> None:
    expired = row(S.EXPIRED, **LOST)
    assert need_of(expired, status, NOW, may_log_out=True) is Need.ANEW
    gone_for_good = status is W.FAILED
    assert (need_of(expired, status, NOW, may_log_out=False) is Need.ANEW) is gone_for_good


@pytest.mark.parametrize("state", list(SessionState))
def test_a_session_that_nobody_is_paired_with_is_never_logged_out(state: SessionState) -> None:
    assert not any(only_a_logout_helps(row(state), status, may_log_out=True) for status in WahaStatus)

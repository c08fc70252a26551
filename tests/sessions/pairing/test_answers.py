"""What is answered when a code is asked for, while WAHA's news are still on their way."""

import pytest

from sessions.models import SessionState
from sessions.pairing.qr_codes import ShownQr
from sessions.router import qr_out

SHOWN = ShownQr(value="2@code", shown_at=1_800_000_000.0, first=True, png="iVBORw0KGgo=")


@pytest.mark.parametrize("stored", [SessionState.STARTING, SessionState.STOPPED, SessionState.FAILED])
def test_a_code_waits_for_its_scan_whatever_was_stored_before(stored: SessionState) -> None:
    answer = qr_out(stored, "it has failed", SHOWN)
    assert (answer.status, answer.qr_code, answer.reason) == ("WAITING_FOR_SCAN", SHOWN.png, None)
    assert answer.expires_at is not None


def test_a_code_comes_with_the_reason_why_it_is_scanned_again() -> None:
    answer = qr_out(SessionState.WAITING_FOR_SCAN, "another number scanned the code", SHOWN)
    assert (answer.status, answer.reason) == ("WAITING_FOR_SCAN", "another number scanned the code")


@pytest.mark.parametrize("stored", [SessionState.SCANNED, SessionState.CONNECTED])
def test_a_code_that_was_scanned_meanwhile_is_not_shown(stored: SessionState) -> None:
    assert qr_out(stored, "", SHOWN).model_dump(exclude_none=True) == {"status": stored}


def test_a_session_that_still_starts_has_no_code() -> None:
    assert qr_out(SessionState.STARTING, "", None).model_dump(exclude_none=True) == {"status": "STARTING"}

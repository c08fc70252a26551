"""What is answered when a code is asked for: its words, and what a person is to do."""

from types import SimpleNamespace
from typing import Any

import pytest

from sessions.models import SessionState
from sessions.pairing.answers import qr_out
from sessions.pairing.qr_codes import ShownQr
from sessions.pairing.service import Shown

SHOWN = ShownQr("2@code", 1_800_000_000.0, 1_800_000_060.0, (0.0, 0.0, None), "iVBORw0KGgo=")
S = SessionState


def row(state: SessionState, *, reason: str = "", waha_status: str = "") -> Any:
    """A session's row."""
    return SimpleNamespace(
        number="447700900001", state=state, reason=reason, waha_status=waha_status, status_at=1_800_000_000.0
    )


@pytest.mark.parametrize("stored", [S.STARTING, S.STOPPED, S.FAILED])
def test_a_code_waits_for_its_scan_whatever_was_stored_before(stored: SessionState) -> None:
    answer = qr_out(Shown(row(stored, reason="it has failed"), S.WAITING_FOR_SCAN, SHOWN))
    assert (answer.status, answer.qr_code, answer.reason) == ("WAITING_FOR_SCAN", SHOWN.png, None)
    assert answer.expires_at is not None


def test_a_code_comes_with_the_reason_why_it_is_scanned_again() -> None:
    waiting = row(S.WAITING_FOR_SCAN, reason="another number scanned the code")
    answer = qr_out(Shown(waiting, S.WAITING_FOR_SCAN, SHOWN))
    assert (answer.status, answer.reason) == ("WAITING_FOR_SCAN", "another number scanned the code")


def test_a_session_that_still_starts_has_no_code() -> None:
    answer = qr_out(Shown(row(S.STARTING), S.STARTING, None))
    assert answer.model_dump(exclude_none=True) == {"status": "STARTING"}


@pytest.mark.parametrize(
    ("waha_status", "words"),
    [
        ("PASSKEY_REQUIRED", ("passkey", "GET /api/sessions/+447700900001/passkey", "2027-01-15 08:01:00 UTC")),
        ("PASSKEY_CONFIRMATION_REQUIRED", ("Compare the code", "/passkey/confirm", "2027-01-15 08:01:00 UTC")),
    ],
)
def test_a_passkey_step_is_told_in_a_sentence_with_its_end(waha_status: str, words: tuple[str, ...]) -> None:
    answer = qr_out(Shown(row(S.SCANNED, waha_status=waha_status), S.SCANNED, None))
    assert answer.status == "SCANNED"
    assert answer.reason is not None
    assert all(word in answer.reason for word in words)


def test_a_scanned_session_without_a_passkey_step_needs_nothing() -> None:
    answer = qr_out(Shown(row(S.SCANNED, waha_status="STARTING"), S.SCANNED, None))
    assert answer.model_dump(exclude_none=True) == {"status": "SCANNED"}

"""What WAHA's word for a session means in ours. Pure."""

from gateway.waha.schemas import WahaStatus
from sessions.models import SessionState

_PLAIN = {
    WahaStatus.STOPPED: SessionState.STOPPED,
    WahaStatus.WORKING: SessionState.CONNECTED,
    WahaStatus.FAILED: SessionState.FAILED,
    WahaStatus.PASSKEY_REQUIRED: SessionState.SCANNED,
    WahaStatus.PASSKEY_CONFIRMATION_REQUIRED: SessionState.SCANNED,
}

_ENDS_EXPIRY = frozenset(
    {WahaStatus.WORKING, WahaStatus.PASSKEY_REQUIRED, WahaStatus.PASSKEY_CONFIRMATION_REQUIRED, WahaStatus.STOPPED}
)


def state_of(status: WahaStatus, before: SessionState, *, paired: bool, pairing_open: bool) -> SessionState:
    """Our state for WAHA's `status`, given what we told last.

    A session that was paired and is back at a QR that nobody asked for was logged out by the phone: EXPIRED. It stays
    so, whatever WAHA does with its code, until somebody asks for it or the session works. NOWEB goes from the QR
    through STARTING to WORKING: between the two it was SCANNED.
    """
    if status is WahaStatus.SCAN_QR_CODE and paired and not pairing_open:
        return SessionState.EXPIRED
    if before is SessionState.EXPIRED and not pairing_open and status not in _ENDS_EXPIRY:
        return SessionState.EXPIRED
    if status is WahaStatus.SCAN_QR_CODE:
        return SessionState.WAITING_FOR_SCAN
    if status is WahaStatus.STARTING:
        scanned = before in (SessionState.WAITING_FOR_SCAN, SessionState.SCANNED) and pairing_open
        return SessionState.SCANNED if scanned else SessionState.STARTING
    return _PLAIN.get(status, before)


def same_number(asked: str, scanned: str) -> bool:
    """Whether two numbers (digits) are one phone: equal, or Brazilian with and without the ninth digit."""
    return asked == scanned or _without_ninth(asked) == _without_ninth(scanned)


def _without_ninth(number: str) -> str:
    """Accounts made before 2012 live under the number without the 9 that Brazil added later."""
    if number.startswith("55") and len(number) == 13 and number[4] == "9":
        return number[:4] + number[5:]
    return number

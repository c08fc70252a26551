"""What a session needs so that its phone can scan a code. Pure."""

from enum import StrEnum

from gateway.db import AnyRow
from gateway.waha.schemas import WahaStatus
from sessions.models import SessionState


class Need(StrEnum):
    """What has to happen at WAHA before there is a code to show."""

    NOTHING = "nothing"
    OPEN = "open"
    """It shows one already, or will: it only has to be known that somebody asked for it."""
    START = "start"
    ANEW = "anew"
    """Its login is of no use any more, and only a logout makes WAHA show a code."""


def is_open(row: AnyRow, now: float) -> bool:
    """Whether a pairing is open: somebody asked for a code, and its time is not over."""
    return row.pairing_until is not None and now < row.pairing_until


def is_gone(row: AnyRow, status: str | None) -> bool:
    """Whether the login of a paired session is gone for good: WAHA says FAILED, and only the phone can help."""
    ended = row.requires_auth and row.state in (SessionState.FAILED, SessionState.EXPIRED)
    return row.paired_at is not None and ended and status == WahaStatus.FAILED


def only_a_logout_helps(row: AnyRow, status: str | None, *, may_log_out: bool) -> bool:
    """Whether a session whose status at WAHA is `status` shows a code only after a logout.

    An expired one may still say that it works, so it is logged out only for somebody who has a right to it.
    """
    expired = row.paired_at is not None and row.state == SessionState.EXPIRED
    return is_gone(row, status) or (may_log_out and expired)


def need_of(row: AnyRow, status: WahaStatus | None, now: float, *, may_log_out: bool) -> Need:
    """What a session needs whose code is asked for, given WAHA's present word (None: it knows no such session)."""
    at_rest = status in (None, WahaStatus.STOPPED, WahaStatus.FAILED)
    useless = only_a_logout_helps(row, status, may_log_out=may_log_out)
    if useless and status in (WahaStatus.STOPPED, WahaStatus.FAILED, WahaStatus.WORKING):
        return Need.ANEW
    if status is WahaStatus.FAILED and row.paired_at is not None and now < row.repair_at:
        return Need.NOTHING  # its login may be good, and it was restarted a moment ago
    if at_rest:
        return Need.START
    will_show = status is WahaStatus.SCAN_QR_CODE or (status is WahaStatus.STARTING and row.paired_at is None)
    return Need.OPEN if will_show and not is_open(row, now) else Need.NOTHING

"""What the pairing page shows of a session: one word for each of its panels, and what stands in it. Pure.

The page has its sentences from the server, in the visitor's language; here are only words that it knows.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from gateway.waha.schemas import WahaStatus
from sessions.models import SessionState
from sessions.news.state_writer import CODES_RAN_OUT, WRONG_PHONE
from sessions.pairing.page.drawing import Drawing, draw_path
from sessions.pairing.passkeys import deadline
from sessions.pairing.service import Shown


class Panel(StrEnum):
    """What the page shows."""

    STARTING = "starting"
    CODE = "code"
    SCANNED = "scanned"
    PASSKEY = "passkey"
    CONFIRM = "confirm"
    CONNECTED = "connected"
    ENDED = "ended"
    """Nobody scanned in time, or nobody has asked yet: a new code may be asked for."""
    FAILED = "failed"
    AWAY = "away"
    OVER = "over"


class View(BaseModel):
    """One look at a pairing."""

    model_config = ConfigDict(frozen=True)

    panel: Panel
    name: str | None = Field(default=None, description="The name of the account that is linked")
    wrong_phone: bool = Field(default=False, description="A phone of another number has scanned")
    qr: Drawing | None = None
    compare: str | None = Field(default=None, description="To be compared with the code on the phone")
    seconds: float | None = Field(default=None, description="How long this step lasts in all")
    seconds_left: float | None = Field(default=None, description="How much of that is left")


AWAY = View(panel=Panel.AWAY)
FAILED = View(panel=Panel.FAILED)
OVER = View(panel=Panel.OVER)


def view_of(shown: Shown, now: float) -> View:
    """What is shown of a session at `now` (epoch seconds)."""
    row, code = shown.row, shown.code
    wrong_phone = row.reason == WRONG_PHONE
    if code is not None:
        lasts, left = code.expires_at - code.shown_at, max(0.0, code.expires_at - now)
        qr = draw_path(code.value)
        return View(panel=Panel.CODE, wrong_phone=wrong_phone, qr=qr, seconds=lasts, seconds_left=left)
    match shown.state:
        case SessionState.CONNECTED:
            return View(panel=Panel.CONNECTED, name=row.push_name or None)
        case SessionState.SCANNED:
            return _after_the_scan(shown, now)
        case SessionState.STARTING | SessionState.WAITING_FOR_SCAN:
            return View(panel=Panel.STARTING, wrong_phone=wrong_phone)
        case SessionState.FAILED if row.reason != CODES_RAN_OUT:
            return FAILED
        case _:
            return View(panel=Panel.ENDED)


def _after_the_scan(shown: Shown, now: float) -> View:
    panels = {
        WahaStatus.PASSKEY_REQUIRED: Panel.PASSKEY,
        WahaStatus.PASSKEY_CONFIRMATION_REQUIRED: Panel.CONFIRM,
    }
    panel = panels.get(shown.row.waha_status)
    if panel is None:
        return View(panel=Panel.SCANNED)
    until = deadline(shown.row)
    return View(panel=panel, seconds=until - shown.row.status_at, seconds_left=max(0.0, until - now))

"""The codes that are being shown: when each runs out, whether there may be a newer one, and its picture.

WhatsApp shows the first code for 60 s and five more for 20 s each; after 160 s the pairing has run out.
"""

import asyncio
import base64
import io
from dataclasses import dataclass

import qrcode
from qrcode.constants import ERROR_CORRECT_L

from gateway.db import AnyRow

FIRST_QR_SECONDS = 60.0
NEXT_QR_SECONDS = 20.0
PAIRING_SECONDS = 160.0
AGAIN_SECONDS = 2.0
"""After its time is over, a code that WAHA still shows is asked for again so much later."""

Mark = tuple[float, float, float | None]
"""What has been heard of a session when its code was read: another mark, and there may be another code."""


def mark_of(row: AnyRow) -> Mark:
    """The mark of a session's row: it changes with every status event, so with every new code that WAHA tells."""
    return row.status_at, row.event_at, row.pairing_until


@dataclass(slots=True)
class ShownQr:
    """The code that a session shows now. `shown_at` is when we first saw it, `expires_at` when WhatsApp replaces it.

    Both are in epoch seconds. `mark` is the session's when the code was last read.
    """

    value: str
    shown_at: float
    expires_at: float
    mark: Mark
    png: str


class QrBook:
    """The codes that are being shown by number, so that each is asked for and drawn once."""

    def __init__(self) -> None:
        self._shown: dict[str, ShownQr] = {}

    def newest(self, row: AnyRow, now: float) -> ShownQr | None:
        """The code of a session that is surely still shown; None where WAHA has to be asked."""
        shown = self._shown.get(row.number)
        fresh = shown is not None and shown.mark == mark_of(row) and now < shown.expires_at
        return shown if fresh else None

    def last(self, row: AnyRow, now: float) -> ShownQr | None:
        """The last code that was read in the open pairing, if its time is not over; there may be a newer one."""
        shown = self._shown.get(row.number)
        same_pairing = shown is not None and shown.mark[2] == row.pairing_until and now < shown.expires_at
        return shown if same_pairing else None

    async def show(self, row: AnyRow, value: str, now: float) -> ShownQr:
        """Note that WAHA shows `value`; `row` was read before it was asked."""
        shown = self._shown.get(row.number)
        if shown is not None and shown.value == value:
            shown.mark = mark_of(row)
            if now >= shown.expires_at:
                shown.expires_at = now + AGAIN_SECONDS
            return shown
        # the first one is as old as the status: one that comes after another, or later than that, is not the first
        first_until = row.status_at + FIRST_QR_SECONDS
        is_first = now < first_until and (shown is None or shown.mark[0] != row.status_at)
        expires_at = min(first_until, now + FIRST_QR_SECONDS) if is_first else now + NEXT_QR_SECONDS
        png = await asyncio.to_thread(draw_png, value)
        self._shown[row.number] = shown = ShownQr(value, now, expires_at, mark_of(row), png)
        return shown

    def forget(self, number: str) -> None:
        """The pairing has ended, or another one begins."""
        self._shown.pop(number, None)


def draw_png(value: str) -> str:
    """A QR code of `value` as base64 of a PNG, four modules of white around it."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, box_size=8, border=4)
    code.add_data(value)
    code.make(fit=True)
    buffer = io.BytesIO()
    code.make_image().save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")

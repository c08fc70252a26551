"""Pairing by QR: when the current code runs out, and its picture.

WhatsApp shows the first code for 60 s and five more for 20 s each; after 160 s the pairing has run out.
"""

import asyncio
import base64
import io
from dataclasses import dataclass

import qrcode
from qrcode.constants import ERROR_CORRECT_L

FIRST_QR_SECONDS = 60.0
NEXT_QR_SECONDS = 20.0
PAIRING_SECONDS = 160.0


@dataclass(slots=True)
class ShownQr:
    """The code that a session shows now. `shown_at` is when we first saw it, in epoch seconds."""

    value: str
    shown_at: float
    first: bool
    png: str = ""

    @property
    def expires_at(self) -> float:
        """When WhatsApp replaces it, in epoch seconds."""
        return self.shown_at + (FIRST_QR_SECONDS if self.first else NEXT_QR_SECONDS)


class QrBook:
    """The codes that are being shown, so that each is drawn once."""

    def __init__(self) -> None:
        self._shown: dict[str, ShownQr] = {}

    async def show(self, number: str, value: str, now: float, pairing_until: float | None) -> ShownQr:
        """The code `value` of `number` with its picture (base64 PNG) and the time it runs out."""
        shown = self._shown.get(number)
        if shown is None or shown.value != value:
            # a pairing that has most of its time before it shows its first code
            first = pairing_until is None or pairing_until - now > PAIRING_SECONDS - FIRST_QR_SECONDS
            shown = ShownQr(value=value, shown_at=now, first=first and shown is None)
            shown.png = await asyncio.to_thread(draw_png, value)
            self._shown[number] = shown
        return shown

    def forget(self, number: str) -> None:
        """The pairing has ended."""
        self._shown.pop(number, None)


def draw_png(value: str) -> str:
    """A QR code of `value` as base64 of a PNG, four modules of white around it."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_L, box_size=8, border=4)
    code.add_data(value)
    code.make(fit=True)
    buffer = io.BytesIO()
    code.make_image().save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")

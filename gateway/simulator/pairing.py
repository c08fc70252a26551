"""Pairing: codes to scan or to type, and a passkey where WhatsApp wants one."""

import asyncio
import base64
import random
from collections.abc import Callable

from gateway.simulator.clock import SimClock
from gateway.simulator.errors import JsonObject
from gateway.simulator.ids import make_pairing_code, make_qr_value
from gateway.simulator.stored import PasskeyWish, Status

QR_LIFETIMES = (60.0, 20.0, 20.0, 20.0, 20.0, 20.0)
PASSKEY_SECONDS = 60.0


class Pairing:
    """One attempt to pair, from the first QR to the number that is paired.

    Up to six QR codes are shown, the first for 60 s, the others for 20 s each. A scanned or typed code pairs at
    once, or asks for a passkey, and then for a look at a code on the phone, each within 60 s.
    """

    def __init__(
        self,
        *,
        clock: SimClock,
        rng: random.Random,
        passkey: PasskeyWish,
        auto_scan: Callable[[], str] | None,
        auto_scan_seconds: float,
        tell: Callable[[Status, JsonObject | None], None],
    ) -> None:
        self.qr: str | None = None
        self.phone: str | None = None
        self.challenge: JsonObject | None = None
        self.confirmation: JsonObject | None = None
        self._code: tuple[str, str] | None = None
        self._clock = clock
        self._rng = rng
        self._passkey = passkey
        self._auto_scan = auto_scan
        self._auto_scan_seconds = auto_scan_seconds
        self._tell = tell
        self._done = asyncio.Event()

    async def run(self) -> str | None:
        """Show codes until somebody pairs; the number that did, or None when time ran out."""
        timer = None
        if self._auto_scan is not None:
            scan = self._auto_scan
            timer = self._clock.call_later(self._auto_scan_seconds, lambda: self.scan(scan()))
        try:
            return self.phone if await self._scanned() and await self._proven() else None
        finally:
            self.qr = self._code = self.challenge = self.confirmation = None
            if timer is not None:
                self._clock.cancel(timer)

    def scan(self, phone: str) -> bool:
        """A phone scans the QR that is shown; False when none is."""
        if self.qr is None:
            return False
        self.qr = self._code = None
        self.phone = phone
        self._done.set()
        return True

    def make_code(self, phone: str) -> str:
        """A code for this number to type; the one before is void."""
        code = make_pairing_code(self._rng)
        self._code = (phone, _bare(code))
        return code

    def enter_code(self, phone: str, code: str) -> bool:
        """A phone types a code, with its dash or without; False when it is not the one that was made for it last."""
        return self._code == (phone, _bare(code)) and self.scan(phone)

    def prove(self) -> bool:
        """Somebody signed the challenge; False when none is pending."""
        if self.challenge is None:
            return False
        self.challenge = None
        self._done.set()
        return True

    def confirm(self) -> bool:
        """Somebody compared the code; False when none is pending."""
        if self.confirmation is None:
            return False
        self.confirmation = None
        self._done.set()
        return True

    async def _scanned(self) -> bool:
        for lifetime in QR_LIFETIMES:
            self._done.clear()
            self.qr = make_qr_value(self._rng)
            self._tell(Status.SCAN_QR_CODE, None)
            if await self._within(lifetime):
                return True
        return False

    async def _proven(self) -> bool:
        if not self._passkey.wanted:
            return True
        self._done.clear()
        self.challenge = _challenge(self._rng)
        self._tell(Status.PASSKEY_REQUIRED, self.challenge)
        if not await self._within(PASSKEY_SECONDS):
            return False
        if not self._passkey.confirmation:
            return True
        self._done.clear()
        self.confirmation = {"code": f"{self._rng.randrange(10_000):04}"}
        self._tell(Status.PASSKEY_CONFIRMATION_REQUIRED, self.confirmation)
        return await self._within(PASSKEY_SECONDS)

    async def _within(self, seconds: float) -> bool:
        """Wait so long of the simulated clock for what is to be done; both ends wake the same event."""
        woken = False

        def out_of_time() -> None:
            nonlocal woken
            woken = not self._done.is_set()
            self._done.set()

        timer = self._clock.call_later(seconds, out_of_time)
        try:
            await self._done.wait()
        finally:
            self._clock.cancel(timer)
        return not woken


def _bare(code: str) -> str:
    return code.replace("-", "").upper()


def _challenge(rng: random.Random) -> JsonObject:
    """WebAuthn's options, as a browser on WhatsApp's origin takes them."""
    return {
        "challenge": _base64url(rng.randbytes(32)),
        "timeout": int(PASSKEY_SECONDS * 1000),
        "rpId": "web.whatsapp.com",
        "allowCredentials": [
            {"id": _base64url(rng.randbytes(16)), "type": "public-key", "transports": ["internal", "hybrid"]}
        ],
        "userVerification": "required",
        "extensions": {},
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

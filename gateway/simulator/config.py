"""What a simulated WAHA server is told before it starts."""

from dataclasses import dataclass, field
from typing import Literal

import httpx

EngineName = Literal["GOWS", "NOWEB", "WEBJS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Everything a simulated server can be told; all durations are seconds of its own clock.

    `speed` 60 makes whatever lasts a minute last a second. The same `seed` and the same calls in the same
    order give the same latencies, faults and ids.
    """

    engine: EngineName = "GOWS"
    version: str = "2026.7.1"
    worker_id: str = "waha"
    api_key: str = field(default="", repr=False)
    """Empty: no key is asked for."""

    speed: float = 1.0
    seed: int = 1

    auto_scan_seconds: float | None = None
    """A shown QR is scanned by itself after so long; None waits for `POST /sim/sessions/{name}/scan`."""

    start_seconds: float = 0.5
    """From STARTING to the first QR, or to WORKING when the session is paired."""

    latency_seconds: float = 0.3
    """Median of a send's lognormal latency (its 99th percentile is 8 times as much); 0 does not wait."""

    latency_jitter: bool = True
    """False makes every send take exactly `latency_seconds`."""

    receipts: bool = True
    """Whether recipients' phones acknowledge by themselves, a few seconds after a message was accepted."""

    collapse_repeats: bool = True
    """A message id sent twice to one chat shows one bubble; False shows two."""

    unregistered: frozenset[str] = frozenset()
    """Digits of numbers that are not on WhatsApp."""

    brazil_without_nine: bool = False
    """Brazilian mobile numbers exist under their old id without the ninth digit only."""

    lid_receipts: bool = False
    """Receipts name the chat by the recipient's hidden `@lid` id, as WhatsApp often does."""

    check_limit: int | None = None
    """How many numbers an account may look up per minute before WhatsApp says rate-overlimit; None: any number."""

    missing_is_500: bool = False
    """GOWS answers the look-up of a message that is not there with its gRPC error (500) instead of 404."""

    ping_seconds: float = 60.0
    """Real seconds between the pings of a WebSocket; a client that leaves one unanswered so long is dropped."""

    passkey: bool = False
    """GOWS: a scanned or typed code is not enough, WhatsApp asks for a passkey too."""

    passkey_confirmation: bool = True
    """After the passkey WhatsApp asks to compare a code; False pairs at once."""

    phone_expiry_days: float | None = None
    """A session whose phone gave no sign of life for so many days is logged out; WhatsApp's rule is 14, None is off."""

    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    """Where webhooks and fetched media travel; None is the real network. Tests pass an ASGI transport."""

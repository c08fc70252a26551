"""When a request is asked again, and after how long."""

from uuid import uuid4

import httpx

AGAIN = frozenset({429, 502, 503, 504})
LONGEST_WAIT_SECONDS = 60.0


def headers_of(method: str) -> dict[str, str]:
    """What makes asking again safe: a POST that was carried out is known by its key."""
    return {"Idempotency-Key": str(uuid4())} if method == "POST" else {}


def wait_after(outcome: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
    """Seconds to wait before asking again; None: this is the answer. `attempt` counts from 0."""
    usual: float = 0.5 * 2**attempt
    if isinstance(outcome, httpx.TransportError):
        return min(usual, LONGEST_WAIT_SECONDS)
    if outcome.status_code not in AGAIN:
        return None
    told = str(outcome.headers.get("Retry-After", ""))
    return min(float(told) if told.isdecimal() else usual, LONGEST_WAIT_SECONDS)

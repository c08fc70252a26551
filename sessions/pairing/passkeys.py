"""The passkey steps of a pairing, in words for a person. Pure.

WhatsApp may ask for more than a scan: a signature with the account's passkey, and then a look at a code on the phone.
Both are done by a person, the first in a browser on WhatsApp's own page, and for each there is a minute.
"""

from gateway.db import AnyRow
from gateway.waha.schemas import WahaStatus
from sessions.models import SessionState
from sessions.schemas import in_utc

STEP_SECONDS = 60.0


def deadline(row: AnyRow, seconds: float = STEP_SECONDS) -> float:
    """When WhatsApp gives up on the step that a session waits for, in epoch seconds."""
    return float(row.status_at) + seconds


def passkey_hint(row: AnyRow) -> str | None:
    """What is to be done and until when, as a sentence; None where no passkey step is pending."""
    if row.state != SessionState.SCANNED:
        return None
    until = f"{in_utc(deadline(row)):%Y-%m-%d %H:%M:%S} UTC"
    path = f"/api/sessions/+{row.number}/passkey"
    match row.waha_status:
        case WahaStatus.PASSKEY_REQUIRED:
            return (
                f"WhatsApp asks for this account's passkey, until {until}: sign the challenge of GET {path} in a "
                "browser on https://web.whatsapp.com, and POST the answer there"
            )
        case WahaStatus.PASSKEY_CONFIRMATION_REQUIRED:
            return (
                f"Compare the code of GET {path} with the one on the phone, until {until}; if they are the same, "
                f"POST {path}/confirm"
            )
        case _:
            return None

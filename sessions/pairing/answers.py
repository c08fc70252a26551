"""What is told of a session whose code somebody asked for."""

from sessions.pairing.passkeys import passkey_hint
from sessions.pairing.schemas import QrOut
from sessions.pairing.service import Shown
from sessions.schemas import as_time


def qr_out(shown: Shown) -> QrOut:
    """The answer: the code if there is one, and what there is to say."""
    reason = passkey_hint(shown.row) or (shown.row.reason if shown.state == shown.row.state else None) or None
    if shown.code is None:
        return QrOut(status=shown.state, reason=reason)
    return QrOut(status=shown.state, qr_code=shown.code.png, expires_at=as_time(shown.code.expires_at), reason=reason)

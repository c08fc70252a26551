"""What a person should know of a message beside its status. Pure; times are epoch seconds."""

from campaigns.sending.models import MessageState
from gateway.db import AnyRow

SILENCE_SECONDS = 300.0
"""After so long without any receipt a sent message says so."""


def note_of(row: AnyRow, now: float) -> str | None:
    """That WhatsApp has said nothing of a message which WAHA took some minutes ago: on some engines that means little.

    A receipt that was lost on its way to us looks the same, so nothing is done about it; sending again could repeat it.
    """
    silent = row.state == MessageState.SENT and (row.ack or 0) < 1 and row.sent_at is not None
    if not silent or now - row.sent_at < SILENCE_SECONDS:
        return None
    return f"WAHA took it {int((now - row.sent_at) // 60)} minutes ago, and WhatsApp has not said since that it has it"

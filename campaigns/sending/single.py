"""One text to one person, as a campaign of one message. Pure."""

from collections.abc import Sequence
from datetime import datetime

from campaigns.sending.models import Priority, Rotation
from campaigns.sending.schemas import SendRequest


def single_message(
    sender_numbers: Sequence[str],
    recipient: str,
    text: str,
    *,
    queue_if_offline: bool,
    priority: Priority = Priority.URGENT,
    media_url: str | None = None,
    label: str = "",
    start_at: datetime | None = None,
) -> SendRequest:
    """The request for it, through whichever of the senders is free; the text goes out as it stands, braces and all."""
    has_braces = "{{" in text or "}}" in text
    first, *others = sender_numbers
    return SendRequest(
        sender_number=first,
        sender_numbers=others,
        recipients=[recipient],
        template="{{text}}" if has_braces else text,
        variables={"text": text} if has_braces else {},
        media_url=media_url,
        priority=priority,
        rotation=Rotation.FASTEST,
        label=label,
        start_at=start_at,
        queue_if_offline=queue_if_offline,
    )

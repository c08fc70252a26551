"""What clients are told of the inbox (docs/live-events.md), written in the transaction that stores it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.notifications.outbox import Fact, tell
from gateway.notifications.payload import as_text

RECEIVED = "message.received"


@dataclass(frozen=True, slots=True)
class Received:
    """A message that came in; numbers are digits, `at` is in epoch seconds.

    `answers_id` and `campaign_id` are of the message that it answers, where that is the same account's.
    """

    id: str
    account_id: str
    conversation_id: str
    sender_number: str
    phone: str | None
    name: str = field(repr=False)
    wa_id: str
    kind: str
    text: str = field(repr=False)
    at: float
    answers_id: str | None
    campaign_id: str | None


async def tell_of_messages(tx: AsyncConnection, received: Sequence[Received]) -> None:
    """Tell of messages that came in, in their order."""
    await tell(
        tx,
        [
            Fact(RECEIVED, one.account_id, _data(one), campaign_id=one.campaign_id, sender_number=one.sender_number)
            for one in received
        ],
    )


def _data(one: Received) -> dict[str, Any]:
    return {
        "id": one.id,
        "conversation_id": one.conversation_id,
        "sender_number": f"+{one.sender_number}",
        "from": f"+{one.phone}" if one.phone else None,
        "name": one.name,
        "kind": one.kind,
        "text": one.text,
        "message_id": one.wa_id,
        "received_at": as_text(one.at),
        "schedule_id": one.campaign_id,
        "answers_id": one.answers_id,
    }

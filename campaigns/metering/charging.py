"""Charging clients: in the transaction that moves their campaigns' counters, by what it moves there.

A client has paid its campaigns' prices for exactly those of their messages that are sent, delivered or read. So what
moves into these states is charged, once, and what moves out of them, refused by WhatsApp after all, is given back.

What has left today counts for the daily limit as soon as that is known: with each message whose sending has ended, but
for those that surely were not sent. Clients are locked after all else, in the order of their ids.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.tables import client
from campaigns.sending.caps import day_end
from campaigns.sending.models import MessageState
from gateway.batch import is_among, pack_values
from gateway.db import ID

PAID = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
"""The states of messages that their client has paid for."""
_NOT_COUNTED_YET = frozenset({MessageState.QUEUED, MessageState.SENDING})

_LOCK = (
    select(client.c.id, client.c.timezone, client.c.day_ends_at, client.c.sent_today)
    .where(is_among(client.c.id, "ids", ID))
    .order_by(client.c.id)
    .with_for_update()
)
_CHARGE = (
    update(client)
    .where(client.c.id == bindparam("b_id"))
    .values(
        balance=client.c.balance - bindparam("b_amount"),
        day_ends_at=bindparam("b_day_ends_at"),
        sent_today=bindparam("b_sent_today"),
    )
)


@dataclass(slots=True)
class Moved:
    """What has become of some messages of a campaign: how many are to be paid, and how many have left just now."""

    paid: int = 0
    left: int = 0

    def __bool__(self) -> bool:
        return bool(self.paid or self.left)

    @classmethod
    def by_receipt(cls, before: MessageState, after: MessageState, *, has_left: bool) -> "Moved":
        """One message that a receipt has moved: so it has left, whatever came of it.

        `has_left`: of one that has failed, whether that was known before, so that it is counted already.
        """
        unknown = before in _NOT_COUNTED_YET or (before is MessageState.FAILED and not has_left)
        return cls(paid=(after in PAID) - (before in PAID), left=int(unknown))


@dataclass(slots=True)
class Bill:
    """What is written down for one client; `amount` is in millionths."""

    amount: int = 0
    left: int = 0


class Bills(defaultdict[str, Bill]):
    """Bills by client."""

    def __init__(self) -> None:
        super().__init__(Bill)

    def add(self, client_id: str | None, price: int | None, moved: Moved) -> None:
        """Put on a client's bill what has become of messages at this price; without a client there is none."""
        if moved and client_id is not None:
            bill = self[client_id]
            bill.amount += (price or 0) * moved.paid
            bill.left += moved.left


async def charge(tx: AsyncConnection, bills: Bills, now: float) -> None:
    """Write down what clients owe and have sent. Their campaigns have been counted in this transaction."""
    if not bills:
        return
    rows = (await tx.execute(_LOCK, {"ids": pack_values(sorted(bills))})).all()
    changes = []
    for row in rows:
        same_day = row.day_ends_at > now
        changes.append(
            {
                "b_id": row.id,
                "b_amount": bills[row.id].amount,
                "b_day_ends_at": row.day_ends_at if same_day else day_end(now, row.timezone),
                "b_sent_today": (row.sent_today if same_day else 0) + bills[row.id].left,
            }
        )
    await tx.execute(_CHARGE, changes)

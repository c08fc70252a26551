"""Single messages, for doors whose callers send to one person at a time: through whichever of their numbers is free.

Each is a campaign of one message (`campaigns/sending/single.py`): it waits in the one queue, and is told of like all.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import Priority
from campaigns.sending.service import CampaignService
from campaigns.sending.single import single_message
from campaigns.sending.tables import campaign, message, sender, session
from gateway.auth.access import Caller
from gateway.auth.owned import owned
from gateway.db import AnyRow, Database
from gateway.errors import NotFound, SessionNotConnected
from gateway.idempotency.keys import Key, earlier
from gateway.phone import PhoneNumber
from sessions.models import SessionState

MOST_SENDERS = 1000
"""So many numbers of an account share its single messages, as in a request."""
_COLUMNS = (
    *(message.c[name] for name in ("id", "campaign_id", "phone", "text", "state", "wa_id", "attempts", "error")),
    *(message.c[name] for name in ("error_code", "created_at", "sent_at", "delivered_at", "read_at", "finished_at")),
    message.c.personalization,
    campaign.c.account_id,
    campaign.c.template,
    campaign.c.label,
    campaign.c.priority,
    campaign.c.starts_at,
    campaign.c.name.label("campaign_name"),
    sender.c.number.label("sender_number"),
)
_FOUND = (
    select(*_COLUMNS)
    .join(campaign, campaign.c.id == message.c.campaign_id)
    .outerjoin(sender, sender.c.id == message.c.sender_id)
)


@dataclass(frozen=True, slots=True)
class Order:
    """A text to send to one number. `sender_number` is one of the account's (as it was written); any, if None."""

    phone: PhoneNumber
    text: str
    priority: Priority = Priority.NORMAL
    media_url: str | None = None
    label: str = ""
    start_at: datetime | None = None
    sender_number: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """A message that was queued (see `find`), and when it will probably have left (epoch seconds)."""

    row: AnyRow
    finish_at: float


class Singles:
    """Queues single messages and finds them again."""

    def __init__(self, db: Database, campaigns: CampaignService) -> None:
        self._db = db
        self._campaigns = campaigns
        self.phones = campaigns.phones

    async def send(
        self,
        caller: Caller,
        order: Order,
        idempotency_key: str | None = None,
        *,
        admit: Callable[[], Awaitable[None]] | None = None,
    ) -> Queued:
        """Queue a message; with an idempotency key the same order is queued once.

        `admit` is called before a message is queued, and not where it was queued already; what it raises is raised.

        Raises:
            SessionNotConnected: the account has no number to send from.
            NotFound: the number named is not the caller's.
            ValidationFailed: a field is wrong, or the key was used for another order.
            InsufficientBalance, DailyLimitReached: the client may not send it now.
        """
        numbers = [order.sender_number] if order.sender_number else await self.numbers(caller)
        request = single_message(
            numbers,
            order.phone.e164,
            order.text,
            queue_if_offline=True,
            priority=order.priority,
            media_url=order.media_url,
            label=order.label,
            start_at=order.start_at,
        )
        key = None
        if idempotency_key:  # of the order: which numbers are connected may be another time otherwise
            key = Key(f"single:{caller.account_id}", idempotency_key, hashlib.sha256(repr(order).encode()).hexdigest())
        if admit is not None and (key is None or await earlier(self._db, key) is None):
            await admit()
        answer: dict[str, Any] = await self._campaigns.submit(caller, request, key)
        async with self._db.read() as connection:
            row = (await connection.execute(_FOUND.where(message.c.campaign_id == answer["campaign"]["id"]))).one()
        return Queued(row, answer["finish_at"])

    async def find(self, caller: Caller, message_id: str) -> AnyRow:
        """A message of the caller's account: its row, with its campaign's label, priority and text, and its sender.

        Raises:
            NotFound: there is none, or it is another's.
        """
        query = _FOUND.where(message.c.id == message_id, owned(campaign, caller.account_scope))
        async with self._db.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound
        return row

    async def numbers(self, caller: Caller) -> list[str]:
        """The numbers that a caller's account sends from (with a plus), the connected ones if there are any.

        Raises:
            SessionNotConnected: there is none.
        """
        async with self._db.read() as connection:
            rows = await _senders(connection, caller.account_id)
        connected = [f"+{row.number}" for row in rows if row.state == SessionState.CONNECTED]
        numbers = connected or [f"+{row.number}" for row in rows]
        if not numbers:
            raise SessionNotConnected("there is no number to send from: the operator gives a client its numbers")
        return numbers


async def _senders(connection: AsyncConnection, account_id: str) -> list[AnyRow]:
    query = (
        select(sender.c.number, session.c.state)
        .outerjoin(session, session.c.sender_id == sender.c.id)
        .where(sender.c.account_id == account_id, sender.c.proven)
        .order_by(sender.c.id)
        .limit(MOST_SENDERS)
    )
    return list((await connection.execute(query)).all())


def text_of(row: AnyRow) -> str:
    """What a message says."""
    return str(row.template if row.text is None else row.text)

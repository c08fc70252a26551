"""What an account may still send: of a client its money and its day, of anybody else what has left today."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.tables import lane, sender
from gateway.auth.access import Caller
from gateway.auth.clients.queries import find_client
from gateway.db import Database, read_now
from gateway.money import shown


async def read_balance(db: Database, caller: Caller) -> dict[str, Any]:
    """The keys of a `BalanceOut`; `balance` is the text of a number with its decimals, or None."""
    async with db.read() as connection:
        now = await read_now(connection)
        row = None if caller.client is None else await find_client(connection, caller.client.client_id)
        if row is None:
            return {
                "balance": None,
                "currency": None,
                "messages_sent_today": await _left_today(connection, caller.account_id, now),
                "messages_limit_daily": None,
                "messages_remaining": None,
            }
    sent = row.sent_today if row.day_ends_at > now else 0
    return {
        "balance": shown(row.balance),
        "currency": row.currency,
        "messages_sent_today": sent,
        "messages_limit_daily": row.daily_limit,
        "messages_remaining": None if row.daily_limit is None else max(0, row.daily_limit - sent),
    }


async def _left_today(connection: AsyncConnection, account_id: str, now: float) -> int:
    """What has left through an account's numbers, each since midnight in its own time zone."""
    query = (
        select(func.coalesce(func.sum(lane.c.sent_today), 0))
        .join(sender, sender.c.id == lane.c.sender_id)
        .where(sender.c.account_id == account_id, lane.c.day_ends_at > now)
    )
    return int((await connection.execute(query)).scalar_one())

"""The door in front of the queue for clients: their balance must pay for what waits, and their day have room for it.

It is looked at twice: before messages are stored, so that nothing is stored in vain, and in the transaction that lets
them begin, with the client locked, so that two who come at once are not both let in on the same money. There the
client comes last: whoever charges it holds its campaigns before.
"""

from dataclasses import dataclass

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.allowances import MAY_BE_IN_FLIGHT
from campaigns.metering.tables import client
from campaigns.sending.caps import day_end
from campaigns.sending.models import CampaignState
from campaigns.sending.tables import campaign
from gateway.auth.clients.queries import client_of_account
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import AnyRow
from gateway.errors import DailyLimitReached, InsufficientBalance
from gateway.money import shown

_LIVES = (CampaignState.SCHEDULED, *MAY_BE_IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class Pending:
    """What a client has waiting and in flight: what that will cost, and how many of it may leave today."""

    cost: int
    today: int


async def look(connection: AsyncConnection, account_id: str, count: int, opens_at: float, now: float) -> None:
    """Whether so many messages more, of which none leaves before `opens_at`, would be let in just now.

    Raises:
        InsufficientBalance: the balance is not enough for them and for what waits already.
        DailyLimitReached: they are too many for today.
    """
    found = await _client_of(connection, account_id)
    if found is not None:
        await _judge(connection, found, now, opens_at=opens_at, more=count, price=found.price)


async def admit(
    tx: AsyncConnection, account_id: str, campaign_id: str, now: float, *, opens_at: float, daily: bool = True
) -> None:
    """Let a campaign in whose messages are counted in its row: if its account is a client's, it is that client's.

    It has the client's price of now. Without `daily` its messages may be too many for today: they wait.

    Raises:
        InsufficientBalance: the balance is not enough for it and for what waits already.
        DailyLimitReached: its messages are too many for today.
    """
    found = await _client_of(tx, account_id, lock=True)
    if found is None:
        return
    values = {"client_id": found.id, "price": found.price}
    await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(**values))
    await _judge(tx, found, now, opens_at=opens_at if daily else None)


async def admit_again(tx: AsyncConnection, client_id: str, now: float, *, opens_at: float) -> None:
    """Let in what a person has queued again, which is counted in its campaign's row; raises as `admit` does."""
    found = (await tx.execute(select(client).where(client.c.id == client_id).with_for_update())).one()
    await _judge(tx, found, now, opens_at=opens_at)


async def _client_of(connection: AsyncConnection, account_id: str, *, lock: bool = False) -> AnyRow | None:
    if account_id == LOCAL_ACCOUNT:  # nobody's
        return None
    return await client_of_account(connection, account_id, lock=lock)


async def _judge(
    connection: AsyncConnection, row: AnyRow, now: float, *, opens_at: float | None, more: int = 0, price: int = 0
) -> None:
    """Refuse what the client cannot pay, or may not send today; `opens_at` is None where today does not matter."""
    day_ends_at = row.day_ends_at if row.day_ends_at > now else day_end(now, row.timezone)
    pending = await _pending(connection, row.id, day_ends_at)
    cost = pending.cost + more * price
    if cost > row.balance and cost:
        have, need = f"{shown(row.balance)} {row.currency}", f"{shown(cost)} {row.currency}"
        raise InsufficientBalance(
            f"the balance is {have}, and {need} are needed for what waits to be sent together with this; "
            "nothing was queued"
        )
    if row.daily_limit is None or opens_at is None or opens_at >= day_ends_at:
        return
    sent = row.sent_today if row.day_ends_at > now else 0
    if sent + pending.today + more > row.daily_limit:
        raise DailyLimitReached(
            f"at most {row.daily_limit} messages a day ({row.timezone}): {sent} were sent today, and "
            f"{pending.today + more} would wait together with these; nothing was queued",
            retry_after=day_ends_at - now,
        )


async def _pending(connection: AsyncConnection, client_id: str, day_ends_at: float) -> Pending:
    is_cancelled = campaign.c.state == CampaignState.CANCELLED
    unsent = case((is_cancelled, campaign.c.n_sending), else_=campaign.c.n_queued + campaign.c.n_sending)
    may_leave = and_(
        campaign.c.opens_at < day_ends_at, or_(campaign.c.next_at.is_(None), campaign.c.next_at < day_ends_at)
    )
    today = case((may_leave, unsent), else_=campaign.c.n_sending)
    query = select(
        func.coalesce(func.sum(unsent * func.coalesce(campaign.c.price, 0)), 0),
        func.coalesce(func.sum(today), 0),
    ).where(campaign.c.client_id == client_id, campaign.c.state.in_(_LIVES))
    cost, count = (await connection.execute(query)).one()
    return Pending(int(cost), int(count))

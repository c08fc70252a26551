"""SQL of the operator's views."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.queries import COUNTERS
from campaigns.sending.tables import campaign, campaign_sender, lane, sender, server, session
from gateway.db import AnyRow


async def count_campaigns(connection: AsyncConnection) -> dict[str, int]:
    """Campaigns by state."""
    rows = await connection.execute(select(campaign.c.state, func.count()).group_by(campaign.c.state))
    return {row[0]: row[1] for row in rows}


async def count_messages(connection: AsyncConnection) -> dict[str, int]:
    """Messages by state, from the campaigns' counters: no message is read."""
    sums = [func.coalesce(func.sum(campaign.c[f"n_{name}"]), 0).label(name) for name in COUNTERS]
    row = (await connection.execute(select(*sums))).one()
    return {name: int(row._mapping[name]) for name in COUNTERS}


async def count_sent_today(connection: AsyncConnection, now: float) -> int:
    """How many messages WAHA took since midnight, in each sender's own time zone."""
    query = select(func.coalesce(func.sum(lane.c.sent_today), 0)).where(lane.c.day_ends_at > now)
    return int((await connection.execute(query)).scalar_one())


async def count_servers(connection: AsyncConnection) -> tuple[int, int]:
    """How many servers answer, and how many there are."""
    rows = (await connection.execute(select(server.c.up))).scalars().all()
    return sum(1 for up in rows if up), len(rows)


async def list_users(connection: AsyncConnection, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
    """A page of senders by number with what they did, and how many there are."""
    campaigns = (
        select(func.count()).where(campaign_sender.c.sender_id == sender.c.id).correlate(sender).scalar_subquery()
    )
    rows = await connection.execute(
        select(
            sender.c.number,
            sender.c.created_at,
            session.c.state,
            lane.c.message_delay,
            campaigns.label("campaigns"),
            func.coalesce(lane.c.sent_total, 0).label("messages_sent"),
        )
        .select_from(
            sender.outerjoin(session, session.c.sender_id == sender.c.id).outerjoin(
                lane, lane.c.sender_id == sender.c.id
            )
        )
        .order_by(sender.c.number)
        .offset(offset)
        .limit(limit)
    )
    total = (await connection.execute(select(func.count()).select_from(sender))).scalar_one()
    return rows.all(), total

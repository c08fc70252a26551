"""SQL of the overview. `account_id` is whose rows are looked at; None is everybody's."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import CampaignState
from campaigns.sending.queries import COUNTERS
from campaigns.sending.tables import campaign, lane, sender, server, session
from gateway.db import AnyRow
from sessions.models import SessionState
from sessions.queries import SESSION_COLUMNS

MOVING = (CampaignState.RUNNING, CampaignState.QUEUED, CampaignState.PAUSED)


def _whose(column: ColumnElement[str], account_id: str | None) -> ColumnElement[bool]:
    return true() if account_id is None else column == account_id


async def moving_campaigns(connection: AsyncConnection, account_id: str | None, limit: int) -> Sequence[AnyRow]:
    """Campaigns that run, wait or pause: those that run first, the newest of them first."""
    rank = case((campaign.c.state == CampaignState.RUNNING, 0), (campaign.c.state == CampaignState.QUEUED, 1), else_=2)
    query = (
        select(campaign)
        .where(
            campaign.c.finished_at.is_(None), campaign.c.state.in_(MOVING), _whose(campaign.c.account_id, account_id)
        )
        .order_by(rank, campaign.c.created_at.desc())
        .limit(limit)
    )
    return (await connection.execute(query)).all()


async def count_campaigns(connection: AsyncConnection, account_id: str | None) -> dict[str, int]:
    """Campaigns that have not ended, by state."""
    query = (
        select(campaign.c.state, func.count())
        .where(campaign.c.finished_at.is_(None), _whose(campaign.c.account_id, account_id))
        .group_by(campaign.c.state)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


async def totals(connection: AsyncConnection, account_id: str | None, since: float) -> dict[str, int]:
    """Messages by state, all of them as `total`, and how many were answered: of campaigns that had not ended at
    `since`.
    """
    names = (*(f"n_{name}" for name in COUNTERS), "n_replied", "total")
    sums = [func.coalesce(func.sum(campaign.c[name]), 0).label(name) for name in names]
    lately = or_(campaign.c.finished_at.is_(None), campaign.c.finished_at >= since)
    row = (await connection.execute(select(*sums).where(lately, _whose(campaign.c.account_id, account_id)))).one()
    return {name.removeprefix("n_"): int(row._mapping[name]) for name in names}


async def senders_by_need(
    connection: AsyncConnection, account_id: str | None, silent_since: float, limit: int
) -> Sequence[AnyRow]:
    """Senders with their sessions and what they sent today: first those in need, then those that nothing was heard of
    since then, then the others.
    """
    active = func.coalesce(session.c.last_active, session.c.paired_at)
    works = session.c.state == SessionState.CONNECTED
    needs = case(
        (works & (active < silent_since), 1), (works, 2), (session.c.state == SessionState.STOPPED, 3), else_=0
    )
    query = (
        select(*SESSION_COLUMNS, lane.c.sent_today, lane.c.day_ends_at, lane.c.daily_cap)
        .select_from(
            sender.join(session, session.c.sender_id == sender.c.id)
            .join(server, server.c.id == session.c.server_id)
            .outerjoin(lane, lane.c.sender_id == sender.c.id)
        )
        .where(_whose(sender.c.account_id, account_id))
        .order_by(needs, sender.c.number)
        .limit(limit)
    )
    return (await connection.execute(query)).all()


async def count_senders(connection: AsyncConnection, account_id: str | None) -> dict[str, int]:
    """Sessions by state."""
    query = (
        select(session.c.state, func.count())
        .select_from(session.join(sender, sender.c.id == session.c.sender_id))
        .where(_whose(sender.c.account_id, account_id))
        .group_by(session.c.state)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


async def servers(connection: AsyncConnection) -> Sequence[AnyRow]:
    """All servers by name, each with how many sessions it carries (`sessions`)."""
    carried = select(func.count()).where(session.c.server_id == server.c.id).correlate(server).scalar_subquery()
    return (await connection.execute(select(server, carried.label("sessions")).order_by(server.c.name))).all()

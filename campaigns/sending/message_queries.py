"""SQL of a campaign's messages, as people look at them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import MessageState
from campaigns.sending.tables import message, sender
from gateway.db import AnyRow


def _messages(campaign_id: str) -> Select[*tuple[Any, ...]]:
    return (
        select(message, sender.c.number.label("sender_number"))
        .outerjoin(sender, sender.c.id == message.c.sender_id)
        .where(message.c.campaign_id == campaign_id)
    )


async def list_messages(
    connection: AsyncConnection,
    campaign_id: str,
    states: Sequence[str],
    offset: int,
    limit: int,
    digits: Sequence[str] | None = None,
) -> Sequence[AnyRow]:
    """A page of a campaign's messages in their order; of some states only, if any are named.

    Where there are `digits`, only those to numbers that contain one of them.
    """
    query = _messages(campaign_id).where(*_that_are(states, digits))
    return (await connection.execute(query.order_by(message.c.seq).offset(offset).limit(limit))).all()


async def count_messages(
    connection: AsyncConnection, campaign_id: str, states: Sequence[str], digits: Sequence[str]
) -> int:
    """How many messages `list_messages` finds in all."""
    found = select(func.count()).select_from(message).where(message.c.campaign_id == campaign_id)
    return int((await connection.execute(found.where(*_that_are(states, digits)))).scalar_one())


def _that_are(states: Sequence[str], digits: Sequence[str] | None) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [message.c.state.in_(states)] if states else []
    if digits is not None:
        where.append(or_(false(), *(message.c.phone.contains(part, autoescape=True) for part in digits)))
    return where


async def unconfirmed_of(connection: AsyncConnection, campaign_id: str) -> Sequence[str]:
    """The ids of a campaign's messages of which nobody can tell whether they were sent, in their order."""
    found = await connection.execute(
        select(message.c.id)
        .where(
            message.c.campaign_id == campaign_id,
            literal_column("message.state IN ('failed', 'unconfirmed')"),
            message.c.state == MessageState.UNCONFIRMED,
        )
        .order_by(message.c.seq)
    )
    return found.scalars().all()


async def find_message(connection: AsyncConnection, campaign_id: str, message_id: str) -> AnyRow | None:
    """One message of a campaign."""
    return (await connection.execute(_messages(campaign_id).where(message.c.id == message_id))).first()


async def queued_before(
    connection: AsyncConnection, campaign_id: str, seq: int, now: float, limit: int, *, after: int = -1
) -> int:
    """How many messages before this place, and `after` that one, could leave now; not more than `limit` are counted."""
    some = (
        select(message.c.seq)
        .where(
            message.c.campaign_id == campaign_id,
            literal_column("message.state = 'queued'"),
            message.c.seq < seq,
            message.c.seq > after,
            message.c.not_before <= now,
        )
        .limit(limit)
        .subquery()
    )
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def times_ahead(connection: AsyncConnection, campaign_id: str, now: float) -> list[tuple[float, int]]:
    """How many messages that were never tried wait for which times of their own, the earliest first."""
    rows = await connection.execute(
        select(message.c.not_before, func.count())
        .where(
            message.c.campaign_id == campaign_id,
            literal_column("message.state = 'queued'"),
            literal_column("message.not_before > 0"),
            message.c.not_before > now,
            message.c.attempts == 0,
        )
        .group_by(message.c.not_before)
        .order_by(message.c.not_before)
    )
    return [(float(at), int(count)) for at, count in rows]

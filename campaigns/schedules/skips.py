"""Telling of those whom a schedule could not write to when it began: `message.failed`, for each of them.

The first of them are told in the transaction in which it begins, and so before anything that follows from that. Where
there are more, the schedule's row says from which message on nothing was told yet, and they follow some at a time: each
slice is told in the transaction that moves that mark, so once, in order, and by whoever goes on after a crash.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import ColumnElement, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules.following import schedule
from campaigns.sending.models import MessageState
from campaigns.sending.tables import message
from campaigns.sending.telling import Settled, tell_of_messages
from gateway.db import AnyRow, Database

log = structlog.get_logger()

TOLD_AT_ONCE = 500
"""So many are told in one transaction: the writer is held for some 10 ms."""

_IS_UNTOLD: ColumnElement[bool] = literal_column("schedule.untold_from IS NOT NULL")


async def tell_the_rest(db: Database, campaign_id: str) -> None:
    """Tell of all of whom nothing was told yet; somebody else who does the same meanwhile is left to it."""
    while (mark := await _mark(db, campaign_id)) is not None:
        async with db.read(bulk=True) as connection:
            rows = await _skipped_from(connection, campaign_id, mark)
        following = rows[-1].seq + 1 if len(rows) == TOLD_AT_ONCE else None
        async with db.write() as tx:
            if not await _move(tx, campaign_id, mark, following):
                return
            await tell_of_messages(tx, [_settled(campaign_id, row) for row in rows])


async def tell_what_was_left(db: Database) -> None:
    """As `tell_the_rest`, for schedules whose process has died meanwhile."""
    async with db.read() as connection:
        campaign_ids = (await connection.execute(select(schedule.c.campaign_id).where(_IS_UNTOLD))).scalars().all()
    for campaign_id in campaign_ids:
        await tell_the_rest(db, campaign_id)
        log.info("skipped_told", campaign_id=campaign_id)


async def _mark(db: Database, campaign_id: str) -> int | None:
    query = select(schedule.c.untold_from).where(schedule.c.campaign_id == campaign_id)
    async with db.read() as connection:
        mark: int | None = (await connection.execute(query)).scalar()
    return mark


async def _skipped_from(connection: AsyncConnection, campaign_id: str, seq: int) -> Sequence[AnyRow]:
    """Those that were skipped from the first; whoever is skipped later is told of then."""
    query = (
        select(message.c.seq, message.c.id, message.c.phone, message.c.error_code, message.c.error)
        .where(
            message.c.campaign_id == campaign_id,
            message.c.seq >= seq,
            message.c.state == MessageState.SKIPPED,
            message.c.finished_at == message.c.created_at,
        )
        .order_by(message.c.seq)
        .limit(TOLD_AT_ONCE)
    )
    return (await connection.execute(query)).all()


async def _move(tx: AsyncConnection, campaign_id: str, before: int, after: int | None) -> bool:
    """Move the mark; False if somebody else has."""
    ours = (schedule.c.campaign_id == campaign_id, schedule.c.untold_from == before)
    return (await tx.execute(update(schedule).where(*ours).values(untold_from=after))).rowcount == 1


def _settled(campaign_id: str, row: AnyRow) -> Settled:
    return Settled(row.id, campaign_id, row.phone, error_code=row.error_code or "", error=row.error or "")

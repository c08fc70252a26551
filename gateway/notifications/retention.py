"""Forgetting events that nobody can ask for any more, a slice at a time."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import Database
from gateway.ids import first_id
from gateway.notifications.listening import KEEP_SECONDS
from gateway.notifications.tables import counter, event, listener

SLICE = 2000
MARGIN_SECONDS = 60.0


async def forget_old(db: Database, now: float, needed: Sequence[ColumnElement[bool]] = ()) -> None:
    """Remove events older than an hour, but for those of which a condition of `needed` says that somebody needs them.

    Listeners whose time is over go, too.
    """
    before = first_id(now - KEEP_SECONDS - MARGIN_SECONDS)
    while await _forget_some(db, before, needed) == SLICE:
        pass
    async with db.write() as tx:
        await tx.execute(delete(listener).where(listener.c.until < now))


async def _forget_some(db: Database, before: str, needed: Sequence[ColumnElement[bool]]) -> int:
    async with db.write() as tx:
        removed = await _remove(tx, before, needed)
        if removed:
            last = max(removed)
            await tx.execute(
                update(counter).values(forgotten=case((counter.c.forgotten < last, last), else_=counter.c.forgotten))
            )
    return len(removed)


async def _remove(tx: AsyncConnection, before: str, needed: Sequence[ColumnElement[bool]]) -> Sequence[int]:
    some = (
        select(event.c.id)
        .where(event.c.id < before, event.c.sequence.is_not(None), *(~condition for condition in needed))
        .order_by(event.c.id)
        .limit(SLICE)
    )
    gone = await tx.execute(delete(event).where(event.c.id.in_(some)).returning(event.c.sequence))
    return [int(sequence) for sequence in gone.scalars().all()]

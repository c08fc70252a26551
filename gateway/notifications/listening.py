"""Beginning to listen: from when on nothing is missed, and what is still there of the last hour.

Events are written only for those who listen (`outbox.py`). A transaction of another replica may have looked for
listeners just before there was one, and commit later: what it did would be told to nobody. So on PostgreSQL whoever
begins to listen locks the table of listeners for a moment. That waits for all transactions that have looked, and later
ones find the new row. It waits a fifth of a second at most, because others wait behind it, and tries again.

A listener stays for an hour after its last socket has closed: a client that comes again in time has missed nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.batch import is_among, pack_values
from gateway.clock import Clock
from gateway.db import AnyRow, Database, DatabaseAway, read_now
from gateway.notifications.audience import Audience
from gateway.notifications.tables import counter, event, listener

KEEP_SECONDS = 3600.0
"""How long events are kept for those who come again."""
RENEW_SECONDS = 60.0
LOCK_MILLISECONDS = 200
TRIES = 15

_LIVE = select(
    listener.c.heard_after,
    listener.c.until,
    counter.c.last,
    counter.c.forgotten,
    func.gateway_now().label("now"),
).select_from(counter.outerjoin(listener, listener.c.key == bindparam("b_key")))
_RENEW = (
    update(listener)
    .where(is_among(listener.c.key, "keys", listener.c.key.type), listener.c.until > func.gateway_now())
    .values(until=func.gateway_now() + bindparam("b_seconds"))
    .returning(listener.c.key)
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client begins to hear: after `start`; `missed` says that it asked for more than there is."""

    start: int
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What there is for a listener: all events after `complete_after`, of which `last` is the newest."""

    complete_after: int
    last: int

    def place(self, since: int | None) -> Place:
        """Where a client begins that has heard all up to `since`; None is one that is new."""
        if since is None:
            return Place(self.last)
        if since > self.last:  # not a number of this database
            return Place(self.last, missed=True)
        return Place(max(since, self.complete_after), missed=since < self.complete_after)


async def enrol(db: Database, clock: Clock, audience: Audience) -> Enrolled:
    """Have the audience's events written from now on, if they are not.

    Raises:
        DatabaseAway: it cannot be done now.
    """
    async with db.read() as connection:
        row = (await connection.execute(_LIVE, {"b_key": audience.key})).one()
    if row.until is None or row.until < row.now + KEEP_SECONDS:
        row = await _begin(db, clock, audience)
    return Enrolled(max(row.heard_after or 0, row.forgotten), row.last)


async def _begin(db: Database, clock: Clock, audience: Audience) -> AnyRow:
    tries = 0
    while True:
        try:
            async with db.write() as tx:
                return await _write(tx, audience)
        except DatabaseAway:
            tries += 1
            if tries == TRIES:
                raise
            await clock.sleep(0.01 * tries)


async def _write(tx: AsyncConnection, audience: Audience) -> AnyRow:
    """Renew the audience's listener, or make one where there is none that listens now."""
    if await renew(tx, [audience.key]):
        return (await tx.execute(_LIVE, {"b_key": audience.key})).one()
    if tx.dialect.name == "postgresql":
        await tx.execute(text(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'"))
        await tx.execute(text("LOCK TABLE event_listener IN ACCESS EXCLUSIVE MODE"))
        if await renew(tx, [audience.key]):  # another replica was faster
            return (await tx.execute(_LIVE, {"b_key": audience.key})).one()
    last = (await tx.execute(select(counter.c.last))).scalar_one()
    until = await read_now(tx) + KEEP_SECONDS + 2 * RENEW_SECONDS
    await tx.execute(listener.delete().where(listener.c.key == audience.key))
    await tx.execute(insert(listener).values(key=audience.key, until=until, heard_after=last, **audience.listener()))
    return (await tx.execute(_LIVE, {"b_key": audience.key})).one()


async def renew(tx: AsyncConnection, keys: Collection[str]) -> set[str]:
    """Keep listeners for another hour; returns the keys of those that still were there."""
    values = {"keys": pack_values(sorted(keys)), "b_seconds": KEEP_SECONDS + 2 * RENEW_SECONDS}
    return set((await tx.execute(_RENEW, values)).scalars().all())


async def read_events(
    connection: AsyncConnection, after: int, limit: int, *, upto: int | None = None, audience: Audience | None = None
) -> Sequence[AnyRow]:
    """Numbered events in their order, after one number and up to another, for all or for an audience."""
    query = select(event).where(event.c.sequence > after).order_by(event.c.sequence).limit(limit)
    if upto is not None:
        query = query.where(event.c.sequence <= upto)
    if audience is not None:
        query = query.where(audience.condition())
    return (await connection.execute(query)).all()

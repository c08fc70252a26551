"""Numbering: what was written to the outbox gets its place in the one order in which everything is told.

Transactions commit in another order than they began, so no number that is given inside of them could be relied on:
somebody who has seen 8 would miss a 7 that is committed later. So events are numbered after their commit, without
gaps, in the order in which they were written as far as they are there: by whichever replica comes first, one at a
time, because it locks the counter. The same transaction hands them on to whoever delivers them (`fan_out`). After it
the bus tells this replica, and a hint the others.

What wakes it: a commit of this process that was marked (`gateway.db.announce`), and on PostgreSQL a look each second,
for a replica that has ended before it numbered what it wrote. A batch takes a transaction, then there is a rest, in
which others come together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import structlog
from sqlalchemy import BigInteger, bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.db import Database
from gateway.events import EventBus, EventsNumbered
from gateway.notifications.tables import counter, event

log = structlog.get_logger()

BATCH = 500
REST_SECONDS = 0.03
POLL_SECONDS = 1.0
AGAIN_SECONDS = 1.0

FanOut: TypeAlias = Callable[[AsyncConnection, int, int], Awaitable[None]]
"""Called in the transaction that numbers events, with the first and the last of their numbers."""

_LOCK = select(counter.c.last).with_for_update(skip_locked=True)
_new = (
    select(event.c.id, func.row_number().over(order_by=event.c.id).label("place"))
    .where(event.c.sequence.is_(None))
    .order_by(event.c.id)
    .limit(BATCH)
    .subquery("new")  # Python does not count the rows of a statement that begins with WITH
)
_NUMBER = (
    update(event).where(event.c.id == _new.c.id).values(sequence=bindparam("last", type_=BigInteger()) + _new.c.place)
)
_COUNT = update(counter).values(last=bindparam("last", type_=BigInteger()))
_ANY_NEW = select(event.c.id).where(event.c.sequence.is_(None)).limit(1)


class Numbering:
    """Numbers events, and hands them on."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock, fan_out: Sequence[FanOut] = ()) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._fan_out = tuple(fan_out)
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop, with what was left by whoever has ended."""
        self._db.told.set()
        self._loop = asyncio.create_task(self._run(), name="numbering")

    async def stop(self) -> None:
        """End; what has no number yet gets one from another replica, or at the next start."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def _run(self) -> None:
        while True:
            # nobody else writes to a SQLite file
            await self._clock.wait(self._db.told, None if self._db.is_sqlite else POLL_SECONDS)
            self._db.told.clear()
            try:
                done = await self.number()
            except (SQLAlchemyError, OSError) as error:
                log.warning("events_not_numbered", error=str(error), advice="they are told later")
                await self._pause(AGAIN_SECONDS)
            except Exception:  # whoever delivers them has failed: they wait, in their order
                log.exception("events_not_numbered", advice="they are told later")
                await self._pause(AGAIN_SECONDS)
            else:
                await self._clock.sleep(REST_SECONDS)
                if not done:
                    self._db.told.set()

    async def _pause(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._db.told.set()

    async def number(self) -> bool:
        """Number what is there, up to a batch; False if there may be more, or another replica is about it."""
        async with self._db.read() as connection:
            if (await connection.execute(_ANY_NEW)).first() is None:
                return True
        async with self._db.write() as tx:
            before = (await tx.execute(_LOCK)).scalar()
            if before is None:
                return False
            count = (await tx.execute(_NUMBER, {"last": before})).rowcount
            if count:
                await tx.execute(_COUNT, {"last": before + count})
            for hand_on in self._fan_out if count else ():
                await hand_on(tx, before + 1, before + count)
        if count:
            self._bus.publish(EventsNumbered())
        return count < BATCH

"""A key that stands for a request whose work is no single transaction: it is reserved first, and answered at the end.

While one request works, another one with its key waits for it on the same replica, and is told to ask again on another
one. What ends in an error stores nothing: the same key may try again. A process that dies in between leaves a
reservation that runs out, and then the work may be done a second time; so this is for what has the same effect done
twice as done once: to pause, to drain, to stop. What *makes* something stores its answer together with it: `keys.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import orjson
from sqlalchemy import ColumnElement, and_, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db import Database, read_now
from gateway.errors import Conflict
from gateway.idempotency.keys import Key, earlier, idempotency_key

RESERVED_SECONDS = 300.0
"""Longer than any such work takes."""
UNDER_WAY = "a request with this Idempotency-Key is under way; ask again in some seconds"
_table = idempotency_key


@dataclass(frozen=True, slots=True)
class _Reservation:
    """A key that is ours to answer, as its row stands."""

    key: Key
    at: float

    def row(self) -> ColumnElement[bool]:
        """The row, while it is still this reservation's."""
        mine = and_(_table.c.scope == self.key.scope, _table.c.key == self.key.key)
        return and_(mine, _table.c.response == "", _table.c.created_at == self.at)


class Steps:
    """Does what requests ask for, once for each key."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._under_way: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def once(self, key: Key, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """The earlier answer to this key, or what `work` gives, which is kept.

        Raises:
            Conflict: another replica is at it.
            ValidationFailed: the key was used for another request.
        """
        async with self._under_way.setdefault((key.scope, key.key), asyncio.Lock()):
            reservation = await self._reserve(key)
            if reservation is None:
                known = await earlier(self._db, key)
                if known is None:
                    raise Conflict(UNDER_WAY)
                return known.body
            try:
                answer = await work()
            except Exception:
                await self._release(reservation)
                raise
            await self._answer(reservation, answer)
            return answer

    async def _reserve(self, key: Key) -> _Reservation | None:
        """The key as ours; None if it was answered, or somebody is at it."""
        values = {"scope": key.scope, "key": key.key, "request_hash": key.digest, "response": ""}
        async with self._db.write() as tx:
            now = await read_now(tx)
            insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(_table)
            statement = insert.values(**values, created_at=now).on_conflict_do_update(
                index_elements=["scope", "key"],
                set_={"created_at": now},
                where=and_(
                    _table.c.response == "",
                    _table.c.request_hash == key.digest,
                    _table.c.created_at < now - RESERVED_SECONDS,
                ),
            )
            return _Reservation(key, now) if (await tx.execute(statement)).rowcount == 1 else None

    async def _answer(self, reservation: _Reservation, answer: dict[str, Any]) -> None:
        async with self._db.write() as tx:
            told = update(_table).where(reservation.row()).values(response=orjson.dumps(answer).decode())
            await tx.execute(told)

    async def _release(self, reservation: _Reservation) -> None:
        async with self._db.write() as tx:
            await tx.execute(delete(_table).where(reservation.row()))

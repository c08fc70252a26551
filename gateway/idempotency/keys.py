"""A key that stands for a request: the answer is stored together with what was made, in one transaction.

So there is no moment at which one is there without the other, whatever crashes. Of two requests with one key at the
same time the second waits for the first one's transaction, and gets its answer. What ends in an error stores nothing:
the same key may try again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import Database, table_of
from gateway.errors import FieldError, ValidationFailed
from gateway.idempotency.models import IdempotencyKey

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
KEY_SECONDS = 7 * 86_400
"""Longer than anybody tries again."""

idempotency_key = table_of(IdempotencyKey)


class AnsweredMeanwhile(Exception):
    """The same request with the same key was faster; this one's transaction is rolled back, and its answer given."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, whose it is (at most 80 characters), and the digest of the request that it stands for."""

    scope: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given; `status_code` is None where it was the route's own."""

    body: dict[str, Any]
    status_code: int | None = None


async def claim(tx: AsyncConnection, key: Key | None) -> None:
    """At the beginning of a transaction that may fail on what a request with the same key has just made.

    Raises:
        AnsweredMeanwhile: it has been answered. `once` gives that answer.
    """
    if key is not None and not await _store(tx, key, "", None):
        raise AnsweredMeanwhile


async def keep(tx: AsyncConnection, key: Key | None, body: Mapping[str, Any], status_code: int | None = None) -> None:
    """Store the answer, in the transaction that makes what it tells of.

    Raises:
        AnsweredMeanwhile: as in `claim`.
    """
    if key is not None and not await _store(tx, key, orjson.dumps(body).decode(), status_code):
        raise AnsweredMeanwhile


async def _store(tx: AsyncConnection, key: Key, response: str, status_code: int | None) -> bool:
    """False if another transaction was first; it is waited for."""
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(idempotency_key)
    values = {"scope": key.scope, "key": key.key, "request_hash": key.digest}
    statement = insert.values(**values, response=response, status_code=status_code, created_at=func.gateway_now())
    mine = idempotency_key.c.response == ""
    told = {"response": response, "status_code": status_code}
    statement = statement.on_conflict_do_update(index_elements=["scope", "key"], set_=told, where=mine)
    return (await tx.execute(statement)).rowcount == 1


async def once(db: Database, key: Key | None, make: Callable[[], Awaitable[dict[str, Any]]]) -> Answer:
    """The answer to a request: an earlier one to its key, or what `make` gives, which stores it by `keep`.

    Raises:
        ValidationFailed: the key was used for another request.
    """
    if key is not None and (known := await earlier(db, key)):
        return known
    try:
        return Answer(await make())
    except AnsweredMeanwhile:
        assert key is not None
        found = await earlier(db, key)
        assert found is not None, "it was stored a moment ago"
        return found


async def require_unanswered(db: Database, key: Key | None) -> None:
    """Before something that cannot be undone by a transaction.

    Raises:
        AnsweredMeanwhile: as in `claim`.
        ValidationFailed: the key was used for another request.
    """
    if key is not None and await earlier(db, key):
        raise AnsweredMeanwhile


async def earlier(db: Database, key: Key) -> Answer | None:
    """The answer that was given to a key, if it was answered; raises `ValidationFailed` as `once` does."""
    query = select(idempotency_key).where(idempotency_key.c.scope == key.scope, idempotency_key.c.key == key.key)
    async with db.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        return None
    if row.request_hash != key.digest:
        message = f"this {HEADER} was used for another request"
        raise ValidationFailed(message, errors=[FieldError(HEADER, message, "key_reused")])
    if not row.response:
        return None  # reserved: see `steps.py`
    return Answer(orjson.loads(row.response), row.status_code)


async def forget(tx: AsyncConnection, key: Key, body: Mapping[str, Any]) -> None:
    """Remove the answer to a key, where it is still this one: what it told of has come to nothing."""
    told = idempotency_key.c.response == orjson.dumps(body).decode()
    await tx.execute(
        delete(idempotency_key).where(idempotency_key.c.scope == key.scope, idempotency_key.c.key == key.key, told)
    )


async def forget_old(db: Database, now: float) -> None:
    """Remove what nobody asks for again at `now` (epoch seconds, by the database's clock)."""
    async with db.write(bulk=True) as tx:
        await tx.execute(delete(idempotency_key).where(idempotency_key.c.created_at < now - KEY_SECONDS))

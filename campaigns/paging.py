"""One page of a list and how long the list is; or the whole list, slice by slice."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, Database

T = TypeVar("T")

SLICE = 1_000
"""So many rows of a list that is read as a whole are in memory at once."""


async def fetch_page(
    connection: AsyncConnection,
    query: Select[*tuple[Any, ...]],
    offset: int,
    limit: int,
    counting: Select[*tuple[int]] | None = None,
) -> tuple[Sequence[AnyRow], int]:
    """The rows of `query` from `offset`, and how many it has in all.

    They are counted only where the page does not tell it. A search that finds little looks through the whole list for
    its page, one that finds much for its count: never both. `counting` is a shorter way to count, where there is one.
    """
    rows = (await connection.execute(query.offset(offset).limit(limit))).all()
    if 0 < len(rows) < limit or (not rows and offset == 0):
        return rows, offset + len(rows)
    if counting is None:
        counting = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    return rows, (await connection.execute(counting)).scalar_one()


async def in_slices(
    db: Database, fetch: Callable[[AsyncConnection, T | None], Awaitable[Sequence[T]]]
) -> AsyncIterator[Sequence[T]]:
    """A whole list, `SLICE` rows at a time: `fetch` gives those that follow the last one (None: the first ones).

    Each slice is a read of its own. Between them no connection is held, however slow whoever takes them is.
    """
    last: T | None = None
    while True:
        async with db.read() as connection:
            rows = await fetch(connection, last)
        if rows:
            yield rows
            last = rows[-1]
        if len(rows) < SLICE:
            return

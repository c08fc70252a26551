"""Looking through tables: a page of one, one row, or all that is wanted as slices for a file.

Nothing here changes anything. A page is there within some seconds whatever the table's length: where rows have to be
looked through one by one, it is as far as somebody came in that time, with a place to go on from.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Column as SqlColumn
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.tables import queries
from admin.console.tables.catalog import Catalog, DataTable, Kind
from admin.console.tables.queries import Order, Place
from admin.console.tables.wishes import BadWish, Op, Wish, read_key
from gateway.clock import Clock
from gateway.db import AnyRow, Database
from gateway.vault import Vault, VaultError

PER_PAGE = 25
MOST_COUNTED = 10_000
"""Tables of up to so many rows are counted, and sorted by whatever somebody wants."""
WINDOW_ROWS = 50_000
FILE_ROWS = 1_000
LOOKING_SECONDS = 2.0
"""How long rows are looked through for one page."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are: at least `rows`, and no more unless `is_more`."""

    rows: int
    is_more: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A page of rows, in the order of the columns.

    `after` is where the next page begins (empty: this is the last one). With `unfinished` there may be more of what was
    looked for among the rows from there on. `sortable` are the columns that can be sorted by. `refused_sort` is one
    that was wanted and cannot.
    """

    rows: Sequence[AnyRow]
    count: Count | None
    after: str
    unfinished: bool
    sort: str
    descending: bool
    sortable: frozenset[str]
    refused_sort: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to go about it: `quick` conditions are those that an index finds, `slow` the others."""

    order: Order
    quick: list[ColumnElement[bool]]
    slow: list[ColumnElement[bool]]
    sortable: frozenset[str]
    refused_sort: str


class Browser:
    """Reads the tables of `catalog`."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self.catalog = Catalog()
        self._db = db
        self._vault = vault
        self._clock = clock

    async def counts(self) -> dict[str, Count]:
        """How many rows each table has."""
        tables = list(self.catalog.tables.values())
        async with self._db.read() as connection:
            found = await queries.count_each(connection, tables, MOST_COUNTED)
        return {name: _count(rows) for name, rows in found.items()}

    async def page(self, table: DataTable, wish: Wish) -> Found:
        """Some rows of a table.

        Raises:
            BadWish: the place to go on from is none of this list.
        """
        async with self._db.read(bulk=True) as connection:
            size = await queries.count_up_to(connection, table, [], MOST_COUNTED)
            plan = _plan(table, wish, is_small=size <= MOST_COUNTED)
            named = await self._named(connection, table, wish, plan)
            if named is not None:
                return Found([named], Count(1, False), "", False, *_sorting(plan))
            count = await self._count(connection, table, wish, plan, size)
            rows, place, unfinished = await self._look(connection, table, plan, self._opened(table, plan, wish.after))
        if count is None and place is None and not wish.after:
            count = Count(len(rows), False)
        after = "" if place is None else self._sealed(table, plan, place)
        return Found(rows, count, after, unfinished, *_sorting(plan))

    async def row(self, table: DataTable, said: dict[str, str]) -> AnyRow | None:
        """The row whose key was said by column; None where there is none, or can be none."""
        try:
            key = [read_key(table.columns[column.name], said[column.name]) for column in table.key]
        except (KeyError, BadWish):
            return None
        async with self._db.read() as connection:
            return await queries.find(connection, table, Order(table.key, False), key)

    async def slices(self, table: DataTable, wish: Wish) -> AsyncIterator[Sequence[AnyRow]]:
        """All rows that are wanted, in order. Each slice is a read of its own; some may be empty."""
        async with self._db.read() as connection:
            size = await queries.count_up_to(connection, table, [], MOST_COUNTED)
        plan = _plan(table, wish, is_small=size <= MOST_COUNTED)
        after: Place | None = None
        while True:
            async with self._db.read(bulk=True) as connection:
                end = await queries.window_end(connection, table, plan.order, plan.quick, after, FILE_ROWS)
                yield await queries.page(connection, table, plan.order, plan.quick + plan.slow, after, end, None)
            if end is None:
                return
            after = end

    async def _named(self, connection: AsyncConnection, table: DataTable, wish: Wish, plan: _Plan) -> AnyRow | None:
        """The row whose identifier is searched for, and nothing else."""
        identifier = queries.as_identifier(wish.search)
        is_key = (
            len(table.key) == 1 and table.has_rows_of_their_own and table.columns[table.key[0].name].kind is Kind.ID
        )
        if identifier is None or not is_key or wish.filters:
            return None
        return await queries.find(connection, table, plan.order, [identifier])

    async def _count(
        self, connection: AsyncConnection, table: DataTable, wish: Wish, plan: _Plan, size: int
    ) -> Count | None:
        if not wish.is_narrow:
            return _count(size)
        if plan.slow and size > MOST_COUNTED:
            return None
        return _count(await queries.count_up_to(connection, table, plan.quick + plan.slow, MOST_COUNTED))

    async def _look(
        self, connection: AsyncConnection, table: DataTable, plan: _Plan, after: Place | None
    ) -> tuple[list[AnyRow], Place | None, bool]:
        """Rows for a page, where to go on (None: that was all), and whether the time was over before it was full."""
        ends_at = self._clock.monotonic() + LOOKING_SECONDS
        rows: list[AnyRow] = []
        while True:
            end = None
            if plan.slow:
                end = await queries.window_end(connection, table, plan.order, plan.quick, after, WINDOW_ROWS)
            wanted = PER_PAGE + 1 - len(rows)
            rows += await queries.page(connection, table, plan.order, plan.quick + plan.slow, after, end, wanted)
            if len(rows) > PER_PAGE:
                return rows[:PER_PAGE], plan.order.place(rows[PER_PAGE - 1]), False
            if end is None:
                return rows, None, False
            if self._clock.monotonic() > ends_at:
                return rows, end, True
            after = end

    def _sealed(self, table: DataTable, plan: _Plan, place: Place) -> str:
        """A place as an address may hold it: keys may be secrets."""
        return self._vault.encrypt(orjson.dumps([table.name, *_order_word(plan.order), list(place)]).decode())

    def _opened(self, table: DataTable, plan: _Plan, after: str) -> Place | None:
        if not after:
            return None
        try:
            *order, place = orjson.loads(self._vault.decrypt(after))
        except VaultError:
            raise BadWish("This page is not there any more. Begin with the first one.") from None
        if order != [table.name, *_order_word(plan.order)]:
            raise BadWish("This page belongs to another order. Begin with the first one.")
        return list(place)


def _count(rows: int) -> Count:
    return Count(min(rows, MOST_COUNTED), rows > MOST_COUNTED)


def _order_word(order: Order) -> list[Any]:
    return [order.columns[0].name, order.descending]


def _sorting(plan: _Plan) -> tuple[str, bool, frozenset[str], str]:
    return plan.order.columns[0].name, plan.order.descending, plan.sortable, plan.refused_sort


def _plan(table: DataTable, wish: Wish, *, is_small: bool) -> _Plan:
    told = {one.column.name for one in wish.filters if one.op is Op.IS}
    helping = _helped_by_index(table, told)
    quick = [queries.condition(one) for one in wish.filters if one.op is Op.IS and one.column.name in helping]
    slow = [queries.condition(one) for one in wish.filters if one.op is not Op.IS or one.column.name not in helping]
    if wish.search:
        slow.append(queries.search(table, wish.search))
    plain = {name for name, column in table.columns.items() if column.kind not in (Kind.FILE, Kind.FOLDED)}
    sortable = frozenset(plain if is_small else plain & _in_order(table, helping))
    if wish.sort in sortable:
        order = _order(table, table.columns[wish.sort].stored, descending=wish.descending)
    else:
        order = _natural_order(table, helping, is_small=is_small)
    refused = wish.sort if wish.sort and wish.sort not in sortable else ""
    return _Plan(order, quick, slow, sortable, refused)


def _helped_by_index(table: DataTable, told: set[str]) -> set[str]:
    """The columns of `told` with which an index begins."""
    return {name for index in table.indexes for name in index[: _leading(index, told)]}


def _leading(index: Sequence[str], told: set[str]) -> int:
    """With how many of these columns an index begins."""
    return next((place for place, name in enumerate(index) if name not in told), len(index))


def _in_order(table: DataTable, told: set[str]) -> set[str]:
    """The columns by which an index has the rows in order, those of `told` being the same in all."""
    following = {index[_leading(index, told)] for index in table.indexes if _leading(index, told) < len(index)}
    return {name for name in following if not table.stored.columns[name].nullable}


def _order(table: DataTable, first: SqlColumn[Any], *, descending: bool) -> Order:
    return Order((first, *(column for column in table.key if column.name != first.name)), descending)


def _natural_order(table: DataTable, told: set[str], *, is_small: bool) -> Order:
    """The newest first where that can be told, and never by what no index has in order where there are many."""
    for index in table.indexes if told else ():
        place = _leading(index, told)
        if 0 < place < len(index) and not table.stored.columns[index[place]].nullable:
            return _order(table, table.stored.columns[index[place]], descending=True)
    times = [one.stored for one in table.columns.values() if one.kind is Kind.TIME and not one.stored.nullable]
    if not table.has_rows_of_their_own and times and is_small:
        return _order(table, times[0], descending=True)
    first = table.columns.get(table.key[0].name)
    return Order(table.key, first is not None and first.kind in (Kind.ID, Kind.NUMBER, Kind.TIME))

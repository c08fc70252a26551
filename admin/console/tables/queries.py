"""The statements by which tables are looked through: in slices that end by themselves, however long a table is.

Rows are read in an order that ends with the key, from one row to another one, never by counting rows off. What no index
helps to find is looked for in a window of so many rows at a time: the whole of a long table is never read at once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column as SqlColumn
from sqlalchemy import ColumnElement, Select, and_, false, func, literal, not_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.tables.catalog import DataColumn, DataTable, Kind
from admin.console.tables.wishes import Filter, Op
from gateway.db import AnyRow
from gateway.folding import contains, fold

Place = Sequence[Any]
"""Where a row stands in an order: the values of its columns."""

_LIKE_A_NUMBER = re.compile(r"^\+?[\d\s().\-]{3,}$")


@dataclass(frozen=True, slots=True)
class Order:
    """Columns to sort by, the key last, so that each row has a place of its own.

    Only the first may be empty: such rows come last, whichever way it goes.
    """

    columns: tuple[SqlColumn[Any], ...]
    descending: bool

    def clauses(self) -> list[ColumnElement[Any]]:
        """What stands behind ORDER BY."""
        turned: list[ColumnElement[Any]] = [one.desc() if self.descending else one.asc() for one in self.columns]
        return [self.columns[0].is_(None), *turned] if self.columns[0].nullable else turned

    def behind(self, place: Place) -> ColumnElement[bool]:
        """Whether a row comes after a place."""
        first, *rest = self.columns
        if not first.nullable:
            return self._compare(self.columns, place)
        if place[0] is None:
            return and_(first.is_(None), self._compare(rest, place[1:]))
        return or_(first.is_(None), self._compare(self.columns, place))

    def _compare(self, columns: Sequence[SqlColumn[Any]], values: Place) -> ColumnElement[bool]:
        told = [literal(value, column.type) for column, value in zip(columns, values, strict=True)]
        if len(columns) == 1:
            return columns[0] < told[0] if self.descending else columns[0] > told[0]
        here, there = tuple_(*columns), tuple_(*told)
        return here < there if self.descending else here > there

    def place(self, row: AnyRow) -> list[Any]:
        """Where a row of `page` stands."""
        return list(row[-len(self.columns) :])


async def count_up_to(
    connection: AsyncConnection, table: DataTable, conditions: Sequence[ColumnElement[bool]], most: int
) -> int:
    """How many rows fulfil all conditions, counted to `most` + 1."""
    some = select(literal(1)).select_from(table.stored).where(*conditions).limit(most + 1).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def count_each(connection: AsyncConnection, tables: Sequence[DataTable], most: int) -> dict[str, int]:
    """How many rows each table has, counted to `most` + 1."""
    parts: list[ColumnElement[Any]] = []
    for table in tables:
        some = select(literal(1)).select_from(table.stored).limit(most + 1).subquery()
        parts.append(select(func.count()).select_from(some).scalar_subquery().label(table.name))
    row = (await connection.execute(select(*parts))).one()
    return dict(zip([table.name for table in tables], row, strict=True))


async def window_end(
    connection: AsyncConnection,
    table: DataTable,
    order: Order,
    conditions: Sequence[ColumnElement[bool]],
    after: Place | None,
    rows: int,
) -> list[Any] | None:
    """The place of the last of the `rows` rows behind `after`; None where there are not so many."""
    query = select(*order.columns).where(*conditions, *_limits(order, after, None))
    found = await connection.execute(query.order_by(*order.clauses()).offset(rows - 1).limit(1))
    row = found.first()
    return None if row is None else list(row)


async def page(
    connection: AsyncConnection,
    table: DataTable,
    order: Order,
    conditions: Sequence[ColumnElement[bool]],
    after: Place | None,
    end: Place | None,
    limit: int | None,
) -> Sequence[AnyRow]:
    """The rows behind `after` and up to `end` that fulfil the conditions; behind their columns stands their place."""
    query = _rows(table, order).where(*conditions, *_limits(order, after, end)).order_by(*order.clauses())
    return (await connection.execute(query.limit(limit) if limit else query)).all()


async def find(connection: AsyncConnection, table: DataTable, order: Order, key: Place) -> AnyRow | None:
    """The row with this key, as `page` gives it."""
    same = [column == value for column, value in zip(table.key, key, strict=True)]
    return (await connection.execute(_rows(table, order).where(*same))).first()


def _rows(table: DataTable, order: Order) -> Select[*tuple[Any, ...]]:
    shown = [column.read for column in table.columns.values()]
    return select(*shown, *(column.label(f"place_{index}") for index, column in enumerate(order.columns)))


def _limits(order: Order, after: Place | None, end: Place | None) -> list[ColumnElement[bool]]:
    limits = [] if after is None else [order.behind(after)]
    return limits if end is None else [*limits, not_(order.behind(end))]


def search(table: DataTable, text: str) -> ColumnElement[bool]:
    """Whether a row has a text anywhere: in a text or a number of a phone, or as an identifier."""
    looks = [_holds(column, text) for column in table.columns.values()]
    return or_(false(), *(look for look in looks if look is not None))


def as_identifier(text: str) -> str | None:
    """A text as an identifier, if it is one."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _holds(column: DataColumn, text: str) -> ColumnElement[bool] | None:
    stored = column.stored
    match column.kind:
        case Kind.TEXT:
            return stored.icontains(text, autoescape=True)
        case Kind.FOLDED:
            return contains(stored, fold(text))
        case Kind.PHONE if _LIKE_A_NUMBER.match(text):
            return stored.contains(re.sub(r"\D", "", text), autoescape=True)
        case Kind.ID:
            identifier = as_identifier(text)
            return None if identifier is None else stored == identifier
    return None


def condition(one: Filter) -> ColumnElement[bool]:
    """A filter as SQL."""
    stored, value = one.column.stored, one.value
    same = literal(value, stored.type)
    made: ColumnElement[bool]
    match one.op:
        case Op.IS:
            made = stored == same
        case Op.IS_NOT:
            made = stored.is_distinct_from(same)
        case Op.FROM:
            made = stored >= same
        case Op.TO:
            made = stored <= same
        case Op.STARTS:
            made = stored.istartswith(value, autoescape=True)
        case Op.HAS if one.column.kind is Kind.FOLDED:
            made = contains(stored, fold(value))
        case Op.HAS:
            made = stored.icontains(value, autoescape=True)
        case Op.EMPTY:
            made = _is_empty(one.column)
        case Op.FILLED:
            made = not_(_is_empty(one.column))
    return made


def _is_empty(column: DataColumn) -> ColumnElement[bool]:
    stored = column.stored
    if column.kind in (Kind.TEXT, Kind.PHONE):
        return func.coalesce(stored, "") == ""
    return stored.is_(None)

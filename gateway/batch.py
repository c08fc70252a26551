"""Many rows in one statement: a list of rows travels as one JSON parameter, and SQL reads it as a table.

What `executemany` does costs a call of the driver and a set of named parameters for each row; on the way of every
message that is more than the database's own work. And a list of ids as JSON is the same statement whatever its length.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import orjson
from sqlalchemy import Boolean, ColumnElement, Select, Subquery, Text, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine


class _Items(FunctionElement[Any]):
    """The items of a JSON list, as rows of one column."""

    name = "gateway_items"
    inherit_cache = True


@compiles(_Items, "sqlite")
def _items_on_sqlite(element: _Items, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Items, "postgresql")
def _items_on_postgresql(element: _Items, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **options)} AS jsonb))"


def batch(name: str, /, **columns: TypeEngine[Any]) -> Subquery:
    """A table of `columns`, in this order, whose rows are given to the statement as parameter `name` by `pack`."""
    items = _Items(bindparam(name, type_=Text())).table_valued("value", name=f"{name}_items")
    fields = [_Field(items.c.value, place, kind).label(key) for place, (key, kind) in enumerate(columns.items())]
    return select(*fields).subquery(name)


def among(name: str, kind: TypeEngine[Any]) -> Select[Any]:
    """The values of a list that is given as parameter `name` by `pack_values`, as rows."""
    items = _Items(bindparam(name, type_=Text())).table_valued("value", name=f"{name}_items")
    return select(_Field(items.c.value, None, kind))


def is_among(value: ColumnElement[Any], name: str, kind: TypeEngine[Any]) -> ColumnElement[bool]:
    """Whether a value is one of a list that is given as parameter `name` by `pack_values`.

    PostgreSQL makes the list first, and looks it up in an index. `IN` would be a join with a list whose length it can
    only guess: then it may read the whole table, and compare each of its rows with each of the list.
    """
    return _IsAmong(value, among(name, kind).scalar_subquery())


def pack(rows: Iterable[Sequence[Any]]) -> str:
    """The rows of a `batch`: texts, numbers, booleans and None."""
    return orjson.dumps(list(rows)).decode()


def pack_values(values: Iterable[Any]) -> str:
    """The values for `among` and `is_among`."""
    return orjson.dumps(list(values)).decode()


class _Field(FunctionElement[Any]):
    """One value of an item: the item itself, or what stands at `place` in it."""

    name = "gateway_field"
    _traverse_internals = [  # noqa: RUF012 - as its base class declares it
        *FunctionElement._traverse_internals,
        ("place", InternalTraversal.dp_plain_obj),
        ("type", InternalTraversal.dp_type),
    ]

    def __init__(self, item: ColumnElement[Any], place: int | None, kind: TypeEngine[Any]) -> None:
        super().__init__(item)
        self.place = place
        self.type = kind


@compiles(_Field, "sqlite")
def _field_on_sqlite(element: _Field, compiler: SQLCompiler, **options: Any) -> str:
    item = compiler.process(element.clauses, **options)
    return item if element.place is None else f"json_extract({item}, '$[{element.place}]')"


@compiles(_Field, "postgresql")
def _field_on_postgresql(element: _Field, compiler: SQLCompiler, **options: Any) -> str:
    item = compiler.process(element.clauses, **options)
    kind = compiler.dialect.type_compiler_instance.process(element.type)
    text = f"{item} #>> '{{}}'" if element.place is None else f"{item} ->> {element.place}"
    return f"CAST({text} AS {kind})"


class _IsAmong(FunctionElement[bool]):
    """Whether the first operand is among the rows of the second, which is a subquery."""

    name = "gateway_is_among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """It is a comparison as it stands: with the `= 1` that functions get on SQLite it would use no index."""
        return self


@compiles(_IsAmong, "sqlite")
def _is_among_on_sqlite(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{value} IN {values}"


@compiles(_IsAmong, "postgresql")
def _is_among_on_postgresql(element: _IsAmong, compiler: SQLCompiler, **options: Any) -> str:
    value, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{value} = ANY (ARRAY{values})"

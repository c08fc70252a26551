"""What somebody wants to see of a table, as its address says it: what is searched for, filters, order, columns, place.

An address can be shared, and holds nothing that is not shown on the page anyway: where to go on is sealed.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import BigInteger, Integer
from starlette.datastructures import QueryParams

from admin.console.tables.catalog import DataColumn, DataTable, Kind

MOST_FILTERS = 10
MOST_CHARACTERS = 200
YES_NO = {"yes": True, "no": False}


class BadWish(Exception):
    """Something in the address cannot be understood; the message is a sentence."""


class Op(StrEnum):
    """How a filter compares."""

    IS = "is"
    IS_NOT = "not"
    HAS = "has"
    STARTS = "starts"
    FROM = "from"
    TO = "to"
    EMPTY = "empty"
    FILLED = "filled"


VALUELESS = (Op.EMPTY, Op.FILLED)
OPS: Mapping[Kind, tuple[Op, ...]] = {
    Kind.TEXT: (Op.HAS, Op.IS, Op.IS_NOT, Op.STARTS, Op.EMPTY, Op.FILLED),
    Kind.FOLDED: (Op.HAS,),
    Kind.CHOICE: (Op.IS, Op.IS_NOT),
    Kind.PHONE: (Op.HAS, Op.IS, Op.IS_NOT, Op.EMPTY, Op.FILLED),
    Kind.NUMBER: (Op.IS, Op.IS_NOT, Op.FROM, Op.TO, Op.EMPTY, Op.FILLED),
    Kind.TIME: (Op.FROM, Op.TO, Op.EMPTY, Op.FILLED),
    Kind.YES_NO: (Op.IS,),
    Kind.ID: (Op.IS, Op.IS_NOT, Op.EMPTY, Op.FILLED),
    Kind.FILE: (),
}
_WORDS = {
    Op.IS: "is",
    Op.IS_NOT: "is not",
    Op.HAS: "contains",
    Op.STARTS: "starts with",
    Op.FROM: "is at least",
    Op.TO: "is at most",
    Op.EMPTY: "is empty",
    Op.FILLED: "is not empty",
}
_TIME_WORDS = {Op.FROM: "since", Op.TO: "until"}


def word_of(op: Op, kind: Kind) -> str:
    """A comparison in words."""
    return (_TIME_WORDS.get(op) if kind is Kind.TIME else None) or _WORDS[op]


@dataclass(frozen=True, slots=True)
class Filter:
    """One comparison; `text` is the value as it was typed, `value` as the column has it."""

    column: DataColumn
    op: Op
    text: str
    value: Any

    @property
    def address(self) -> str:
        """As it stands in an address."""
        return f"{self.column.name}.{self.op}.{self.text}"

    @property
    def words(self) -> str:
        """As people read it."""
        said = f" {self.text}" if self.op not in VALUELESS else ""
        return f"{self.column.name} {word_of(self.op, self.column.kind)}{said}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to show of one table. Without a `sort` it is the order that the table has; `after` is sealed."""

    search: str = ""
    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = False
    columns: tuple[str, ...] = ()
    after: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether only some rows are wanted."""
        return bool(self.search or self.filters)

    def pairs(self) -> list[tuple[str, str]]:
        """The names and values of the address, for links and for the hidden fields of forms."""
        told = [("f", one.address) for one in self.filters]
        told += [("q", self.search)] if self.search else []
        told += [("sort", f"{'-' if self.descending else ''}{self.sort}")] if self.sort else []
        told += [("col", name) for name in self.columns]
        return told + ([("after", self.after)] if self.after else [])

    def pairs_without(self, *names: str) -> list[tuple[str, str]]:
        """As `pairs`, without some of them, and from the first row on."""
        return [(name, value) for name, value in self.pairs() if name not in (*names, "after")]

    def query(self) -> str:
        """The query of its address, with the question mark; empty where nothing is special."""
        told = urlencode(self.pairs())
        return f"?{told}" if told else ""

    def after_that(self, after: str) -> "Wish":
        """The rows that follow."""
        return replace(self, after=after)

    def from_the_start(self) -> "Wish":
        """The first rows."""
        return replace(self, after="")

    def without(self, unwanted: Filter) -> "Wish":
        """With a filter less, from the first row on."""
        return replace(self, filters=tuple(one for one in self.filters if one != unwanted), after="")

    def plus(self, wanted: Filter) -> "Wish":
        """With a filter more, from the first row on."""
        return replace(self, filters=(*self.filters, wanted), after="")

    def sorted_by(self, name: str, *, descending: bool) -> "Wish":
        """Sorted otherwise, from the first row on."""
        return replace(self, sort=name, descending=descending, after="")


def read_wish(table: DataTable, params: QueryParams) -> Wish:
    """What an address asks for.

    Raises:
        BadWish: something in it cannot be understood.
    """
    said = params.getlist("f")
    if len(said) > MOST_FILTERS:
        raise BadWish(f"There are at most {MOST_FILTERS} filters.")
    sort = params.get("sort", "")
    name = sort.removeprefix("-")
    if sort:
        _column(table, name)
    columns = tuple(_column(table, one).name for one in dict.fromkeys(params.getlist("col")))
    search = _plain(params.get("q", "").strip())
    return Wish(search, tuple(_filters(table, said)), name, sort.startswith("-"), columns, params.get("after", ""))


def _filters(table: DataTable, said: Iterable[str]) -> Iterable[Filter]:
    for one in dict.fromkeys(said):
        name, _, rest = one.partition(".")
        op, _, text = rest.partition(".")
        yield read_filter(table, name, op, text)


def read_filter(table: DataTable, name: str, op: str, text: str) -> Filter:
    """A filter as it was typed.

    Raises:
        BadWish: there is no such column, it cannot be compared so, or its values are none like this.
    """
    column = _column(table, name)
    if op not in OPS[column.kind]:
        raise BadWish(f"{name} cannot be compared like that.")
    text = "" if op in VALUELESS else _plain(text.strip())
    value = None if op in VALUELESS else read_value(column, text)
    return Filter(column, Op(op), text, value)


def _column(table: DataTable, name: str) -> DataColumn:
    if name not in table.columns:
        raise BadWish("There is no such column to choose.")
    return table.columns[name]


def _plain(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise BadWish(f"There is room for {MOST_CHARACTERS} characters.")
    if "\0" in text:  # PostgreSQL stores none
        raise BadWish("This text cannot be searched for.")
    return text


def read_value(column: DataColumn, text: str) -> Any:
    """A typed value as the column has it.

    Raises:
        BadWish: the column has no values like this.
    """
    match column.kind:
        case Kind.TIME:
            seconds = _time(column.name, text)
            return int(seconds) if isinstance(column.stored.type, Integer) else seconds
        case Kind.NUMBER:
            return _number(column, text)
        case Kind.ID:
            return _identifier(column.name, text)
        case Kind.YES_NO:
            if text.lower() not in YES_NO:
                raise BadWish(f"{column.name} is either yes or no.")
            return YES_NO[text.lower()]
        case Kind.CHOICE:
            if text not in column.choices:
                raise BadWish(f"{column.name} is one of {', '.join(column.choices)}.")
        case Kind.PHONE:
            digits = re.sub(r"\D", "", text)
            if not digits:
                raise BadWish(f"{column.name} is a phone number.")
            return digits
        case _ if not text:
            raise BadWish(f"Say what {column.name} is compared with.")
    return text


def read_key(column: DataColumn, text: str) -> Any:
    """A part of a row's key, as an address has it.

    Raises:
        BadWish: there is no row like this.
    """
    match column.kind:
        case Kind.NUMBER | Kind.TIME:
            return _number(column, text)
        case Kind.ID:
            return _identifier(column.name, text)
    if "\0" in text:
        raise BadWish("No key has that.")
    return text


def _time(name: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadWish(f"{name} is a time, such as 2026-11-21 or 2026-11-21 14:30 (UTC).") from None


def _number(column: DataColumn, text: str) -> float | int:
    kind = column.stored.type
    try:
        if not isinstance(kind, Integer):
            value = float(text)
            if not math.isfinite(value):
                raise ValueError
            return value
        whole = int(text)
    except ValueError:
        raise BadWish(f"{column.name} is a number.") from None
    if abs(whole) >= 2 ** (63 if isinstance(kind, BigInteger) else 31):
        raise BadWish(f"{column.name} is never that large.")
    return whole


def _identifier(name: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise BadWish(f"{name} is an identifier of 36 characters.") from None

"""Values as pages and files show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from admin.console.tables.catalog import Catalog, DataColumn, DataTable, Kind
from gateway.db import AnyRow
from gateway.http.csv_stream import Cell
from sessions.schemas import in_utc

HOME = "/console/data"
NEVER = 1e11
"""Times from here on stand for one that never comes; the year is 5138."""


_FORMS = {Kind.TIME: "time", Kind.CHOICE: "state", Kind.PHONE: "phone"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One value: how its template draws it (`form`), and where it leads."""

    name: str
    form: str
    value: Any
    link: str = ""

    @property
    def short(self) -> Any:
        """The value for a list, where an identifier need not be whole."""
        return _short(str(self.value)) if self.link else self.value


def address_of(table: DataTable, row: AnyRow) -> str:
    """The page of a row; empty where its table's rows have none."""
    if not table.has_rows_of_their_own:
        return ""
    return f"{HOME}/{table.name}/row?{urlencode([(column.name, row._mapping[column.name]) for column in table.key])}"


def name_of(table: DataTable, row: AnyRow) -> str:
    """What tells a row from the others of its table, in short."""
    return " · ".join(_short(str(row._mapping[column.name])) for column in table.key)


def _short(text: str) -> str:
    """Of an identifier, or what is as long as one, both ends."""
    return f"{text[:8]}…{text[-6:]}" if len(text) > 30 else text


def shown(catalog: Catalog, column: DataColumn, value: Any) -> Shown:
    """A value of a column."""
    if value is None or value == "":
        return Shown(column.name, "nothing", None)
    link = _lead(catalog, column, value)
    form, told = ("lead", value) if link else _told(column, value)
    return Shown(column.name, form, told, link)


def _told(column: DataColumn, value: Any) -> tuple[str, Any]:
    """How a value is drawn, and what of it."""
    form, told = _FORMS.get(column.kind, "plain"), value
    match column.kind:
        case Kind.TIME if not 0 < value < NEVER:
            form, told = "plain", "never" if value else "–"
        case Kind.YES_NO:
            told = "yes" if value else "no"
        case Kind.FILE:
            told = f"{value:,} bytes"
    return form, told


def _lead(catalog: Catalog, column: DataColumn, value: Any) -> str:
    if column.leads_to is None or value == "*":  # which stands for every account
        return ""
    (key,) = catalog.tables[column.leads_to].key
    return f"{HOME}/{column.leads_to}/row?{urlencode({key.name: value})}"


def in_file(columns: Sequence[DataColumn], row: AnyRow) -> list[Cell]:
    """A row of a file: times in UTC, numbers of phones as digits."""
    return [_cell(column, row._mapping[column.name]) for column in columns]


def _cell(column: DataColumn, value: Any) -> Cell:
    if value is None:
        return None
    if column.kind is Kind.TIME:
        return in_utc(value) if 0 < value < NEVER else None
    if column.kind is Kind.YES_NO:
        return "yes" if value else "no"
    return value if isinstance(value, int) else str(value)


def pretty(value: Any) -> str:
    """A text; what is JSON with its parts below each other."""
    text = str(value)
    if text[:1] not in ("{", "["):
        return text
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return text

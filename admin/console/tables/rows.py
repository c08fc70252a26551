"""One row: all of its values, what can be done to its state, what was done, and where else it is named."""

from typing import Any

from admin.actions.router import PATH as ACTIONS
from admin.actions.verbs import Subject, verbs_for
from admin.console.door import Visitor
from admin.console.forms import Errors
from admin.console.own_api import OwnApi
from admin.console.tables.browsing import Browser
from admin.console.tables.catalog import DataTable
from admin.console.tables.shown import HOME, address_of, name_of, pretty, shown
from admin.console.tables.wishes import Filter, Op, Wish
from gateway.db import AnyRow
from gateway.errors import NotFound

LINES = 20
"""So many lines of its history the page of a row shows."""
NOTHING_ASKED = {"action": "", "reason": ""}


class RowLooks:
    """Makes the values that the page of a row shows."""

    def __init__(self, browser: Browser, api: OwnApi) -> None:
        self._browser = browser
        self._api = api

    async def values(self, visitor: Visitor, table: DataTable, key: dict[str, str]) -> dict[str, Any]:
        """What the template needs.

        Raises:
            NotFound: there is no such row, or its key is a secret.
        """
        row = await self._find(table, key)
        catalog = self._browser.catalog
        cells = [shown(catalog, column, row._mapping[name]) for name, column in table.columns.items()]
        return {
            "table": table,
            "name": name_of(table, row),
            "address": address_of(table, row),
            "cells_of_row": cells,
            "pretty": pretty,
            "leads": self._leads(table, row),
            "lines": await self._lines(visitor, table, row),
        } | self._doable(table, row, NOTHING_ASKED, {})

    async def form(
        self, table: DataTable, key: dict[str, str], asked: dict[str, str], errors: Errors
    ) -> dict[str, Any]:
        """What the form needs that was not taken; raises `NotFound` as `values` does."""
        return self._doable(table, await self._find(table, key), asked, errors)

    async def key(self, table: DataTable, key: dict[str, str]) -> str:
        """A row's key, which is one value; raises `NotFound` as `values` does."""
        row = await self._find(table, key)
        return str(row._mapping[table.key[0].name])

    async def _find(self, table: DataTable, key: dict[str, str]) -> AnyRow:
        row = await self._browser.row(table, key) if table.has_rows_of_their_own else None
        if row is None:
            raise NotFound("there is no such row, or not any more")
        return row

    def _doable(self, table: DataTable, row: AnyRow, asked: dict[str, str], errors: Errors) -> dict[str, Any]:
        """What can be done to a row in the state that it has; nothing where its table has none."""
        state = row._mapping["state"] if table.name in list(Subject) else ""
        verbs = verbs_for(table.name, state)
        return {"verbs": verbs, "state": state, "acting": address_of(table, row), "asked": asked, "errors": errors}

    async def _lines(self, visitor: Visitor, table: DataTable, row: AnyRow) -> list[dict[str, Any]]:
        if table.name not in list(Subject):
            return []
        query = {"table": table.name, "row": row._mapping[table.key[0].name], "per_page": LINES}
        found: list[dict[str, Any]] = (await self._api.get(visitor, ACTIONS, query))["items"]
        return found

    def _leads(self, table: DataTable, row: AnyRow) -> list[dict[str, str]]:
        """The lists of the rows of other tables that name this one."""
        if len(table.key) != 1:
            return []
        value = row._mapping[table.key[0].name]
        found = []
        for other, name in self._browser.catalog.leading.get(table.name, ()):
            wish = Wish(filters=(Filter(other.columns[name], Op.IS, str(value), value),))
            found.append({"table": other.name, "column": name, "link": f"{HOME}/{other.name}{wish.query()}"})
        return found

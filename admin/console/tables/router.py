"""The database as it is, for operators: every table to browse, search, filter and sort, each row, lists as files."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from admin.console.door import Door, Visitor
from admin.console.pages import NO_STORE, Desk, console_route
from admin.console.tables.browsing import Browser, Found
from admin.console.tables.catalog import DataColumn, DataTable
from admin.console.tables.rows import RowLooks
from admin.console.tables.shown import HOME, address_of, in_file, name_of, shown
from admin.console.tables.wishes import OPS, BadWish, Wish, read_filter, read_wish, word_of
from gateway.db import AnyRow
from gateway.errors import NotFound, ValidationFailed
from gateway.http.csv_stream import Cell, CsvResponse, stream_csv

OLD_ADDRESS = "/admin"
"""Where people look who know other systems."""
NOTHING_SAID = {"column": "", "op": "", "value": ""}
"""The fields of a new filter."""


def build_old_address() -> list[Route]:
    """What leads from the address that other systems have to this room."""

    async def lead(_: Request) -> Response:
        return RedirectResponse(HOME, 303, NO_STORE)

    return [Route(path, lead, include_in_schema=False) for path in (OLD_ADDRESS, f"{OLD_ADDRESS}/")]


def build_router(desk: Desk, door: Door, browser: Browser) -> APIRouter:
    """The routes under `/console/data`; they change nothing."""
    router = APIRouter(prefix=HOME, include_in_schema=False, route_class=console_route(desk.pages))
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type
    Chosen = Annotated[DataTable, Depends(chosen_table(browser))]  # noqa: N806 - a type
    lists = ListLooks(browser)
    rows = RowLooks(browser, desk.api)

    @router.get("")
    async def index(request: Request, visitor: Operator) -> Response:
        groups, counts = browser.catalog.groups(), await browser.counts()
        return desk.pages.page(request, visitor, "tables/index.html", groups=groups, counts=counts)

    @router.get("/{table}")
    async def listed(request: Request, visitor: Operator, table: Chosen) -> Response:
        asked, wish, sentence = request.query_params, Wish(), ""
        said = {name: asked.get(name, "") for name in NOTHING_SAID}
        try:
            wish = read_wish(table, asked)
            if said["column"]:
                wanted = read_filter(table, said["column"], said["op"], said["value"])
                return RedirectResponse(f"{HOME}/{table.name}{wish.plus(wanted).query()}", 303, NO_STORE)
            found = await browser.page(table, wish)
        except BadWish as error:
            sentence, wish = str(error), wish.from_the_start()
            found = await browser.page(table, wish)
        values = lists.values(table, wish, found, said["column"]) | {"said": said, "sentence": sentence}
        return desk.pages.page(request, visitor, "tables/list.html", 422 if sentence else 200, **values)

    @router.get("/{table}/filter")
    async def comparisons(_: Operator, table: Chosen, column: str = "") -> Response:
        if column not in table.columns:
            raise NotFound("there is no such column")
        compared = table.columns[column]
        values: dict[str, Any] = {"compared": compared, "comparisons": _comparisons(compared), "said": NOTHING_SAID}
        return desk.pages.part("tables/comparison.html", **values)

    @router.get("/{table}/export.csv")
    async def export(request: Request, _: Operator, table: Chosen) -> CsvResponse:
        try:
            wish = read_wish(table, request.query_params)
        except BadWish as error:
            raise ValidationFailed(str(error)) from None
        columns = list(table.columns.values())
        slices = _in_file(browser, table, wish, columns)
        return await stream_csv(f"{table.name}.csv", [column.name for column in columns], slices)

    @router.get("/{table}/row")
    async def row(request: Request, visitor: Operator, table: Chosen) -> Response:
        values = await rows.values(visitor, table, dict(request.query_params))
        return desk.pages.page(request, visitor, "tables/row.html", **values)

    return router


def chosen_table(browser: Browser) -> Any:
    """The dependency that gives the table of an address; raises `NotFound`."""

    async def chosen(table: str) -> DataTable:
        if table not in browser.catalog.tables:
            raise NotFound("there is no such table")
        return browser.catalog.tables[table]

    return chosen


async def _in_file(
    browser: Browser, table: DataTable, wish: Wish, columns: list[DataColumn]
) -> AsyncIterator[list[list[Cell]]]:
    async for rows in browser.slices(table, wish):
        yield await asyncio.to_thread(_cells, columns, rows)


def _cells(columns: list[DataColumn], rows: Sequence[AnyRow]) -> list[list[Cell]]:
    return [in_file(columns, row) for row in rows]


def _comparisons(column: DataColumn) -> list[tuple[str, str]]:
    """How a column can be compared, with the words for it."""
    return [(str(op), word_of(op, column.kind)) for op in OPS[column.kind]]


class ListLooks:
    """Makes the values that the page of a list shows."""

    def __init__(self, browser: Browser) -> None:
        self._catalog = browser.catalog

    def values(self, table: DataTable, wish: Wish, found: Found, compared: str) -> dict[str, Any]:
        """What the template needs; `compared` is the column that the form for a new filter begins with, if any."""
        comparable = [column for column in table.columns.values() if OPS[column.kind]]
        told = (
            compared if compared in table.columns else min(comparable, key=lambda one: one.name not in table.shown).name
        )
        first = table.columns[told]
        names = wish.columns or table.shown
        columns = [table.columns[name] for name in names]
        rows = [
            {
                "link": address_of(table, row),
                "name": name_of(table, row) if table.has_rows_of_their_own else "",
                "cells": [shown(self._catalog, column, row._mapping[column.name]) for column in columns],
            }
            for row in found.rows
        ]
        return {
            "table": table,
            "wish": wish,
            "found": found,
            "rows": rows,
            "heads": [
                *self._row_head(table, wish, found),
                *(_head(one.name, one.name, wish, found) for one in columns),
            ],
            "chips": [(one, wish.without(one).query()) for one in wish.filters],
            "comparable": comparable,
            "compared": first,
            "comparisons": _comparisons(first),
            "home": f"{HOME}/{table.name}",
            "first": wish.from_the_start().query(),
            "following": wish.after_that(found.after).query() if found.after else "",
            "whole": replace(wish, after="", columns=()).query(),
        }

    def _row_head(self, table: DataTable, wish: Wish, found: Found) -> list[dict[str, str]]:
        """The head above what tells rows apart, where they have pages."""
        return [_head("Row", table.key[0].name, wish, found)] if table.has_rows_of_their_own else []


def _head(title: str, name: str, wish: Wish, found: Found) -> dict[str, str]:
    """The head of a column, with the link that sorts by it, and the other way if it is sorted by already."""
    is_sorted = found.sort == name
    turned = not found.descending if is_sorted else False
    link = wish.sorted_by(name, descending=turned).query() if name in found.sortable else ""
    return {"title": title, "link": link, "order": _word_of_order(found) if is_sorted else ""}


def _word_of_order(found: Found) -> str:
    return "descending" if found.descending else "ascending"

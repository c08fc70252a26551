"""Changing the state of a row: for a reason, from the state that was on the page, and kept in its history."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from admin.actions.router import PATH as ACTIONS
from admin.actions.schemas import LEAST_REASON
from admin.console.door import Door, Visitor
from admin.console.forms import Errors, errors_of
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.tables.browsing import Browser
from admin.console.tables.catalog import DataTable
from admin.console.tables.router import chosen_table
from admin.console.tables.rows import RowLooks
from admin.console.tables.shown import HOME

Text = Annotated[str, Form(max_length=2000)]
FIELDS = ("action", "reason")
MISSING: dict[str, Errors] = {
    "action": {"action": "Choose what to do."},
    "reason": {"reason": "Say why, in a few words."},
}


def build_router(desk: Desk, door: Door, browser: Browser) -> APIRouter:
    """The one route of the room that changes something."""
    router = APIRouter(prefix=HOME, include_in_schema=False, route_class=console_route(desk.pages))
    rows = RowLooks(browser, desk.api)
    Chosen = Annotated[DataTable, Depends(chosen_table(browser))]  # noqa: N806 - a type

    async def refuse(table: DataTable, key: dict[str, str], asked: dict[str, str], errors: Errors) -> Response:
        values: dict[str, Any] = await rows.form(table, key, asked, errors)
        return desk.pages.part("tables/act.html", 422, **values)

    @router.post("/{table}/row")
    async def act(
        request: Request,
        table: Chosen,
        visitor: Annotated[Visitor, Depends(door.operator)],
        action: Text = "",
        state: Text = "",
        reason: Text = "",
    ) -> Response:
        key, asked = dict(request.query_params), {"action": action, "reason": reason}
        row = await rows.key(table, key)
        for name, missing in (("action", not action), ("reason", len(reason.strip()) < LEAST_REASON)):
            if missing:
                return await refuse(table, key, asked, MISSING[name])
        body = {"table": table.name, "row": row, "state": state} | asked
        try:
            done = await desk.api.call(visitor, "POST", ACTIONS, body)
        except Refused as refused:
            return await refuse(table, key, asked, errors_of(refused, FIELDS))
        return desk.pages.done(f"It was {done['before']}, and is {done['after']} now.", reload=True)

    return router

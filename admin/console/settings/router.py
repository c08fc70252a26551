"""Settings: the delays with what they would do, quiet hours, how often people are written to, what the file has set."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import Errors, NotANumber, errors_of, optional_number, quiet_hours
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.times import known_zones

DELAYS = ("MESSAGE_DELAY", "SENDER_SWITCH_DELAY")
CAP = ("messages", "days")
QUIET = ("timezone", "quiet_from", "quiet_to", "weekdays")
QUIET_WORDS = {"quiet_hours": "quiet_from", "quiet_hours.to": "quiet_to"}
DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
Text = Annotated[str, Form(max_length=40)]
Asked = Annotated[str, Query(max_length=40)]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/settings`, for operators only."""
    router = APIRouter(prefix="/console/settings", include_in_schema=False, route_class=console_route(desk.pages))
    _add_page(router, desk, door)
    _add_delays(router, desk, door)
    _add_quiet_hours(router, desk, door)
    _add_cap(router, desk, door)
    return router


def _add_page(router: APIRouter, desk: Desk, door: Door) -> None:
    @router.get("")
    async def page(request: Request, visitor: Annotated[Visitor, Depends(door.operator)]) -> Response:
        delays, held, cap, quiet = await asyncio.gather(
            desk.api.get(visitor, "/api/admin/delays"),
            desk.api.get(visitor, "/api/admin/settings"),
            desk.api.get(visitor, "/api/frequency-cap"),
            desk.api.get(visitor, "/api/quiet-hours"),
        )
        values = {"delays": delays, "held": held, "cap": cap, "errors": {}, **_quiet(quiet)}
        return desk.pages.page(request, visitor, "settings/page.html", **values)


def _add_delays(router: APIRouter, desk: Desk, door: Door) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type

    @router.get("/effect")
    async def effect(
        visitor: Operator,
        message: Annotated[str, Query(max_length=40, alias="MESSAGE_DELAY")] = "",
        switch: Annotated[str, Query(max_length=40, alias="SENDER_SWITCH_DELAY")] = "",
    ) -> Response:
        try:
            found = await _effect(desk, visitor, message, switch)
        except (NotANumber, Refused) as error:
            errors = error.errors if isinstance(error, NotANumber) else errors_of(error, DELAYS)
            return desk.pages.part("settings/effect.html", found=None, errors=errors)
        return desk.pages.part("settings/effect.html", found=found, errors={})

    @router.post("/delays")
    async def delays(
        visitor: Operator,
        message: Annotated[str, Form(max_length=40, alias="MESSAGE_DELAY")] = "",
        switch: Annotated[str, Form(max_length=40, alias="SENDER_SWITCH_DELAY")] = "",
    ) -> Response:
        said = dict(zip(DELAYS, (message, switch), strict=True))
        try:
            body = {name: optional_number(name, text) for name, text in said.items()}
            held = await desk.api.call(visitor, "POST", "/api/admin/delays", body)
        except NotANumber as error:
            return desk.pages.part("settings/delays.html", 422, delays=said, errors=error.errors)
        except Refused as refused:
            return desk.pages.part("settings/delays.html", 422, delays=said, errors=errors_of(refused, DELAYS))
        note = "Saved. Every sender keeps to it from its next message on."
        return desk.pages.part("settings/delays.html", note=note, delays=held, errors={})


async def _effect(desk: Desk, visitor: Visitor, message: str, switch: str) -> Any:
    query = {name: optional_number(name, text) for name, text in zip(DELAYS, (message, switch), strict=True)}
    return await desk.api.get(visitor, "/api/admin/delays/effect", query)


def _add_quiet_hours(router: APIRouter, desk: Desk, door: Door) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type

    @router.post("/quiet-hours")
    async def set_quiet_hours(
        visitor: Operator,
        timezone: Annotated[str, Form(max_length=64)] = "",
        quiet_from: Text = "",
        quiet_to: Text = "",
        weekdays: Annotated[list[str] | None, Form(max_length=7)] = None,
    ) -> Response:
        body = {"timezone": timezone, "weekdays": weekdays or [], **quiet_hours(quiet_from, quiet_to)}
        try:
            held = await desk.api.call(visitor, "PUT", "/api/quiet-hours", body)
        except Refused as refused:
            said = {"timezone": timezone, "quiet_from": quiet_from, "quiet_to": quiet_to, "weekdays": weekdays or []}
            errors = errors_of(refused, QUIET, QUIET_WORDS)
            return desk.pages.part(
                "settings/quiet.html", 422, quiet=said, days=DAYS, zones=known_zones(), errors=errors
            )
        note = "Saved, for what is submitted from now on."
        return desk.pages.part("settings/quiet.html", note=note, errors={}, **_quiet(held))

    @router.post("/quiet-hours/drop")
    async def drop_quiet_hours(visitor: Operator) -> Response:
        await desk.api.call(visitor, "DELETE", "/api/quiet-hours")
        held = await desk.api.get(visitor, "/api/quiet-hours")
        note = "Campaigns may be sent at any time from now on."
        return desk.pages.part("settings/quiet.html", note=note, errors={}, **_quiet(held))


def _quiet(held: dict[str, Any]) -> dict[str, Any]:
    """The part about quiet hours, of what the API tells."""
    times = held["quiet_hours"] or {"from": "", "to": ""}
    said = {
        "timezone": held["timezone"] or "",
        "quiet_from": times["from"],
        "quiet_to": times["to"],
        "weekdays": held["weekdays"],
    }
    return {"quiet": said, "days": DAYS, "zones": known_zones()}


def _add_cap(router: APIRouter, desk: Desk, door: Door) -> None:
    Operator = Annotated[Visitor, Depends(door.operator)]  # noqa: N806 - a type

    @router.post("/frequency-cap")
    async def set_cap(visitor: Operator, messages: Text = "", days: Text = "") -> Response:
        said = {"messages": messages, "days": days}
        try:
            body = {name: optional_number(name, text) for name, text in said.items()}
            cap = await desk.api.call(visitor, "PUT", "/api/frequency-cap", body)
        except NotANumber as error:
            return refuse(said, error.errors)
        except Refused as refused:
            return refuse(said, errors_of(refused, CAP))
        return desk.pages.part("settings/cap.html", note="Saved, for what is sent from now on.", cap=cap, errors={})

    def refuse(said: dict[str, str], errors: Errors) -> Response:
        return desk.pages.part("settings/cap.html", 422, cap=said, errors=errors)

    @router.post("/frequency-cap/drop")
    async def drop_cap(visitor: Operator) -> Response:
        await desk.api.call(visitor, "DELETE", "/api/frequency-cap")
        none = dict.fromkeys(CAP)
        return desk.pages.part("settings/cap.html", note="There is no limit any more.", cap=none, errors={})

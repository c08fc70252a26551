"""A new campaign: contacts, text, senders and time on one page, and what would happen before the button that sends."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from admin.console.campaigns.drafts import (
    FIELDS,
    Bubble,
    Draft,
    bubbles,
    insertable,
    places_of,
    read_draft,
    read_upload,
)
from admin.console.door import Door, Visitor
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.times import known_zones
from campaigns.audience.contact_reading.schemas import MAX_ROWS_GIVEN
from campaigns.sending.models import Priority
from gateway.errors import ValidationFailed
from gateway.vault import make_token

SAMPLES = 3
SHOWN_ROWS = 5
MOST_SENDERS = 1000


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/campaigns/new`."""
    router = APIRouter(prefix="/console/campaigns/new", include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("")
    async def new(request: Request, visitor: Who) -> Response:
        query = {"status": "CONNECTED", "per_page": MOST_SENDERS}
        senders = await desk.api.get(visitor, "/api/sessions", query)
        return desk.pages.page(
            request,
            visitor,
            "campaigns/new.html",
            senders=senders["items"],
            key=make_token("console-"),
            zones=known_zones(),
            priorities=[str(one) for one in Priority],
            bubbles=[],
            errors={},
            **_no_contacts(),
        )

    @router.post("/contacts")
    async def contacts(request: Request, visitor: Who) -> Response:
        draft = await read_draft(request)
        if draft.contacts is None:
            return desk.pages.part("campaigns/new/contacts.html", **_no_contacts(), fresh=True, errors={})
        try:
            found = await _read_list(desk, visitor, draft, SHOWN_ROWS)
        except Refused as error:
            errors, _ = places_of(_errors_of(error))
            return desk.pages.part("campaigns/new/contacts.html", **_no_contacts(), fresh=True, errors=errors)
        return desk.pages.part("campaigns/new/contacts.html", **_contacts(found), fresh=True, errors={})

    @router.post("/bubble")
    async def bubble(request: Request, _: Who) -> Response:
        draft = await read_draft(request)
        shown: list[Bubble] = []
        errors: dict[str, str] = {}
        try:
            shown = bubbles(draft.text, draft.fields["samples"]) if draft.text.strip() else []
        except ValidationFailed as error:
            errors, _others = places_of(_errors_of(error))
        return desk.pages.part("campaigns/new/bubble.html", bubbles=shown, errors=errors, fresh=True)

    @router.post("/media")
    async def media(request: Request, visitor: Who) -> Response:
        try:
            file = await read_upload(request, "media_file")
            found = await desk.api.upload(visitor, "/api/upload", [("file", file)], {})
        except (Refused, ValidationFailed) as error:
            messages = list(_errors_of(error).values())
            return desk.pages.part("campaigns/new/media.html", 422, media=None, error=messages[0])
        return desk.pages.part("campaigns/new/media.html", media=found, error="")

    @router.post("/forecast")
    async def forecast(request: Request, visitor: Who) -> Response:
        draft = await read_draft(request)
        try:
            draft.require_all()
            found = await _read_list(desk, visitor, draft, MAX_ROWS_GIVEN)
            people = found.pop("rows")
            preview = await desk.api.call(visitor, "POST", "/api/send/preview", draft.request(people))
        except (Refused, ValidationFailed) as error:
            return _refused(desk, error)
        lines = {row["index"]: people[row["index"]]["line"] for row in preview["missing_variables"]}
        later = draft.fields["when"] == "later"
        return desk.pages.part(
            "campaigns/new/forecast.html", found=found, preview=preview, lines=lines, later=later, fields=FIELDS
        )

    @router.post("/send")
    async def send(request: Request, visitor: Who) -> Response:
        draft = await read_draft(request)
        try:
            draft.require_all()
            found = await _read_list(desk, visitor, draft, MAX_ROWS_GIVEN)
            headers = {"Idempotency-Key": draft.fields["key"]}
            campaign = await desk.api.call(visitor, "POST", "/api/send", draft.request(found["rows"]), headers=headers)
        except (Refused, ValidationFailed) as error:
            return _refused(desk, error)
        note = "It is scheduled." if campaign["status"] == "scheduled" else "It is on its way."
        return desk.pages.done(note, to=f"/console/campaigns/{campaign['campaign_id']}")

    return router


async def _read_list(desk: Desk, visitor: Visitor, draft: Draft, rows: int) -> dict[str, Any]:
    """The contacts as the API reads them, with so many of the good rows; raises `Refused` where they are no list."""
    files = [] if draft.contacts is None else [("file", draft.contacts)]
    options = {"phone_column": draft.phone_column or None, "rows": rows}
    found: dict[str, Any] = await desk.api.upload(visitor, "/api/contacts/read", files, options)
    return found


def _refused(desk: Desk, error: Refused | ValidationFailed) -> Response:
    """What is wrong, beside the fields of the form."""
    errors, others = places_of(_errors_of(error))
    return desk.pages.part("campaigns/new/refused.html", 422, errors=errors, others=others, fields=FIELDS)


def _contacts(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a list that was read."""
    samples = [{name: row[name] for name in ("phone_number", "variables")} for row in found["rows"][:SAMPLES]]
    names = insertable(found["columns"], found["phone_column"])
    return {"contacts": found, "samples": orjson.dumps(samples).decode(), "names": names}


def _no_contacts() -> dict[str, Any]:
    return {"contacts": None, "samples": "[]", "names": []}


def _errors_of(error: Refused | ValidationFailed) -> Mapping[str, str]:
    """What is wrong by the name of the field; where no field is to blame, the whole of it by no name."""
    if isinstance(error, ValidationFailed):
        return {one.field: one.message for one in error.errors}
    return error.errors or {"": error.detail}

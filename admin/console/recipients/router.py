"""The pages of recipients: who can be written to, with their groups and the fields of their own."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.downloads import pass_on
from admin.console.forms import Errors, as_sentence, errors_of
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.recipients.reading import FIELDS, OTHERS, RecipientForm, write_own

PATH = "/console/recipients"
API = "/api/recipients"
MOST_GROUPS = 1000
GROUPS_SHOWN = 100
"""So many groups of a recipient the API names. Of one who is in as many, the form leaves the groups alone."""

Filled = Annotated[RecipientForm, Form()]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/recipients`, without those of imports, which come first."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    room = Room(desk)
    _add_lists(router, desk, door, room)
    _add_one(router, desk, door, room)
    return router


def _add_lists(router: APIRouter, desk: Desk, door: Door, room: "Room") -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("")
    async def listed(
        request: Request, visitor: Who, search: Word = "", group_id: Word = "", page: PageNumber = 1
    ) -> Response:
        said = {"search": search.strip(), "group_id": group_id}
        found = await desk.api.get(visitor, API, {**said, "page": page, "per_page": PER_PAGE})
        values = {"found": found, "said": said, "filters": {name: one for name, one in said.items() if one}}
        groups = await room.groups(visitor)
        return desk.pages.page(
            request, visitor, "recipients/list.html", link=link_of(PATH, said), groups=groups, **values
        )

    @router.get("/export")
    async def export(visitor: Who, search: Word = "", group_id: Word = "") -> Response:
        return await pass_on(desk.api, visitor, f"{API}/export", {"search": search, "group_id": group_id})

    @router.get("/new")
    async def form_page(request: Request, visitor: Who, group_id: Word = "") -> Response:
        form = RecipientForm(groups=[group_id], shown_groups=True, key=uuid4().hex)
        values = await room.form(visitor, form, PATH)
        return desk.pages.page(request, visitor, "recipients/new.html", **values)

    @router.post("")
    async def make(visitor: Who, form: Filled) -> Response:
        try:
            made = await desk.api.call(visitor, "POST", API, form.body({}), headers={"Idempotency-Key": form.key})
        except (Refused, ValueError) as error:
            return await room.refuse(visitor, form.model_copy(update={"key": uuid4().hex}), PATH, error)
        return desk.pages.done("The recipient is saved.", to=f"{PATH}/{made['id']}")


def _add_one(router: APIRouter, desk: Desk, door: Door, room: "Room") -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("/{recipient_id}")
    async def one(request: Request, visitor: Who, recipient_id: UUID) -> Response:
        it = await desk.api.get(visitor, f"{API}/{recipient_id}")
        form = RecipientForm(
            name=it["name"],
            phone_number=it["phone_number"],
            own=write_own(it["variables"]),
            groups=[group["id"] for group in it["groups"]],
            shown_groups=len(it["groups"]) < GROUPS_SHOWN,
        )
        values = await room.form(visitor, form, f"{PATH}/{recipient_id}")
        return desk.pages.page(request, visitor, "recipients/one.html", it=it, **values)

    @router.post("/{recipient_id}")
    async def change(visitor: Who, recipient_id: UUID, form: Filled) -> Response:
        path = f"{API}/{recipient_id}"
        try:
            before = await desk.api.get(visitor, path)
            await desk.api.call(visitor, "PUT", path, form.body(before["variables"]))
        except (Refused, ValueError) as error:
            return await room.refuse(visitor, form, f"{PATH}/{recipient_id}", error)
        return desk.pages.done("Saved.", reload=True)

    @router.delete("/{recipient_id}")
    async def remove(visitor: Who, recipient_id: UUID) -> Response:
        await desk.api.call(visitor, "DELETE", f"{API}/{recipient_id}")
        return desk.pages.done("The recipient is gone. What was sent to the number stays.", to=PATH)


class Room:
    """What the pages of recipients are made of."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def groups(self, visitor: Visitor) -> list[tuple[str, str]]:
        """The groups to choose from, as ids with names, by name."""
        found = await self._desk.api.get(visitor, f"{API}/groups", {"per_page": MOST_GROUPS})
        return sorted(((one["id"], one["name"]) for one in found["items"]), key=lambda group: group[1].casefold())

    async def form(
        self, visitor: Visitor, form: RecipientForm, to: str, errors: Errors | None = None
    ) -> dict[str, Any]:
        """What the form shows; `to` is where it is sent."""
        return {"form": form.model_dump(), "to": to, "errors": errors or {}, "groups": await self.groups(visitor)}

    async def refuse(self, visitor: Visitor, form: RecipientForm, to: str, error: Refused | ValueError) -> Response:
        """The form again, with what is wrong with it."""
        if isinstance(error, Refused):
            errors = errors_of(error, FIELDS, OTHERS, conflict="phone_number")
        else:
            errors = {"own": as_sentence(str(error))}
        values = await self.form(visitor, form, to, errors)
        return self._desk.pages.part("recipients/form.html", 422, **values)

"""The pages of groups: whom a schedule writes to, and who is put into a group or taken out of it."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.forms import Errors, errors_of
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of, wants_part
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.removal import remove_unused

PATH = "/console/groups"
API = "/api/recipients/groups"
RECIPIENTS = "/api/recipients"
FIELDS = ("name", "description")
CANDIDATES = 8


class GroupForm(BaseModel):
    """What the form of a group says."""

    name: str = ""
    description: str = ""
    key: str = ""

    def body(self) -> dict[str, str | None]:
        """As the API takes it."""
        return {"name": self.name, "description": self.description.strip() or None}


Filled = Annotated[GroupForm, Form()]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/groups`."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    _add_groups(router, desk, door)
    _add_members(router, desk, door)
    return router


def _add_groups(router: APIRouter, desk: Desk, door: Door) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    def refuse(form: GroupForm, to: str, refused: Refused) -> Response:
        errors: Errors = errors_of(refused, FIELDS, conflict="name")
        return desk.pages.part("groups/form.html", 422, form=form.model_dump(), to=to, errors=errors)

    @router.get("")
    async def listed(request: Request, visitor: Who, page: PageNumber = 1) -> Response:
        found = await desk.api.get(visitor, API, {"page": page, "per_page": PER_PAGE})
        return desk.pages.page(request, visitor, "groups/list.html", found=found, link=link_of(PATH))

    @router.get("/new")
    async def form_page(request: Request, visitor: Who) -> Response:
        form = GroupForm(key=uuid4().hex).model_dump()
        return desk.pages.page(request, visitor, "groups/new.html", form=form, to=PATH, errors={})

    @router.post("")
    async def make(visitor: Who, form: Filled) -> Response:
        try:
            made = await desk.api.call(visitor, "POST", API, form.body(), headers={"Idempotency-Key": form.key})
        except Refused as refused:
            return refuse(form.model_copy(update={"key": uuid4().hex}), PATH, refused)
        return desk.pages.done("The group is made. Now its members.", to=f"{PATH}/{made['id']}")

    @router.get("/{group_id}")
    async def one(request: Request, visitor: Who, group_id: UUID, search: Word = "", page: PageNumber = 1) -> Response:
        members = await _members(desk, visitor, group_id, search, page)
        if wants_part(request, "members"):
            return desk.pages.part("groups/members.html", **members)
        form = GroupForm(name=members["it"]["name"], description=members["it"]["description"] or "").model_dump()
        values = {"form": form, "to": f"{PATH}/{group_id}", "errors": {}, "asked": "", "candidates": None} | members
        return desk.pages.page(request, visitor, "groups/one.html", **values)

    @router.post("/{group_id}")
    async def change(visitor: Who, group_id: UUID, form: Filled) -> Response:
        try:
            await desk.api.call(visitor, "PUT", f"{API}/{group_id}", form.body())
        except Refused as refused:
            return refuse(form, f"{PATH}/{group_id}", refused)
        return desk.pages.done("Saved.", reload=True)

    @router.delete("/{group_id}")
    async def remove(visitor: Who, group_id: UUID) -> Response:
        note, schedules = "The group is gone. Its members stay recipients.", f"/console/schedules?group_id={group_id}"
        return await remove_unused(desk, visitor, f"{API}/{group_id}", note=note, to=PATH, schedules=schedules)


def _add_members(router: APIRouter, desk: Desk, door: Door) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("/{group_id}/candidates")
    async def candidates(visitor: Who, group_id: UUID, asked: Word = "") -> Response:
        found = await _candidates(desk, visitor, group_id, asked)
        return desk.pages.part("groups/candidates.html", candidates=found, asked=asked, group_id=group_id)

    @router.post("/{group_id}/members/{recipient_id}")
    async def add(visitor: Who, group_id: UUID, recipient_id: UUID, name: Annotated[str, Form()] = "") -> Response:
        body = {"recipient_ids": [str(recipient_id)]}
        await desk.api.call(visitor, "POST", f"{API}/{group_id}/recipients", body)
        members = await _members(desk, visitor, group_id, "", 1)
        return desk.pages.part("groups/members.html", note=f"{name or 'The recipient'} is in the group.", **members)

    @router.delete("/{group_id}/members/{recipient_id}")
    async def take_out(
        visitor: Who, group_id: UUID, recipient_id: UUID, search: Word = "", page: PageNumber = 1
    ) -> Response:
        await desk.api.call(visitor, "DELETE", f"{API}/{group_id}/recipients/{recipient_id}")
        members = await _members(desk, visitor, group_id, search, page)
        return desk.pages.part("groups/members.html", note="Taken out. They stay a recipient.", **members)


async def _members(desk: Desk, visitor: Visitor, group_id: UUID, search: str, page: int) -> dict[str, Any]:
    """The group, and a page of its members."""
    it = await desk.api.get(visitor, f"{API}/{group_id}")
    said = {"search": search.strip()}
    query = {**said, "group_id": group_id, "page": page, "per_page": PER_PAGE}
    found = await desk.api.get(visitor, RECIPIENTS, query)
    return {"it": it, "found": found, "said": said, "link": link_of(f"{PATH}/{group_id}", said)}


async def _candidates(desk: Desk, visitor: Visitor, group_id: UUID, asked: str) -> list[Any] | None:
    """Recipients whom a search finds, the first of them, with whether each is a member; None without a search."""
    if not asked.strip():
        return None
    found = await desk.api.get(visitor, RECIPIENTS, {"search": asked.strip(), "per_page": CANDIDATES})
    for one in found["items"]:
        one["is_member"] = str(group_id) in {group["id"] for group in one["groups"]}
    return list(found["items"])

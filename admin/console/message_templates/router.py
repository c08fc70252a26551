"""The pages of templates: texts to be sent again and again, each beside how its first readers would see it."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from admin.console.campaigns.drafts import Bubble, bubbles
from admin.console.door import Door, Visitor
from admin.console.forms import Errors, errors_of
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of
from admin.console.message_templates.samples import read_samples
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.removal import remove_unused
from gateway.errors import ValidationFailed

PATH = "/console/templates"
API = "/api/messages"
SAMPLES = 3
FIELDS = ("title", "text")
OTHERS = {"content": "text"}
SORTS = (("created_at", "Newest first"), ("updated_at", "Changed last"), ("title", "By title"))


class TemplateForm(BaseModel):
    """What the form of a template says."""

    title: str = ""
    text: str = ""
    samples: str = ""
    key: str = ""

    def body(self) -> dict[str, str]:
        """As the API takes it."""
        return {"title": self.title.strip(), "content": self.text.replace("\r\n", "\n")}


Filled = Annotated[TemplateForm, Form()]


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/templates`."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("")
    async def listed(
        request: Request, visitor: Who, search: Word = "", sort_by: Word = "", page: PageNumber = 1
    ) -> Response:
        sort = sort_by if sort_by in dict(SORTS) else SORTS[0][0]
        said = {"search": search.strip(), "sort_by": sort_by and sort}
        order = "asc" if sort == "title" else "desc"
        query = {"search": said["search"], "sort_by": sort, "sort_order": order, "page": page, "per_page": PER_PAGE}
        values = {"found": await desk.api.get(visitor, API, query), "said": said, "link": link_of(PATH, said)}
        return desk.pages.page(request, visitor, "message_templates/list.html", sorts=SORTS, **values)

    @router.get("/new")
    async def form_page(request: Request, visitor: Who) -> Response:
        values = _form(TemplateForm(samples=await _samples(desk, visitor), key=uuid4().hex), PATH)
        return desk.pages.page(request, visitor, "message_templates/new.html", **values)

    @router.post("")
    async def make(visitor: Who, form: Filled) -> Response:
        try:
            made = await desk.api.call(visitor, "POST", API, form.body(), headers={"Idempotency-Key": form.key})
        except Refused as refused:
            values = _form(form.model_copy(update={"key": uuid4().hex}), PATH, errors_of(refused, FIELDS, OTHERS))
            return desk.pages.part("message_templates/form.html", 422, **values)
        return desk.pages.done("The template is saved.", to=f"{PATH}/{made['id']}")

    @router.get("/{template_id}")
    async def one(request: Request, visitor: Who, template_id: UUID) -> Response:
        it = await desk.api.get(visitor, f"{API}/{template_id}")
        form = TemplateForm(title=it["title"], text=it["content"], samples=await _samples(desk, visitor))
        values = _form(form, f"{PATH}/{template_id}")
        return desk.pages.page(request, visitor, "message_templates/one.html", it=it, **values)

    @router.post("/{template_id}")
    async def change(visitor: Who, template_id: UUID, form: Filled) -> Response:
        try:
            await desk.api.call(visitor, "PUT", f"{API}/{template_id}", form.body())
        except Refused as refused:
            values = _form(form, f"{PATH}/{template_id}", errors_of(refused, FIELDS, OTHERS))
            return desk.pages.part("message_templates/form.html", 422, **values)
        return desk.pages.done("Saved. What was sent stays as it was sent.", reload=True)

    @router.delete("/{template_id}")
    async def remove(visitor: Who, template_id: UUID) -> Response:
        note, schedules = "The template is gone.", f"/console/schedules?message_id={template_id}"
        return await remove_unused(desk, visitor, f"{API}/{template_id}", note=note, to=PATH, schedules=schedules)

    return router


async def _samples(desk: Desk, visitor: Visitor) -> str:
    samples, _ = await read_samples(desk.api, visitor, {"per_page": SAMPLES})
    return samples


def _form(form: TemplateForm, to: str, errors: Errors | None = None) -> dict[str, Any]:
    """What the form shows; `to` is where it is sent."""
    shown: list[Bubble] = []
    if form.text.strip():
        try:
            shown = bubbles(form.text, form.samples)
        except ValidationFailed:
            shown = [Bubble("", form.text)]  # what is wrong with it is told when it is sent
    return {"form": form.model_dump(), "to": to, "errors": errors or {}, "bubbles": shown}

"""The list of schedules, and how a new one is made: a template, a group, and a time."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from admin.console.campaigns.drafts import bubbles
from admin.console.door import Door, Visitor
from admin.console.forms import Errors, errors_of
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of, wants_part
from admin.console.message_templates.samples import read_samples
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from admin.console.schedules.reading import FIELDS, OTHERS, REPEATS, ScheduleForm, errors_in, how_often
from admin.console.times import day_start, known_zones
from campaigns.schedules.models import ScheduleStatus
from gateway.errors import ValidationFailed

PATH = "/console/schedules"
API = "/api/schedules"
STATES = tuple(str(one) for one in ScheduleStatus)
MOST_CHOICES = 1000
SAMPLES = 2
NOTHING: dict[str, Any] = {"items": [], "total": 0, "page": 1, "pages": 0}
Filled = Annotated[ScheduleForm, Form()]


class Filters:
    """What the list is narrowed to; days are those of `zone`."""

    def __init__(
        self,
        status: Word = "",
        message_id: Word = "",
        group_id: Word = "",
        from_date: Word = "",
        to_date: Word = "",
        zone: Word = "",
        page: PageNumber = 1,
    ) -> None:
        self.page = page
        self.said = {
            "status": status if status in STATES else "",
            "message_id": message_id,
            "group_id": group_id,
            "from_date": from_date,
            "to_date": to_date,
            "zone": zone,
        }

    @property
    def any(self) -> bool:
        """Whether some are left out."""
        return any(value for name, value in self.said.items() if name != "zone")

    def query(self) -> dict[str, Any]:
        """As the API takes it.

        Raises:
            ValidationFailed: a day is none.
        """
        days = {
            "from_date": day_start(self.said["from_date"], self.said["zone"], "from_date"),
            "to_date": day_start(self.said["to_date"], self.said["zone"], "to_date", after=True),
        }
        kept = {name: self.said[name] for name in ("status", "message_id", "group_id")}
        return kept | days | {"page": self.page, "per_page": PER_PAGE}


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/schedules` beside those of one schedule, which come after them."""
    router = APIRouter(prefix=PATH, include_in_schema=False, route_class=console_route(desk.pages))
    _add_list(router, desk, door)
    _add_new(router, desk, door)
    return router


def _add_list(router: APIRouter, desk: Desk, door: Door) -> None:
    @router.get("")
    async def listed(
        request: Request,
        visitor: Annotated[Visitor, Depends(door.visitor)],
        filters: Annotated[Filters, Depends()],
    ) -> Response:
        found, errors = NOTHING, Errors()
        try:
            found = await desk.api.get(visitor, API, filters.query())
        except Refused as refused:
            errors = errors_of(refused, filters.said)
        except ValidationFailed as failed:
            errors = errors_in(failed)
        values: dict[str, Any] = {"found": found, "said": filters.said, "filtered": filters.any, "errors": errors}
        values |= {"link": link_of(PATH, filters.said), "how_often": how_often, "page": filters.page}
        if wants_part(request, "schedule-list"):
            return desk.pages.part("schedules/list_part.html", **values)
        values |= {"states": STATES, **await _choices(desk, visitor)}
        return desk.pages.page(request, visitor, "schedules/list.html", 422 if errors else 200, **values)


def _add_new(router: APIRouter, desk: Desk, door: Door) -> None:
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    async def form_values(visitor: Visitor, form: ScheduleForm, errors: Errors) -> dict[str, Any]:
        query = {"status": "CONNECTED", "per_page": MOST_CHOICES}
        senders = (await desk.api.get(visitor, "/api/sessions", query))["items"]
        names = [(one["phone_number"], one["name"] or one["phone_number"]) for one in senders]
        values = {"form": form.model_dump(), "errors": errors, "senders": names, "repeats": REPEATS}
        look = await _look(desk, visitor, form.message_id, form.group_id)
        return values | look | await _choices(desk, visitor) | {"zones": known_zones()}

    @router.get("/new")
    async def form_page(request: Request, visitor: Who, message_id: Word = "", group_id: Word = "") -> Response:
        form = ScheduleForm(message_id=message_id, group_id=group_id, key=uuid4().hex)
        values = await form_values(visitor, form, {})
        return desk.pages.page(request, visitor, "schedules/new.html", **values)

    @router.get("/look")
    async def look(visitor: Who, message_id: Word = "", group_id: Word = "") -> Response:
        return desk.pages.part("schedules/look.html", **await _look(desk, visitor, message_id, group_id))

    @router.post("")
    async def make(visitor: Who, form: Filled) -> Response:
        errors = form.missing()
        if not errors:
            try:
                headers = {"Idempotency-Key": form.key}
                made = await desk.api.call(visitor, "POST", API, form.body(), headers=headers)
                return desk.pages.done("It is scheduled.", to=f"{PATH}/{made['id']}")
            except Refused as refused:
                errors = errors_of(refused, FIELDS, OTHERS, conflict="start")
            except ValidationFailed as failed:
                errors = errors_in(failed)
        values = await form_values(visitor, form.model_copy(update={"key": uuid4().hex}), errors)
        return desk.pages.part("schedules/form.html", 422, **values)


async def _choices(desk: Desk, visitor: Visitor) -> dict[str, Any]:
    """The templates and groups to choose from, as ids with names."""
    query = {"per_page": MOST_CHOICES}
    templates = await desk.api.get(visitor, "/api/messages", query | {"sort_by": "title", "sort_order": "asc"})
    groups = await desk.api.get(visitor, "/api/recipients/groups", query)
    named = sorted(((one["id"], one["name"]) for one in groups["items"]), key=lambda one: one[1].casefold())
    return {"templates": [(one["id"], one["title"]) for one in templates["items"]], "groups": named}


async def _look(desk: Desk, visitor: Visitor, message_id: str, group_id: str) -> dict[str, Any]:
    """How the first people of a group would see a template, and how many there are (None without a group)."""
    samples, total = "[]", None
    if group_id:
        samples, total = await read_samples(desk.api, visitor, {"group_id": group_id, "per_page": SAMPLES})
    if not message_id:
        return {"bubbles": [], "total": total}
    template = await desk.api.get(visitor, f"/api/messages/{message_id}")
    return {"bubbles": bubbles(template["content"], samples), "total": total}

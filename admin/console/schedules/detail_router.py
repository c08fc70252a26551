"""One schedule: when it comes, what became of everybody, and what can be done about it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from admin.console.door import Door, Visitor
from admin.console.lists import PER_PAGE, PageNumber, link_of, wants_part
from admin.console.pages import Desk, console_route
from admin.console.schedules.reading import how_often
from admin.console.schedules.router import API, PATH

Step = Literal["cancel", "cancel-series", "send-now", "archive"]
CALLS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "cancel": ("PUT", "cancel", {}, "Cancelled: nothing of it is sent."),
    "cancel-series": ("PUT", "cancel", {"series": True}, "Cancelled, and nothing follows it."),
    "send-now": ("POST", "send-now", {}, "It is on its way."),
    "archive": ("PUT", "archive", {}, "Put aside."),
}
"""What is asked of the API, and what is said when that is done."""
STEPS = {
    "pending": ("send-now", "cancel"),
    "sent": ("archive",),
    "cancelled": ("archive", "delete"),
    "failed": ("delete",),
}
LOOK_AGAIN_SECONDS = {"pending": 5, "processing": 2}


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The routes under `/console/schedules/{schedule_id}`."""
    router = APIRouter(prefix=f"{PATH}/{{schedule_id}}", include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type
    Watcher = Annotated[Visitor, Depends(door.watcher)]  # noqa: N806 - a type

    async def shown(visitor: Visitor, schedule_id: UUID, page: int) -> dict[str, Any]:
        query = {"recipients_skip": (page - 1) * PER_PAGE, "recipients_limit": PER_PAGE}
        it = await desk.api.get(visitor, f"{API}/{schedule_id}", query)
        total = it["group"]["recipient_count"]
        people = it["group"]["recipients"]
        return {
            "it": it,
            "found": {"items": people, "page": page, "pages": -(-total // PER_PAGE), "total": total},
            "link": link_of(f"{PATH}/{schedule_id}"),
            "steps": _steps(it),
            "again": LOOK_AGAIN_SECONDS.get(it["status"], 0),
            "often": how_often(it["recurrence"]),
        }

    @router.get("")
    async def one(request: Request, visitor: Who, schedule_id: UUID, page: PageNumber = 1) -> Response:
        values = await shown(visitor, schedule_id, page)
        if wants_part(request, "schedule-people"):
            return desk.pages.part("schedules/people.html", **values)
        return desk.pages.page(request, visitor, "schedules/one.html", **values)

    @router.get("/state")
    async def state(visitor: Watcher, schedule_id: UUID) -> Response:
        return desk.pages.part("schedules/state.html", **await shown(visitor, schedule_id, 1))

    @router.get("/people")
    async def people(visitor: Watcher, schedule_id: UUID, page: PageNumber = 1) -> Response:
        return desk.pages.part("schedules/people.html", **await shown(visitor, schedule_id, page))

    @router.post("/{step}")
    async def steer(visitor: Who, schedule_id: UUID, step: Step) -> Response:
        method, word, query, note = CALLS[step]
        await desk.api.call(visitor, method, f"{API}/{schedule_id}/{word}", query=query)
        return desk.pages.done(note, reload=True)

    @router.delete("")
    async def remove(visitor: Who, schedule_id: UUID) -> Response:
        await desk.api.call(visitor, "DELETE", f"{API}/{schedule_id}")
        return desk.pages.done("The schedule is gone, with its campaign.", to=PATH)

    return router


def _steps(it: Any) -> list[str]:
    """What its state allows."""
    steps = list(STEPS.get(it["status"], ()))
    return [*steps, "cancel-series"] if "cancel" in steps and it["series_id"] is not None else steps

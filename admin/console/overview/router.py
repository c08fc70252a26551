"""The overview: all that is under way, at a glance."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from admin.console.door import ConsoleCookie, Door, Visitor
from admin.console.overview.figures import Figures
from admin.console.overview.live import Live, draw
from admin.console.pages import NO_STORE, Desk, console_route

EVENT_STREAM = {"X-Accel-Buffering": "no"} | NO_STORE


def build_router(desk: Desk, door: Door, figures: Figures, live: Live) -> APIRouter:
    """The routes of the overview."""
    router = APIRouter(prefix="/console", include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("")
    async def overview(request: Request, visitor: Who) -> Response:
        found = await figures.get(visitor.account_id)
        parts = draw(desk.pages, found, operator=visitor.is_operator)
        return desk.pages.page(request, visitor, "overview.html", parts=parts, overview=found)

    @router.get("/overview/live")
    async def changes(_: Who, cookie: ConsoleCookie = None) -> Response:
        return StreamingResponse(live.stream(cookie or ""), media_type="text/event-stream", headers=EVENT_STREAM)

    return router

"""One campaign: how far it is, what became of everybody, and what can be done about it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from admin.console.campaigns.shapes import MESSAGE_STATES, hour_bars, look_again_after, steps_of
from admin.console.door import Door, Visitor
from admin.console.downloads import pass_on
from admin.console.lists import PER_PAGE, PageNumber, Word, link_of, wants_part
from admin.console.pages import Desk, console_route
from gateway.clock import Clock

Step = Literal["pause", "resume", "cancel", "retry"]
Way = Literal["resend", "accept"]
DONE: dict[str, str] = {
    "pause": "Paused: what is under way is finished, nothing more is sent.",
    "resume": "It goes on.",
    "cancel": "Stopped for good.",
    "retry": "What has failed is queued again.",
    "resend": "Queued again.",
    "accept": "Taken as sent.",
}


def build_router(desk: Desk, door: Door, clock: Clock) -> APIRouter:
    """The routes under `/console/campaigns/{campaign_id}`."""
    router = APIRouter(prefix="/console/campaigns", include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    async def head_of(visitor: Visitor, campaign_id: UUID) -> dict[str, Any]:
        campaign = await desk.api.get(visitor, f"/api/status/{campaign_id}")
        again = look_again_after(campaign, clock.now())
        return {"it": campaign, "again": again, "steps": steps_of(campaign)}

    async def report_of(visitor: Visitor, campaign_id: UUID, zone: str) -> dict[str, Any]:
        path = f"/api/campaigns/{campaign_id}/report"
        report = await desk.api.get(visitor, path, {"timezone": zone})
        return {"report": report, "bars": hour_bars(report["hours"])}

    async def messages_of(visitor: Visitor, campaign_id: UUID, state: str, search: str, page: int) -> dict[str, Any]:
        path, said = f"/console/campaigns/{campaign_id}", {"status": state, "search": search.strip()}
        query = {"details": True, **said, "page": page, "per_page": PER_PAGE}
        found = await desk.api.get(visitor, f"/api/status/{campaign_id}", query)
        return {"found": found["messages"], "said": said, "link": link_of(path, said), "states": MESSAGE_STATES}

    @router.get("/{campaign_id}")
    async def campaign(
        request: Request, visitor: Who, campaign_id: UUID, status: Word = "", search: Word = "", page: PageNumber = 1
    ) -> Response:
        values = await head_of(visitor, campaign_id)
        values |= await messages_of(visitor, campaign_id, status, search, page)
        if wants_part(request, "campaign-messages"):
            return desk.pages.part("campaigns/messages.html", **values)
        values |= await report_of(visitor, campaign_id, "")
        return desk.pages.page(request, visitor, "campaigns/detail.html", **values)

    @router.get("/{campaign_id}/head")
    async def head(visitor: Who, campaign_id: UUID) -> Response:
        return desk.pages.part("campaigns/head.html", **await head_of(visitor, campaign_id))

    @router.get("/{campaign_id}/report")
    async def report(visitor: Who, campaign_id: UUID, zone: Annotated[str, Query(max_length=64)] = "") -> Response:
        values = await head_of(visitor, campaign_id) | await report_of(visitor, campaign_id, zone)
        return desk.pages.part("campaigns/report.html", **values)

    @router.get("/{campaign_id}/export")
    async def export(visitor: Who, campaign_id: UUID, status: Word = "") -> Response:
        return await pass_on(desk.api, visitor, f"/api/campaigns/{campaign_id}/export", {"status": status})

    @router.post("/{campaign_id}/{step}")
    async def steer(visitor: Who, campaign_id: UUID, step: Step, stay: bool = False) -> Response:
        await desk.api.call(visitor, "POST", f"/api/campaigns/{campaign_id}/{step}")
        return desk.pages.done(DONE[step], reload=not stay)

    @router.post("/{campaign_id}/unconfirmed/{way}")
    async def resolve_all(visitor: Who, campaign_id: UUID, way: Way) -> Response:
        await desk.api.call(visitor, "POST", f"/api/campaigns/{campaign_id}/unconfirmed/{way}")
        return desk.pages.done(DONE[way], reload=True)

    @router.post("/{campaign_id}/messages/{message_id}/{way}")
    async def resolve(visitor: Who, campaign_id: UUID, message_id: UUID, way: Way) -> Response:
        await desk.api.call(visitor, "POST", f"/api/campaigns/{campaign_id}/messages/{message_id}/{way}")
        return desk.pages.done(DONE[way], reload=True)

    return router

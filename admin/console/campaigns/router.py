"""The list of campaigns."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from admin.console.campaigns.filters import campaign_query
from admin.console.campaigns.shapes import LISTED_STATES, list_again_after
from admin.console.door import Door, Visitor
from admin.console.lists import PageNumber, Word, link_of, wants_part
from admin.console.own_api import Refused
from admin.console.pages import Desk, console_route
from gateway.errors import ValidationFailed

PATH = "/console/campaigns"
NOTHING: dict[str, Any] = {"items": [], "total": 0, "page": 1, "pages": 0}


def build_router(desk: Desk, door: Door) -> APIRouter:
    """The route of the list; `detail_router` and `draft_router` have the others."""
    router = APIRouter(prefix="/console", include_in_schema=False, route_class=console_route(desk.pages))
    Who = Annotated[Visitor, Depends(door.visitor)]  # noqa: N806 - a type

    @router.get("/campaigns")
    async def campaigns(
        request: Request,
        visitor: Who,
        status: Word = "",
        search: Word = "",
        sender_number: Word = "",
        created_from: Word = "",
        created_to: Word = "",
        zone: Word = "",
        page: PageNumber = 1,
    ) -> Response:
        said = {
            "status": status,
            "search": search.strip(),
            "sender_number": sender_number.strip(),
            "created_from": created_from,
            "created_to": created_to,
            "zone": zone,
        }
        errors: dict[str, str] = {}
        found = NOTHING
        try:
            found = await desk.api.get(visitor, "/api/campaigns", campaign_query(said, page))
        except (Refused, ValidationFailed) as refused:
            errors = _errors_of(refused)
        values: dict[str, Any] = {
            "found": found,
            "said": said,
            "filtered": any(value for name, value in said.items() if name != "zone"),
            "errors": errors,
            "link": link_of(PATH, said),
            "again": list_again_after(found["items"]),
            "states": LISTED_STATES,
        }
        if wants_part(request, "campaign-list"):
            return desk.pages.part("campaigns/list_part.html", **values)
        return desk.pages.page(request, visitor, "campaigns/list.html", 422 if errors else 200, **values)

    return router


def _errors_of(refused: Refused | ValidationFailed) -> dict[str, str]:
    """What is wrong, by the name of the filter; raises what no filter is to blame for."""
    if isinstance(refused, ValidationFailed):
        return {error.field: error.message for error in refused.errors}
    if refused.status != 422 or not refused.errors:
        raise refused
    return refused.errors

"""The route of a session's history."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.late_routes import LateRouter
from sessions.keeping.schemas import HistoryLine
from sessions.schemas import in_utc
from sessions.service import SessionService

Number = Annotated[str, Path(description="The sender's number, written in any way", max_length=40)]


def build_router(service: SessionService, access: Access) -> APIRouter:
    """The route under `/api/sessions/{phone_number}`."""
    router = LateRouter(prefix="/api/sessions", tags=["sessions"])

    @router.get("/{phone_number}/history", summary="What happened to a session")
    async def history(
        phone_number: Number,
        caller: Annotated[Caller, Depends(access.caller)],
        page: Annotated[PageRequest, Depends()],
    ) -> Page[HistoryLine]:
        """What happened to the session and what was done with it, and why; newest first, of the last 90 days."""
        number = await service.allowed(caller, phone_number)
        lines, total = await service.history(number, page.offset, page.limit)
        items = [HistoryLine(at=in_utc(row.at), kind=row.kind, reason=row.reason) for row in lines]
        return make_page(items, total, page)

    return router

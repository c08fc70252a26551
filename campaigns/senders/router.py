"""The route that lists senders."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from campaigns.senders.schemas import SenderOut
from campaigns.senders.service import SenderReader, SenderView
from campaigns.sending.schemas import PlainText
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.late_routes import LateRouter
from sessions.keepalive.clocks import Periods
from sessions.models import SessionState
from sessions.router import describe
from sessions.schemas import as_time


def build_router(reader: SenderReader, access: Access, periods: Periods) -> APIRouter:
    """The route `/api/senders`."""
    router = LateRouter(prefix="/api/senders", tags=["sessions"])

    def out(view: SenderView) -> SenderOut:
        limits = view.limits
        return SenderOut.model_validate(
            {
                **describe(view.row, reader.phones, periods),
                "sent_today": limits.sent_today,
                "effective_daily_cap": limits.effective_daily_cap,
                "effective_message_delay": limits.effective_message_delay,
                "effective_timezone": limits.effective_timezone,
                "day_ends_at": as_time(limits.day_ends_at or None),
            }
        )

    @router.get("", summary="List senders")
    async def list_senders(
        caller: Annotated[Caller, Depends(access.caller)],
        page: Annotated[PageRequest, Depends()],
        sender_number: Annotated[
            str | None, Query(max_length=40, description="This one only; needed in open mode")
        ] = None,
        status: Annotated[list[SessionState] | None, Query(description="Only these states")] = None,
        server: Annotated[PlainText, Query(description="Only those that live on this WAHA server")] = "",
        search: Annotated[PlainText, Query(description="In the name, whatever the case, and in the number")] = "",
    ) -> Page[SenderOut]:
        """The caller's senders by number: how their sessions are, and what they sent today. An operator sees all."""
        scope = caller.scope(reader.phones.optional_digits(sender_number))
        states = [str(state) for state in status or []]
        views, total = await reader.page(scope, states, server, search, page.offset, page.limit)
        return make_page([out(view) for view in views], total, page)

    return router

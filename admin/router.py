"""The operator's routes, all behind `X-Admin-Token`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from admin import queries
from admin.schemas import (
    Metrics,
    UserOut,
)
from campaigns.sending.hours_schemas import Moment
from campaigns.sending.models import CampaignState
from campaigns.sending.schemas import CampaignOut, PlainText
from campaigns.sending.status import StatusReader
from gateway.auth.access import Access, PhoneReader, Scope
from gateway.clock import Clock
from gateway.db import Database, read_now
from gateway.http.pages import Page, PageRequest, make_page
from gateway.late_routes import LateRouter
from sessions.keepalive.clocks import Periods
from sessions.models import SessionState
from sessions.queries import count_by_state
from sessions.router import describe
from sessions.schemas import SessionOut, as_time
from sessions.service import SessionService


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the operator's routes look at."""

    db: Database
    clock: Clock
    phones: PhoneReader
    sessions: SessionService
    status: StatusReader
    in_flight: Callable[[], int]
    latency: Callable[[], float]
    started_at: float
    periods: Periods
    version: str


def build_router(parts: AdminParts, access: Access) -> APIRouter:
    """The routes under `/api/admin`."""
    router = LateRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.get("/metrics", summary="How the system is doing")
    async def metrics() -> Metrics:
        """Sessions, queue and messages of the whole system, and its uptime."""
        async with parts.db.read() as connection:
            now = await read_now(connection)
            sessions = await count_by_state(connection)
            messages = await queries.count_messages(connection)
            sent_today = await queries.count_sent_today(connection, now)
            campaigns = await queries.count_campaigns(connection)
            up, total = await queries.count_servers(connection)
        return Metrics(
            active_sessions=sessions.get(SessionState.CONNECTED, 0),
            sessions=sessions,
            messages_sent_today=sent_today,
            messages=messages,
            queue_size=messages["queued"],
            in_flight=parts.in_flight(),
            campaigns=campaigns,
            servers_up=up,
            servers_total=total,
            average_answer_seconds=round(parts.latency(), 3),
            uptime_seconds=round(parts.clock.monotonic() - parts.started_at, 1),
            version=parts.version,
        )

    @router.get("/users", summary="Registered sender numbers")
    async def users(page: Annotated[PageRequest, Depends()]) -> Page[UserOut]:
        """Every number that has a session or ever had a campaign."""
        async with parts.db.read() as connection:
            rows, total = await queries.list_users(connection, page.offset, page.limit)
        items = [
            UserOut(
                sender_number=f"+{row.number}",
                session_status=row.state,
                campaigns=row.campaigns,
                messages_sent=row.messages_sent,
                MESSAGE_DELAY=row.message_delay,
                created_at=as_time(row.created_at),
            )
            for row in rows
        ]
        return make_page(items, total, page)

    @router.get("/campaigns", summary="All campaigns")
    async def campaigns(
        page: Annotated[PageRequest, Depends()],
        status: Annotated[list[CampaignState] | None, Query(description="Only these states")] = None,
        sender_number: Annotated[str | None, Query(max_length=40, description="Only this sender's")] = None,
        search: Annotated[PlainText, Query(description="In the name")] = "",
        created_from: Annotated[Moment | None, Query(description="Created at or after")] = None,
        created_to: Annotated[Moment | None, Query(description="Created before")] = None,
    ) -> Page[CampaignOut]:
        """The campaigns of all senders, newest first."""
        number = parts.phones.optional_digits(sender_number)
        states = [str(state) for state in status or []]
        found, total = await parts.status.page(
            Scope(number), states, search, created_from, created_to, page.offset, page.limit
        )
        return make_page([CampaignOut.model_validate(item) for item in found], total, page)

    @router.get("/sessions", summary="All sessions")
    async def sessions(
        page: Annotated[PageRequest, Depends()],
        status: Annotated[list[SessionState] | None, Query(description="Only these states")] = None,
    ) -> Page[SessionOut]:
        """Every session, whoever owns it."""
        rows, total = await parts.sessions.page(None, [str(s) for s in status or []], page.offset, page.limit)
        items = [SessionOut.model_validate(describe(row, parts.phones, parts.periods)) for row in rows]
        return make_page(items, total, page)

    return router

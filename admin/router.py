"""The operator's routes, all behind `X-Admin-Token`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query

from admin import queries
from admin.schemas import (
    MAX_DELAY_SECONDS,
    DelaysIn,
    DelaysOut,
    Metrics,
    UserDelaysIn,
    UserDelaysOut,
    UserOut,
)
from campaigns.sending.delays import DelayService, SenderDelay
from campaigns.sending.models import CampaignState
from campaigns.sending.schemas import CampaignOut, Moment, PlainText
from campaigns.sending.status import StatusReader
from gateway.auth.access import Access, PhoneReader
from gateway.clock import Clock
from gateway.db import Database, read_now
from gateway.errors import FieldError, ValidationFailed
from gateway.http.pages import Page, PageRequest, make_page
from sessions.keepalive.clocks import Periods
from sessions.models import SessionState
from sessions.queries import count_by_state
from sessions.router import describe
from sessions.schemas import SessionOut, as_time
from sessions.service import SessionService

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the operator's routes look at."""

    db: Database
    clock: Clock
    phones: PhoneReader
    sessions: SessionService
    status: StatusReader
    delays: DelayService
    in_flight: Callable[[], int]
    latency: Callable[[], float]
    started_at: float
    periods: Periods
    version: str


def build_router(parts: AdminParts, access: Access) -> APIRouter:
    """The routes under `/api/admin`."""
    router = APIRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.get("/metrics", summary="How the system is doing")
    async def metrics() -> Metrics:
        """Sessions, queue and messages of the whole system, and its uptime."""
        async with parts.db.read() as connection:
            now = await read_now(connection)
            sessions = await count_by_state(connection)
            messages = await queries.count_messages(connection)
            sent_today = await queries.count_sent_on(connection, int(now // DAY_SECONDS))
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
            number, states, search, created_from, created_to, page.offset, page.limit
        )
        return make_page([CampaignOut.model_validate(item) for item in found], total, page)

    @router.get("/sessions", summary="All sessions")
    async def sessions(
        page: Annotated[PageRequest, Depends()],
        status: Annotated[list[SessionState] | None, Query(description="Only these states")] = None,
    ) -> Page[SessionOut]:
        """Every session, whoever owns it."""
        rows, total = await parts.sessions.page(None, [str(s) for s in status or []], page.offset, page.limit)
        items = [SessionOut.model_validate(describe(row, parts.sessions, parts.periods)) for row in rows]
        return make_page(items, total, page)

    @router.get("/delays", summary="The delays")
    async def get_delays() -> DelaysOut:
        """The delays that hold now, in seconds."""
        delays = await parts.delays.get()
        return DelaysOut(MESSAGE_DELAY=delays.message, SENDER_SWITCH_DELAY=delays.switch)

    @router.post("/delays", summary="Set the delays")
    async def set_delays(body: DelaysIn) -> DelaysOut:
        """Takes effect on the next message of every sender within a second, also where one waits already."""
        if body.MESSAGE_DELAY is None and body.SENDER_SWITCH_DELAY is None:
            message = "name MESSAGE_DELAY, SENDER_SWITCH_DELAY, or both"
            raise ValidationFailed(message, errors=[FieldError("MESSAGE_DELAY", message, "missing")])
        delays = await parts.delays.set(body.MESSAGE_DELAY, body.SENDER_SWITCH_DELAY)
        return DelaysOut(MESSAGE_DELAY=delays.message, SENDER_SWITCH_DELAY=delays.switch)

    @router.get("/user-delays", summary="One sender's delay")
    async def get_user_delays(
        sender_number: Annotated[str, Query(max_length=40, description="Whose")],
    ) -> UserDelaysOut:
        """The delay of one sender: its own, and the one that holds."""
        number = parts.phones.digits(sender_number, "sender_number")
        return _sender_delay(await parts.delays.get_for(number))

    @router.post("/user-delays", summary="Set one sender's delay")
    async def set_user_delays(
        body: Annotated[UserDelaysIn | None, Body()] = None,
        sender_number: Annotated[str | None, Query(max_length=40, description="Whose, unless the JSON says it")] = None,
        MESSAGE_DELAY: Annotated[  # noqa: N803 - the word of the API
            float | None,
            Query(ge=0, le=MAX_DELAY_SECONDS, allow_inf_nan=False, description="Seconds, where there is no JSON"),
        ] = None,
    ) -> UserDelaysOut:
        """By query or by JSON. A `MESSAGE_DELAY` of null in JSON gives the sender the general delay again."""
        if body is not None:
            _refuse_two("sender_number", sender_number is not None and body.sender_number is not None)
            _refuse_two("MESSAGE_DELAY", MESSAGE_DELAY is not None)
        text = sender_number or (body.sender_number if body else None)
        if text is None:
            raise ValidationFailed("say whose", errors=[FieldError("sender_number", "is required", "missing")])
        if body is None and MESSAGE_DELAY is None:
            raise ValidationFailed("say how long", errors=[FieldError("MESSAGE_DELAY", "is required", "missing")])
        delay = body.MESSAGE_DELAY if body is not None else MESSAGE_DELAY
        return _sender_delay(await parts.delays.set_for(parts.phones.digits(text, "sender_number"), delay))

    return router


def _refuse_two(field: str, twice: bool) -> None:
    if twice:
        message = "is given by query and by JSON; give it once"
        raise ValidationFailed(f"{field} {message}", errors=[FieldError(field, message, "given_twice")])


def _sender_delay(delay: SenderDelay) -> UserDelaysOut:
    return UserDelaysOut(
        sender_number=f"+{delay.number}",
        MESSAGE_DELAY=delay.own,
        effective_message_delay=delay.general if delay.own is None else delay.own,
    )

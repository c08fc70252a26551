"""Routes of campaigns: send, preview, look."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from campaigns.audience.phone_search import digits_meant
from campaigns.sending.hours_schemas import Moment
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.preparing import bad_rows
from campaigns.sending.schemas import (
    BadRow,
    CampaignOut,
    MessageOut,
    MessagePage,
    OptedOutRow,
    PlainText,
    PreviewAnswer,
    Sample,
    SendAnswer,
    SendRequest,
    StatusOut,
)
from campaigns.sending.service import CampaignService
from campaigns.sending.status import StatusReader, campaign_out
from campaigns.sending.steering import Steering
from campaigns.sending.steering_router import (
    CampaignId,
    MessageId,
    SenderNumber,
    scope_of_id,
)
from campaigns.sending.submitting import opted_out_rows
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from gateway.http.problems import CLIENT_RESPONSES
from gateway.http.sliced_body import SlicedBody
from gateway.idempotency.header import KeyHeader
from gateway.late_routes import LateRouter
from sessions.schemas import as_time, in_utc

SLICED_PATHS = ("/api/send", "/api/send/preview")
"""Where a long body may come, which is read in slices; nothing before it may parse it as a whole."""
SAMPLES = 3


def build_router(service: CampaignService, steering: Steering, status: StatusReader, access: Access) -> APIRouter:
    """The routes under `/api/send`, `/api/status` and `/api/campaigns`."""
    router = LateRouter(prefix="/api", tags=["campaigns"])
    reader = SlicedBody(SendRequest, "recipients", max_items=service.max_recipients)
    Body = Annotated[SendRequest, Depends(reader)]  # noqa: N806 - a type
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type

    @router.post(
        "/send",
        status_code=201,
        summary="Submit a campaign",
        openapi_extra=reader.openapi,
        responses=CLIENT_RESPONSES,
    )
    async def send(
        caller: Who,
        body: Body,
        idempotency_key: KeyHeader = None,
    ) -> SendAnswer:
        """Queue one text for many recipients. Each number gets it once, however often it is listed.

        409 `SESSION_NOT_CONNECTED` if a sender cannot send (unless `queue_if_offline`); 422 naming every bad row, and
        nothing is queued (unless `on_bad_row` is `partial`). A client gets 402 `INSUFFICIENT_BALANCE` for more than its
        balance covers, and 429 `DAILY_LIMIT_REACHED`, until its midnight, for more than it may send today.
        """
        answer = await service.submit(caller, body, idempotency_key)
        return SendAnswer.model_validate(
            {
                **campaign_out(answer["campaign"], answer["sender_numbers"]),
                "duplicates": answer["duplicates"],
                "invalid": answer["invalid"],
                "opted_out": answer.get("opted_out", []),  # kept by an earlier version, an answer has none
                "opted_out_count": answer.get("opted_out_count", 0),
                "grades": answer["grades"],
                "estimated_finish": as_time(answer["finish_at"]),
            }
        )

    @router.post("/send/preview", summary="What would happen", openapi_extra=reader.openapi)
    async def preview(caller: Who, body: Body) -> PreviewAnswer:
        """Check a campaign without storing or sending anything: who would get what, through whom, until when."""
        submission, forecast = await service.preview(caller, body)
        prepared = submission.prepared
        told = {row["index"]: BadRow.model_validate(row) for row in bad_rows(prepared)}
        return PreviewAnswer(
            valid=submission.sendable,
            opted_out=[OptedOutRow.model_validate(row) for row in opted_out_rows(submission)],
            opted_out_count=len(submission.opted_out),
            duplicates=prepared.duplicates,
            invalid=[told[row.index] for row in prepared.invalid if row.index in told],
            invalid_count=len(prepared.invalid),
            missing_variables=[told[row.index] for row in prepared.missing if row.index in told],
            missing_variables_count=len(prepared.missing),
            grades=dict(prepared.grades),
            samples=[
                Sample(recipient=f"+{phone}", text=body.template if text is None else text)
                for phone, _, text in islice(
                    (row for row in prepared.rows if row[0] not in submission.opted_out), SAMPLES
                )
            ],
            shares=forecast.shares,
            not_connected=forecast.not_connected,
            duration_seconds=round(forecast.duration_seconds, 3),
            finish_time=in_utc(forecast.finish_at),
            note=forecast.note,
        )

    @router.get("/status/{campaign_id}", summary="Status of a campaign")
    async def get_status(
        campaign_id: CampaignId,
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        details: Annotated[bool, Query(description="With every recipient's status, a page at a time")] = False,
        status_filter: Annotated[
            list[MessageState] | None, Query(alias="status", description="Details of these states only")
        ] = None,
        search: Annotated[PlainText, Query(description="Details of numbers only in which this stands")] = "",
        sender_number: SenderNumber = None,
    ) -> StatusOut:
        """How far it is, what it waits for, and when it will be done."""
        row = await steering.get(str(campaign_id), scope_of_id(service.phones, caller, sender_number))
        answer = StatusOut.model_validate(await status.of(row))
        if details:
            answer.messages = await message_page(
                row, [str(state) for state in status_filter or []], page, search.strip()
            )
        return answer

    async def message_page(row: Any, states: Sequence[str], page: PageRequest, search: str = "") -> MessagePage:
        digits = digits_meant(search, service.phones.read) if search else None
        items, total = await status.messages(row, states, page.offset, page.limit, digits)
        made = make_page([MessageOut.model_validate(item) for item in items], total, page)
        return MessagePage.model_validate(made.model_dump())

    @router.get("/campaigns", summary="List campaigns")
    async def list_campaigns(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: SenderNumber = None,
        status_filter: Annotated[
            list[CampaignState] | None, Query(alias="status", description="Only these states")
        ] = None,
        search: Annotated[PlainText, Query(description="In the name")] = "",
        created_from: Annotated[Moment | None, Query(description="Created at or after")] = None,
        created_to: Annotated[Moment | None, Query(description="Created before")] = None,
    ) -> Page[CampaignOut]:
        """The caller's campaigns, newest first; an operator sees all."""
        scope = caller.scope(service.phones.optional_digits(sender_number))
        states = [str(state) for state in status_filter or []]
        found, total = await status.page(scope, states, search, created_from, created_to, page.offset, page.limit)
        return make_page([CampaignOut.model_validate(item) for item in found], total, page)

    @router.get("/campaigns/{campaign_id}/failed", summary="What was not sent")
    async def failed(
        campaign_id: CampaignId,
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: SenderNumber = None,
    ) -> MessagePage:
        """The recipients that failed, and those whose fate nobody can tell, with the reason of each."""
        row = await steering.get(str(campaign_id), scope_of_id(service.phones, caller, sender_number))
        return await message_page(row, [MessageState.FAILED, MessageState.UNCONFIRMED], page)

    @router.get("/campaigns/{campaign_id}/messages/{message_id}", summary="One recipient")
    async def one_message(
        campaign_id: CampaignId,
        message_id: MessageId,
        caller: Who,
        sender_number: SenderNumber = None,
    ) -> MessageOut:
        """One recipient's status and, while it waits, why."""
        row = await steering.get(str(campaign_id), scope_of_id(service.phones, caller, sender_number))
        return MessageOut.model_validate(await status.message(row, str(message_id)))

    return router

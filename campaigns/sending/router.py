"""Routes of campaigns: send, preview, look, steer."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query

from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.schemas import (
    BadRow,
    CampaignOut,
    MessageOut,
    MessagePage,
    Moment,
    PlainText,
    PreviewAnswer,
    Sample,
    SendAnswer,
    SendRequest,
    StatusOut,
)
from campaigns.sending.service import CampaignService, bad_rows
from campaigns.sending.status import StatusReader, campaign_out
from gateway.auth.access import Access, Caller
from gateway.http.pages import Page, PageRequest, make_page
from sessions.schemas import as_time, in_utc

CampaignId = Annotated[UUID, Path(description="The `campaign_id` that /api/send answered")]
SenderNumber = Annotated[str | None, Query(description="Whose; a campaign of another sender is 404", max_length=40)]
SAMPLES = 3


def build_router(service: CampaignService, status: StatusReader, access: Access) -> APIRouter:
    """The routes under `/api/send`, `/api/status` and `/api/campaigns`."""
    router = APIRouter(prefix="/api", tags=["campaigns"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type

    def scope_of_id(caller: Caller, sender_number: str | None) -> str | None:
        """In open mode a campaign's id is enough: it cannot be guessed."""
        number = service.phones.optional_digits(sender_number)
        return number if number is None and caller.is_open else caller.scope(number)

    @router.post("/send", status_code=201, summary="Submit a campaign")
    async def send(
        body: SendRequest,
        caller: Who,
        idempotency_key: Annotated[
            str | None,
            Header(max_length=255, description="The same key gives the same answer, and sends nothing again"),
        ] = None,
    ) -> SendAnswer:
        """Queue one text for many recipients. Each number gets it once, however often it is listed.

        409 `SESSION_NOT_CONNECTED` if a sender cannot send (unless `queue_if_offline`); 422 naming every bad row, and
        nothing is queued (unless `on_bad_row` is `partial`).
        """
        answer = await service.submit(caller, body, idempotency_key)
        return SendAnswer.model_validate(
            {
                **campaign_out(answer["campaign"], answer["sender_numbers"]),
                "duplicates": answer["duplicates"],
                "invalid": answer["invalid"],
                "grades": answer["grades"],
                "estimated_finish": as_time(answer["finish_at"]),
            }
        )

    @router.post("/send/preview", summary="What would happen")
    async def preview(body: SendRequest, caller: Who) -> PreviewAnswer:
        """Check a campaign without storing or sending anything: who would get what, through whom, until when."""
        submission, forecast = await service.preview(caller, body)
        prepared = submission.prepared
        told = {row["index"]: BadRow.model_validate(row) for row in bad_rows(prepared)}
        return PreviewAnswer(
            valid=len(prepared.rows),
            duplicates=prepared.duplicates,
            invalid=[told[row.index] for row in prepared.invalid if row.index in told],
            invalid_count=len(prepared.invalid),
            missing_variables=[told[row.index] for row in prepared.missing if row.index in told],
            missing_variables_count=len(prepared.missing),
            grades=dict(prepared.grades),
            samples=[
                Sample(recipient=phone.e164, text=body.template if text is None else text)
                for phone, text in prepared.rows[:SAMPLES]
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
        sender_number: SenderNumber = None,
    ) -> StatusOut:
        """How far it is, what it waits for, and when it will be done."""
        row = await service.get(str(campaign_id), scope_of_id(caller, sender_number))
        answer = StatusOut.model_validate(await status.of(row))
        if details:
            answer.messages = await message_page(row, [str(state) for state in status_filter or []], page)
        return answer

    async def message_page(row: Any, states: Sequence[str], page: PageRequest) -> MessagePage:
        items, total = await status.messages(row, states, page.offset, page.limit)
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
        number = caller.scope(service.phones.optional_digits(sender_number))
        states = [str(state) for state in status_filter or []]
        found, total = await status.page(number, states, search, created_from, created_to, page.offset, page.limit)
        return make_page([CampaignOut.model_validate(item) for item in found], total, page)

    @router.get("/campaigns/{campaign_id}/failed", summary="What was not sent")
    async def failed(
        campaign_id: CampaignId,
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: SenderNumber = None,
    ) -> MessagePage:
        """The recipients that failed, and those whose fate nobody can tell, with the reason of each."""
        row = await service.get(str(campaign_id), scope_of_id(caller, sender_number))
        return await message_page(row, [MessageState.FAILED, MessageState.UNCONFIRMED], page)

    @router.get("/campaigns/{campaign_id}/messages/{message_id}", summary="One recipient")
    async def one_message(
        campaign_id: CampaignId,
        message_id: Annotated[UUID, Path(description="The `id` of a message in the campaign's details")],
        caller: Who,
        sender_number: SenderNumber = None,
    ) -> MessageOut:
        """One recipient's status and, while it waits, why."""
        row = await service.get(str(campaign_id), scope_of_id(caller, sender_number))
        return MessageOut.model_validate(await status.message(row, str(message_id)))

    @router.post("/campaigns/{campaign_id}/pause", summary="Pause")
    async def pause(campaign_id: CampaignId, caller: Who, sender_number: SenderNumber = None) -> StatusOut:
        """Send nothing more until it is resumed; what is in flight is finished."""
        row = await service.pause(str(campaign_id), scope_of_id(caller, sender_number))
        return StatusOut.model_validate(await status.of(row))

    @router.post("/campaigns/{campaign_id}/resume", summary="Resume")
    async def resume(campaign_id: CampaignId, caller: Who, sender_number: SenderNumber = None) -> StatusOut:
        """Go on with a paused campaign."""
        row = await service.resume(str(campaign_id), scope_of_id(caller, sender_number))
        return StatusOut.model_validate(await status.of(row))

    @router.post("/campaigns/{campaign_id}/cancel", summary="Cancel")
    async def cancel(campaign_id: CampaignId, caller: Who, sender_number: SenderNumber = None) -> StatusOut:
        """Send nothing more, ever. After the answer nothing starts; what was in flight is finished."""
        row = await service.cancel(str(campaign_id), scope_of_id(caller, sender_number))
        return StatusOut.model_validate(await status.of(row))

    return router

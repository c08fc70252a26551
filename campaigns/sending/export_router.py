"""The route that gives a campaign as a file."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from campaigns.sending.exporting import COLUMNS, MessageExport
from campaigns.sending.models import MessageState
from campaigns.sending.steering import Steering
from campaigns.sending.steering_router import CampaignId, SenderNumber, scope_of_id
from gateway.auth.access import Access, Caller, PhoneReader
from gateway.http.csv_stream import CsvResponse, csv_answer, stream_csv
from gateway.late_routes import LateRouter

EXAMPLE = (
    f"{','.join(COLUMNS)}\r\n"
    '01a1fb76-b031-7b43-9d8e-a57d616216a4,447700900101,read,447700900001,"Hello, Ada",1,'
    "2026-11-21T09:00:02Z,2026-11-21T09:00:03Z,2026-11-21T09:05:00Z,,\r\n"
)


def build_router(export: MessageExport, steering: Steering, access: Access, phones: PhoneReader) -> APIRouter:
    """The route `/api/campaigns/{campaign_id}/export`."""
    router = LateRouter(prefix="/api/campaigns", tags=["campaigns"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type

    @router.get(
        "/{campaign_id}/export",
        summary="A campaign as CSV",
        response_class=CsvResponse,
        responses=csv_answer("Every recipient with what became of it, in order", EXAMPLE),
    )
    async def export_campaign(
        campaign_id: CampaignId,
        caller: Who,
        status_filter: Annotated[
            list[MessageState] | None, Query(alias="status", description="Messages of these states only")
        ] = None,
        sender_number: SenderNumber = None,
    ) -> CsvResponse:
        """Every recipient in a file for spreadsheets: UTF-8, numbers as digits, times in UTC.

        A text that a spreadsheet would take for a formula begins with an apostrophe.
        """
        row = await steering.get(str(campaign_id), scope_of_id(phones, caller, sender_number))
        rows = export.rows(row, [str(state) for state in status_filter or []])
        return await stream_csv(f"campaign-{row.id}.csv", COLUMNS, rows)

    return router

"""The route of reports."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from campaigns.reports.schemas import CampaignReport
from campaigns.reports.service import ReportReader
from campaigns.sending.steering import Steering
from campaigns.sending.steering_router import CampaignId, SenderNumber, scope_of_id
from campaigns.sending.wall_clock import is_zone
from gateway.auth.access import Access, Caller, PhoneReader
from gateway.errors import FieldError, ValidationFailed
from gateway.late_routes import LateRouter


def build_router(reports: ReportReader, steering: Steering, access: Access, phones: PhoneReader) -> APIRouter:
    """The route `/api/campaigns/{campaign_id}/report`."""
    router = LateRouter(prefix="/api/campaigns", tags=["campaigns"])

    @router.get("/{campaign_id}/report", summary="What became of a campaign")
    async def report(
        campaign_id: CampaignId,
        caller: Annotated[Caller, Depends(access.caller)],
        timezone: Annotated[
            str | None,
            Query(max_length=64, description="Whose hours they are, as an IANA name; the campaign's own if not said"),
        ] = None,
        sender_number: SenderNumber = None,
    ) -> CampaignReport:
        """How far its messages came, through whom and when, how long it took, and what to do about what failed."""
        if timezone is not None and not is_zone(timezone):
            message = "is no time zone that is known here"
            raise ValidationFailed(f"timezone {message}", errors=[FieldError("timezone", message, "invalid")])
        row = await steering.get(str(campaign_id), scope_of_id(phones, caller, sender_number))
        return await reports.of(row, timezone)

    return router

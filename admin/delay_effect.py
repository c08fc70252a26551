"""The operator's route that tells what other delays would do, before they are set."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from admin.schemas import MAX_DELAY_SECONDS, DelayShown
from campaigns.sending.delay_effect import DelayEffectReader
from gateway.auth.access import Access
from gateway.late_routes import LateRouter
from sessions.schemas import as_time

_CAMPAIGN: dict[str, Any] = {
    "campaign_id": "019aa2b4-1c00-7000-8000-000000000001",
    "name": "Orders of today",
    "status": "running",
    "pending": 120,
    "finish_now": "2026-11-21T09:10:00Z",
    "finish_then": "2026-11-21T09:20:00Z",
}
Seconds = Annotated[
    float | None,
    Query(ge=0, le=MAX_DELAY_SECONDS, allow_inf_nan=False, description="Seconds; the present ones if left out"),
]


class CampaignEffect(BaseModel):
    """When a campaign would be done; null while nobody can send."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CAMPAIGN]})

    campaign_id: str
    name: str
    status: str
    pending: int = Field(description="Not sent yet")
    finish_now: datetime | None = Field(description="Under the delays that hold")
    finish_then: datetime | None = Field(description="Under those that were asked about")


class DelayEffectOut(BaseModel):
    """What the delays that were asked about would do; nothing was changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"MESSAGE_DELAY": 4, "SENDER_SWITCH_DELAY": 5, "campaigns": [_CAMPAIGN], "total": 1}]
        }
    )

    MESSAGE_DELAY: DelayShown
    SENDER_SWITCH_DELAY: DelayShown
    campaigns: list[CampaignEffect] = Field(description="Queued and running ones, the oldest first, at most 20")
    total: int = Field(description="How many are queued or running")


def build_router(reader: DelayEffectReader, access: Access) -> APIRouter:
    """The route `/api/admin/delays/effect`."""
    router = LateRouter(prefix="/api/admin/delays", tags=["admin"], dependencies=[Depends(access.admin)])

    @router.get("/effect", summary="What other delays would do")
    async def effect(
        MESSAGE_DELAY: Seconds = None,  # noqa: N803 - the word of the API
        SENDER_SWITCH_DELAY: Seconds = None,  # noqa: N803 - the word of the API
    ) -> DelayEffectOut:
        """When what is queued and running would be done under these delays. Nothing is changed.

        Senders with a delay of their own keep it, and nobody else is taken to use a campaign's senders.
        """
        found = await reader.of(MESSAGE_DELAY, SENDER_SWITCH_DELAY)
        campaigns = [
            CampaignEffect(
                campaign_id=one.row.id,
                name=one.row.name,
                status=one.row.state,
                pending=one.row.n_queued + one.row.n_sending,
                finish_now=as_time(one.finish_now),
                finish_then=as_time(one.finish_then),
            )
            for one in found.campaigns
        ]
        return DelayEffectOut(
            MESSAGE_DELAY=found.delays.message,
            SENDER_SWITCH_DELAY=found.delays.switch,
            campaigns=campaigns,
            total=found.total,
        )

    return router

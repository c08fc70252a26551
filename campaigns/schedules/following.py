"""A schedule's status follows its campaign's state, in the transaction that moves the campaign.

It stands in the schedule's own row because lists are filtered and counted by it, beside what is only there.
"""

from collections.abc import Iterable

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules.models import Schedule, ScheduleStatus
from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.tables import campaign
from gateway.batch import is_among, pack_values
from gateway.db import ID, table_of

schedule = table_of(Schedule)

SENT_STATES = (CampaignState.COMPLETED, CampaignState.COMPLETED_WITH_ERRORS)

_STATUS = case(
    (campaign.c.state.in_(OPEN_STATES), ScheduleStatus.PROCESSING),  # also one that was archived, and is retried
    (schedule.c.archived_at.is_not(None), ScheduleStatus.ARCHIVED),
    (campaign.c.state.in_(SENT_STATES), ScheduleStatus.SENT),
    (campaign.c.state == CampaignState.FAILED, ScheduleStatus.FAILED),
    (campaign.c.state == CampaignState.CANCELLED, ScheduleStatus.CANCELLED),
    (schedule.c.processing_at.is_not(None), ScheduleStatus.PROCESSING),
    else_=ScheduleStatus.PENDING,
)
_FOLLOW = (
    update(schedule)
    .where(is_among(schedule.c.campaign_id, "ids", ID))
    .values(status=select(_STATUS).where(campaign.c.id == schedule.c.campaign_id).correlate(schedule).scalar_subquery())
)


async def follow(tx: AsyncConnection, campaign_ids: Iterable[str]) -> None:
    """Have the schedules among these campaigns, which were moved in this transaction, tell their new status."""
    await tx.execute(_FOLLOW, {"ids": pack_values(campaign_ids)})


async def note_cancel(tx: AsyncConnection, campaign_id: str, now: float, by: str | None) -> None:
    """Write down in a campaign's schedule, if it has one, when it was cancelled at the campaign's door, and by whom."""
    values = {"cancelled_at": now, "cancelled_by": by}
    await tx.execute(update(schedule).where(schedule.c.campaign_id == campaign_id).values(**values))

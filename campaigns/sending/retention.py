"""What is not needed any more is removed: files of ended campaigns, and old answers about numbers.

And what a process that died has left behind: messages of a submit that had not stored their campaign, and messages of a
cancelled campaign that are still queued.
"""

import structlog
from sqlalchemy import delete, select

from campaigns.audience import numbers
from campaigns.sending import queries
from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.steering import cancel_messages
from campaigns.sending.submitting import remove_messages
from campaigns.sending.tables import campaign, media
from gateway.db import Database
from gateway.ids import first_id

log = structlog.get_logger()

MEDIA_GRACE_SECONDS = 86_400
"""A file stays a day longer than its campaign, so that a retry still finds it."""
LEFT_OVER_SECONDS = 3600.0
"""Longer than any submit that may still succeed: see `submitting.STORING_SECONDS`."""


async def forget_old(db: Database, now: float) -> None:
    """Remove what is older than it needs to be at `now` (epoch seconds, by the database's clock)."""
    open_states = (*OPEN_STATES, CampaignState.SCHEDULED)
    needed = select(campaign.c.media_id).where(
        campaign.c.media_id.is_not(None),
        campaign.c.state.in_(open_states) | (campaign.c.finished_at > now - MEDIA_GRACE_SECONDS),
    )
    async with db.write(bulk=True) as tx:
        await numbers.forget_old(tx, now)
        await tx.execute(delete(media).where(media.c.created_at < now - MEDIA_GRACE_SECONDS, media.c.id.not_in(needed)))
    await _remove_left_over(db, now)
    await _finish_cancels(db)


async def _remove_left_over(db: Database, now: float) -> None:
    async with db.read() as connection:
        campaign_ids = await queries.left_over(connection, first_id(now - LEFT_OVER_SECONDS))
    for campaign_id in campaign_ids:
        await remove_messages(db, campaign_id)
        log.info("left_over_removed", campaign_id=campaign_id)


async def _finish_cancels(db: Database) -> None:
    async with db.read() as connection:
        campaign_ids = await queries.half_cancelled(connection)
    for campaign_id in campaign_ids:
        await cancel_messages(db, campaign_id)
        log.info("cancel_finished", campaign_id=campaign_id)

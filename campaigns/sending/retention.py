"""What is not needed any more is removed: files of ended campaigns, old answers to idempotency keys and on numbers."""

from sqlalchemy import delete, select

from campaigns.audience import numbers
from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.tables import campaign, idempotency_key, media
from gateway.db import Database

KEY_SECONDS = 7 * 86_400
MEDIA_GRACE_SECONDS = 86_400
"""A file stays a day longer than its campaign, so that a retry still finds it."""


async def forget_old(db: Database, now: float) -> None:
    """Remove what is older than it needs to be at `now` (epoch seconds)."""
    open_states = (*OPEN_STATES, CampaignState.SCHEDULED)
    needed = select(campaign.c.media_id).where(
        campaign.c.media_id.is_not(None),
        campaign.c.state.in_(open_states) | (campaign.c.finished_at > now - MEDIA_GRACE_SECONDS),
    )
    async with db.write() as tx:
        await numbers.forget_old(tx, now)
        await tx.execute(delete(idempotency_key).where(idempotency_key.c.created_at < now - KEY_SECONDS))
        await tx.execute(delete(media).where(media.c.created_at < now - MEDIA_GRACE_SECONDS, media.c.id.not_in(needed)))

"""What was not sent in time is skipped, never sent stale: messages with times of their own, and whole schedules.

As a whole campaign that has begun is sent to its end, so are the messages of a moment that passed while their campaign
was being sent, however long the line before them. Late are those whose moment passed while nothing of it was sent: no
process ran, no sender was connected, or it was paused.

A schedule begins when one of its senders can send as far as is known. It may turn out that none could: then nothing of
it has left when its `max_lateness` is over, and it is given up (`alarms.py` looks then). One that only waits for its
turn, a pause or a cap is not late.
"""

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.durations import told
from campaigns.sending.claim_statements import HAS_TIME
from campaigns.sending.counting import finish_campaigns
from campaigns.sending.lanes import SHORT_RESTS
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Turn
from campaigns.sending.queries import end_queued
from campaigns.sending.rows import OfferedCampaign
from campaigns.sending.tables import campaign, campaign_sender, lane, message, server, session
from gateway.db import AnyRow
from sessions.models import SessionState

TOO_LATE = "too_late"
SKIPPED_AT_ONCE = 1000
"""How many messages are skipped in one turn: all lanes wait for it."""
SLEPT_SECONDS = 30.0
"""A time that is noticed so much later has passed while no process ran."""
LOOK_AGAIN_SECONDS = 60.0
"""At most so often it is looked whether a schedule that waits for its turn could still be sent."""

_ABLE = select(
    exists(
        select(campaign_sender.c.sender_id)
        .join(session, session.c.sender_id == campaign_sender.c.sender_id)
        .join(server, server.c.id == session.c.server_id)
        .join(lane, lane.c.sender_id == campaign_sender.c.sender_id)
        .where(
            campaign_sender.c.campaign_id == bindparam("b_id"),
            session.c.state == SessionState.CONNECTED,
            server.c.up,
            lane.c.resting_code.not_in(SHORT_RESTS),
        )
    )
)


def late_at(row: AnyRow, opens_at: float) -> float | None:
    """When a campaign is late of which nothing has left (epoch seconds); None if it is none that may be late.

    `row` is the campaign's, and `opens_at` when its present window opened or its next one will.
    """
    waits = row.state in (CampaignState.QUEUED, CampaignState.RUNNING) and row.next_at is None
    if row.max_lateness is None or not waits or row.total > row.n_queued + row.n_sending + row.n_skipped:
        return None
    return float(max(row.starts_at or 0.0, opens_at) + row.max_lateness)


async def could_be_sent(tx: AsyncConnection, row: AnyRow, turn: Turn) -> bool:
    """Whether a campaign that is late waits for nothing but its turn: one of its senders can send."""
    if turn.now - row.alarm_at > SLEPT_SECONDS:
        return False
    return bool((await tx.execute(_ABLE, {"b_id": row.id})).scalar_one())


async def give_up(tx: AsyncConnection, row: AnyRow, turn: Turn) -> bool:
    """Skip what a late campaign has queued, a slice in each turn; False if it has ended by that."""
    reason = _reason(row.max_lateness)
    skipped = await end_queued(tx, row.id, MessageState.SKIPPED, TOO_LATE, reason, turn.now, limit=SKIPPED_AT_ONCE)
    await tx.execute(update(campaign).where(campaign.c.id == row.id).values(reason=reason))
    await finish_campaigns(tx, turn, [row.id])
    return skipped == SKIPPED_AT_ONCE


def _reason(max_lateness: float) -> str:
    return f"nothing could be sent within {told(max_lateness)} of its time (max_lateness)"


def may_be_late(row: OfferedCampaign, now: float) -> bool:
    """Whether a campaign may have late messages: it has sent nothing for as long as they may be late."""
    if row.max_lateness is None or row.next_at is None:
        return False
    return max(row.next_at, row.last_answer_at or 0.0) < now - row.max_lateness


async def skip_late(tx: AsyncConnection, row: OfferedCampaign, turn: Turn) -> bool:
    """Skip the late messages of a campaign, which is locked, and end it where none is left; False if none is late.

    One that was tried before is tried again whenever that is.
    """
    most = row.max_lateness or 0.0
    late = (
        HAS_TIME,
        message.c.not_before > (row.last_answer_at or 0.0),
        message.c.not_before < turn.now - most,
        message.c.attempts == 0,
    )
    skipped = await end_queued(
        tx, row.id, MessageState.SKIPPED, TOO_LATE, _reason(most), turn.now, limit=SKIPPED_AT_ONCE, where=late
    )
    if skipped:
        await finish_campaigns(tx, turn, [row.id])
    return skipped > 0

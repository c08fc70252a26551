"""What the clock does to campaigns: they start, their hours begin and end, and what was not sent in time ends.

Each campaign that has anything of that keeps the time of the next such moment in its row (`alarm_at`), so that any
number of them costs nothing while it waits. They are looked at in the turns of the lanes.
"""

from sqlalchemy import ColumnElement, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.counting import finish_campaigns
from campaigns.sending.hours import Hours, alarm, window
from campaigns.sending.lanes import wake_campaign_at
from campaigns.sending.lateness import LOOK_AGAIN_SECONDS, could_be_sent, give_up, late_at
from campaigns.sending.models import OPEN_STATES, CampaignState, MessageState
from campaigns.sending.outcomes import Due, Turn
from campaigns.sending.queries import end_queued
from campaigns.sending.tables import campaign, campaign_sender
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow

BATCH = 50
EXPIRED_AT_ONCE = 1000
"""How many messages expire in one turn: all lanes wait for it."""
AGAIN_SECONDS = 5.0
EXPIRED_CODE = "expired"
EXPIRED_REASON = "its latest time was over before everything was sent"
EXPIRED = "it was not sent in time: the campaign's latest time is over"

START_LEASE_SECONDS = 10.0
"""How long whoever begins a schedule has it without saying that they are still at it."""

# as the indexes say it: only then SQLite uses them
IS_FILLED: ColumnElement[bool] = literal_column("NOT campaign.unfilled")
IS_UNFILLED: ColumnElement[bool] = literal_column("campaign.unfilled")

_RINGING = (
    select(
        campaign.c.id,
        campaign.c.state,
        campaign.c.starts_at,
        campaign.c.expires_at,
        campaign.c.timezone,
        campaign.c.quiet_from,
        campaign.c.quiet_to,
        campaign.c.weekdays,
        campaign.c.opens_at,
        campaign.c.alarm_at,
        campaign.c.max_lateness,
        campaign.c.next_at,
        campaign.c.total,
        campaign.c.n_queued,
        campaign.c.n_sending,
        campaign.c.n_skipped,
    )
    .where(campaign.c.alarm_at <= bindparam("now"), IS_FILLED)
    .order_by(campaign.c.alarm_at)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_DUE = (
    select(campaign.c.id)
    .where(campaign.c.alarm_at <= bindparam("now"), IS_UNFILLED, campaign.c.state == CampaignState.SCHEDULED)
    .order_by(campaign.c.alarm_at)
    .limit(bindparam("starts"))
    .with_for_update(skip_locked=True)
)
_LEASE = update(campaign).where(is_among(campaign.c.id, "ids", ID)).values(alarm_at=bindparam("b_lease"))
_SET = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        opens_at=bindparam("b_opens_at"),
        closes_at=bindparam("b_closes_at"),
        alarm_at=bindparam("b_alarm_at"),
    )
)
_AGAIN = update(campaign).where(campaign.c.id == bindparam("b_id")).values(alarm_at=bindparam("b_alarm_at"))
_SAY_WHY = update(campaign).where(campaign.c.id == bindparam("b_id")).values(reason=bindparam("b_reason"))
_ENTER_LANES = update(campaign_sender).where(campaign_sender.c.campaign_id == bindparam("b_id")).values(open=True)


async def ring(tx: AsyncConnection, turn: Turn) -> int:
    """Do what is due to campaigns by the clock; to how many. What another transaction holds is passed over."""
    rows = (await tx.execute(_RINGING, {"now": turn.now})).all()
    for row in rows:
        hours = Hours(
            timezone=row.timezone,
            quiet_from=row.quiet_from,
            quiet_to=row.quiet_to,
            weekdays=row.weekdays,
            starts_at=row.starts_at,
            expires_at=row.expires_at,
        )
        if row.state not in (*OPEN_STATES, CampaignState.SCHEDULED):
            await _set(tx, row, row.state, hours, turn.now, alarm_at=None)
        elif hours.expires_at is not None and hours.expires_at <= turn.now:
            await _expire(tx, turn, row, hours)
        elif (late := late_at(row, row.opens_at)) is not None and late <= turn.now:
            await _judge_late(tx, turn, row, hours)
        else:
            await _go_on(tx, turn, row, hours)
    return len(rows)


async def hand_over(tx: AsyncConnection, turn: Turn, starts: int) -> int:
    """Take schedules whose time has come, or whose taker has died, for this replica to begin; returns how many.

    Their messages have to be stored first, which is no work for a turn of the lanes.
    """
    ids = (await tx.execute(_DUE, {"now": turn.now, "starts": min(starts, BATCH)})).scalars().all()
    if ids:
        lease = turn.now + START_LEASE_SECONDS
        await tx.execute(_LEASE, {"ids": pack_values(ids), "b_lease": lease})
        turn.due += [Due(campaign_id, lease) for campaign_id in ids]
    return len(ids)


async def _judge_late(tx: AsyncConnection, turn: Turn, row: AnyRow, hours: Hours) -> None:
    """Give up a schedule of which nothing was sent in time; one that is being sent or waits for its turn goes on."""
    if row.n_sending or await could_be_sent(tx, row, turn):
        again_at = turn.now + (AGAIN_SECONDS if row.n_sending else max(row.max_lateness, LOOK_AGAIN_SECONDS))
        current = window(hours, turn.now)
        moment = alarm(hours, current, turn.now, scheduled=False)
        await _set(tx, row, row.state, hours, turn.now, again_at if moment is None else min(moment, again_at))
    elif await give_up(tx, row, turn):
        await tx.execute(_AGAIN, {"b_id": row.id, "b_alarm_at": turn.now})


async def _go_on(tx: AsyncConnection, turn: Turn, row: AnyRow, hours: Hours) -> None:
    """Start it, or find its next window. What was to be sent may have been cancelled or skipped while it waited."""
    starts = row.state == CampaignState.SCHEDULED and (hours.starts_at or 0.0) <= turn.now
    state = CampaignState.QUEUED if starts else row.state
    scheduled = state == CampaignState.SCHEDULED
    current = window(hours, turn.now)
    moments = (alarm(hours, current, turn.now, scheduled=scheduled), late_at(row, current.opens_at))
    await _set(tx, row, state, hours, turn.now, min((at for at in moments if at is not None), default=None))
    if starts:
        await tx.execute(_ENTER_LANES, {"b_id": row.id})
    if not scheduled:
        await wake_campaign_at(tx, turn.delays, row.id, max(current.opens_at, turn.now))
        if not row.n_queued and not row.n_sending:
            await finish_campaigns(tx, turn, [row.id])


async def _expire(tx: AsyncConnection, turn: Turn, row: AnyRow, hours: Hours) -> None:
    """Skip what still waits, a slice in each turn. Nothing leaves meanwhile: the last window closes at the expiry."""
    state = CampaignState.QUEUED if row.state == CampaignState.SCHEDULED else row.state
    skipped = await end_queued(tx, row.id, MessageState.SKIPPED, EXPIRED_CODE, EXPIRED, turn.now, limit=EXPIRED_AT_ONCE)
    # what is uncertain may yet come back to the queue
    again_at = turn.now if skipped == EXPIRED_AT_ONCE else turn.now + AGAIN_SECONDS
    await _set(tx, row, state, hours, turn.now, again_at)
    if skipped:
        await tx.execute(_SAY_WHY, {"b_id": row.id, "b_reason": EXPIRED_REASON})
    await finish_campaigns(tx, turn, [row.id])


async def _set(tx: AsyncConnection, row: AnyRow, state: str, hours: Hours, now: float, alarm_at: float | None) -> None:
    current = window(hours, now)
    await tx.execute(
        _SET,
        {
            "b_id": row.id,
            "b_state": state,
            "b_opens_at": current.opens_at,
            "b_closes_at": current.closes_at,
            "b_alarm_at": alarm_at,
        },
    )

"""The queue in SQL: one transaction settles what has ended and claims what is due.

Locks are taken in the order lanes, messages, campaigns when settling; claiming only takes rows that nobody holds
(SKIP LOCKED on PostgreSQL; SQLite has one writer), so it never waits. Nothing here talks to WAHA.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.alarms import IS_FILLED, IS_UNFILLED, hand_over, ring
from campaigns.sending.claiming import claim_due
from campaigns.sending.clock_readings import ClockReadings
from campaigns.sending.lanes import (
    MESSAGE_DELAY,
    SENDER_SWITCH_DELAY,
    forget_the_future,
    judge_caps_anew,
    look_at_fallen,
    look_at_forgotten,
    recompute_due,
)
from campaigns.sending.models import IDLE
from campaigns.sending.outcomes import Claim, QueueSettings, Turn, TurnRequest
from campaigns.sending.pacing import Delays
from campaigns.sending.settling import settle
from campaigns.sending.tables import campaign, lane, setting
from gateway.batch import batch, pack
from gateway.clock import Clock
from gateway.db import SECONDS

_NEXT_ALARM = select(func.min(campaign.c.alarm_at)).where(campaign.c.alarm_at.is_not(None), IS_FILLED).scalar_subquery()
_NEXT_START = (
    select(func.min(campaign.c.alarm_at)).where(campaign.c.alarm_at.is_not(None), IS_UNFILLED).scalar_subquery()
)
_START = select(
    func.gateway_now().label("now"),
    select(setting.c.value).where(setting.c.key == MESSAGE_DELAY).scalar_subquery().label("message_delay"),
    select(setting.c.value).where(setting.c.key == SENDER_SWITCH_DELAY).scalar_subquery().label("switch_delay"),
    _NEXT_ALARM.label("alarm_at"),
    _NEXT_START.label("start_at"),
)
_FREE = select(func.min(lane.c.due_at)).where(lane.c.owner.is_(None)).scalar_subquery()
_HELD = select(func.min(lane.c.due_at)).where(lane.c.owner.is_not(None)).scalar_subquery()
_NEXT = select(_FREE.label("free"), _HELD.label("held"), _NEXT_ALARM.label("alarm_at"), _NEXT_START.label("start_at"))
_renewed = batch("renewed", sender_id=Integer(), epoch=BigInteger())
_RENEW = (
    update(lane)
    .where(
        lane.c.sender_id == _renewed.c.sender_id,
        lane.c.epoch == _renewed.c.epoch,
        lane.c.owner == bindparam("replica"),
    )
    .values(due_at=bindparam("until", type_=SECONDS))
    .returning(lane.c.sender_id)
)


HELD_SECONDS = 0.05
"""When to look again at alarms that other transactions hold."""


async def take_turn(
    tx: AsyncConnection,
    settings: QueueSettings,
    asked: TurnRequest,
    clock: Clock,
    readings: ClockReadings | None = None,
) -> Turn:
    """Settle, renew leases, do what the clock does to campaigns, and claim what is due.

    Before the database's time is read, this process's own is: so an answer's age is never overestimated. After it, it
    is read again: so nothing fires early. A gap never comes out shorter than told; with the `readings` of earlier turns
    hardly longer.
    """
    before = clock.monotonic()
    start = (await tx.execute(_START)).one()
    now = float(start.now)
    before, after = (readings or ClockReadings()).note(before, now, clock.monotonic())
    delays = Delays(message=start.message_delay or 0.0, switch=start.switch_delay or 0.0)
    turn = Turn(now, after, delays)
    if asked.mending_times:
        await forget_the_future(tx, turn.now, settings.lease_seconds)
    if asked.delays_before not in (None, delays):
        await recompute_due(tx)  # before any other lane is locked: who changes delays locks them in the same order
    if asked.renewals:
        turn.renewed = await _renew(tx, settings, asked.renewals, turn.now)
    if asked.outcomes:
        await settle(tx, settings, turn, asked.outcomes, before)
    if asked.looking_for_fallen:
        await look_at_fallen(tx, turn.now, settings.poll_seconds, settings.locked_poll_seconds)
        await look_at_forgotten(tx, turn.now, first=asked.first)
    if asked.first:
        await judge_caps_anew(tx, turn.now)
    if asked.claiming:
        ringing = start.alarm_at is not None and start.alarm_at <= turn.now
        all_held = ringing and await ring(tx, turn) == 0
        starting = asked.starts > 0 and start.start_at is not None and start.start_at <= turn.now
        all_held = (starting and await hand_over(tx, turn, asked.starts) == 0) or all_held
        await claim_due(tx, settings, turn, asked.room)
        look_again_at = await _look_again_at(tx, settings, starting=asked.starts > len(turn.due))
        turn.look_again_at = max(look_again_at, turn.now + HELD_SECONDS) if all_held else look_again_at
    return turn


async def _look_again_at(tx: AsyncConnection, settings: QueueSettings, *, starting: bool) -> float:
    """Some time ahead of when the next lane may send; a lane that is held, and a campaign's alarm, at the very time.

    Without room for another start, the next one is none to wait for: whoever makes room tells.
    """
    row = (await tx.execute(_NEXT)).one()
    ahead = None if row.free is None else row.free - settings.ahead_seconds
    start_at = row.start_at if starting else None
    return min((at for at in (ahead, row.held, row.alarm_at, start_at) if at is not None), default=IDLE)


async def _renew(tx: AsyncConnection, settings: QueueSettings, renewals: Sequence[Claim], now: float) -> set[int]:
    """Renew leases; gives the senders whose lane was not taken over meanwhile."""
    rows = sorted((claim.sender_id, claim.epoch) for claim in renewals)
    renewed = {"renewed": pack(rows), "replica": settings.replica, "until": now + settings.lease_seconds}
    return set((await tx.execute(_RENEW, renewed)).scalars().all())

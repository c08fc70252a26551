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
    look_at_fallen,
    look_at_forgotten,
    recompute_due,
)
from campaigns.sending.models import IDLE
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Turn
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
    outcomes: Sequence[tuple[Claim, Outcome]],
    renewals: Sequence[Claim],
    clock: Clock,
    *,
    room: int = 500,
    starts: int = 0,
    claiming: bool = True,
    looking_for_fallen: bool = False,
    mending_times: bool = False,
    first: bool = False,
    delays_before: Delays | None = None,
    readings: ClockReadings | None = None,
) -> Turn:
    """Settle `outcomes`, renew the leases of `renewals`, do what the clock does to campaigns, and claim what is due.

    Before the database's time is read, this process's own is: so an answer's age is never overestimated. After it, it
    is read again: so nothing fires early. A gap never comes out shorter than told; with the `readings` of earlier turns
    hardly longer. `room`: how many lanes are looked at at most; `starts`: how many schedules may be begun.
    `mending_times`: the database's clock may have been set back since the last turn. `first`: it is this process's
    first turn. `delays_before` are those of this replica's last turn: where they have been changed during it, whoever
    changed them could not see the lanes that it freed.
    """
    before = clock.monotonic()
    start = (await tx.execute(_START)).one()
    now = float(start.now)
    before, after = (readings or ClockReadings()).note(before, now, clock.monotonic())
    delays = Delays(message=start.message_delay or 0.0, switch=start.switch_delay or 0.0)
    turn = Turn(now, after, delays)
    if mending_times:
        await forget_the_future(tx, turn.now, settings.lease_seconds)
    if delays_before not in (None, delays):
        await recompute_due(tx)  # before any other lane is locked: who changes delays locks them in the same order
    if renewals:
        turn.renewed = await _renew(tx, settings, renewals, turn.now)
    if outcomes:
        await settle(tx, settings, turn, outcomes, before)
    if looking_for_fallen:
        await look_at_fallen(tx, turn.now, settings.poll_seconds, settings.locked_poll_seconds)
        await look_at_forgotten(tx, turn.now, first=first)
    if claiming:
        ringing = start.alarm_at is not None and start.alarm_at <= turn.now
        all_held = ringing and await ring(tx, turn) == 0
        starting = starts > 0 and start.start_at is not None and start.start_at <= turn.now
        all_held = (starting and await hand_over(tx, turn, starts) == 0) or all_held
        await claim_due(tx, settings, turn, room)
        look_again_at = await _look_again_at(tx, settings, starting=starts > len(turn.due))
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

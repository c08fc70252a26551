"""The queue in SQL: one transaction settles what has ended and claims what is due.

Locks are taken in the order lanes, messages, campaigns when settling; claiming only takes rows that nobody holds
(SKIP LOCKED on PostgreSQL; SQLite has one writer), so it never waits. Nothing here talks to WAHA.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.claiming import claim_due
from campaigns.sending.lanes import look_at_fallen, read_delays
from campaigns.sending.models import IDLE
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Turn
from campaigns.sending.settling import settle
from campaigns.sending.tables import lane
from gateway.clock import Clock
from gateway.db import read_now

_NEXT_DUE = select(func.min(lane.c.due_at))


async def take_turn(
    tx: AsyncConnection,
    settings: QueueSettings,
    outcomes: Sequence[tuple[Claim, Outcome]],
    renewals: Sequence[Claim],
    clock: Clock,
    *,
    claiming: bool = True,
    looking_for_fallen: bool = False,
) -> Turn:
    """Settle `outcomes`, renew the leases of `renewals`, and claim what is due.

    Before the database's time is read, this process's own is: so an answer's age is never overestimated. After it, it
    is read again: so nothing fires early. A gap never comes out shorter than told.
    """
    before = clock.monotonic()
    now = await read_now(tx)
    turn = Turn(now=now, monotonic=clock.monotonic(), delays=await read_delays(tx))
    if renewals:
        await _renew(tx, settings, renewals, now)
    if outcomes:
        await settle(tx, settings, turn, outcomes, before)
    if looking_for_fallen:
        await look_at_fallen(tx, now, settings.poll_seconds, settings.locked_poll_seconds)
    if claiming:
        await claim_due(tx, settings, turn)
        turn.next_due_at = (await tx.execute(_NEXT_DUE)).scalar_one_or_none() or IDLE
    return turn


async def _renew(tx: AsyncConnection, settings: QueueSettings, renewals: Sequence[Claim], now: float) -> None:
    await tx.execute(
        update(lane)
        .where(
            lane.c.sender_id == bindparam("b_sender_id"),
            lane.c.epoch == bindparam("b_epoch"),
            lane.c.owner == settings.replica,
        )
        .values(due_at=now + settings.lease_seconds),
        [{"b_sender_id": claim.sender_id, "b_epoch": claim.epoch} for claim in renewals],
    )

"""Lanes and their clocks: the delays as they are set, and waking lanes that have something to do."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import IDLE
from campaigns.sending.pacing import Delays
from campaigns.sending.tables import campaign_sender, lane, sender, server, session, setting
from gateway.db import read_now
from sessions.models import SessionState

MESSAGE_DELAY = "MESSAGE_DELAY"
SENDER_SWITCH_DELAY = "SENDER_SWITCH_DELAY"

_DELAYS = select(setting.c.key, setting.c.value)


async def read_delays(tx: AsyncConnection) -> Delays:
    """The two delays as they are set now."""
    values = {row.key: row.value for row in await tx.execute(_DELAYS)}
    return Delays(message=values.get(MESSAGE_DELAY, 0.0), switch=values.get(SENDER_SWITCH_DELAY, 0.0))


def _ready(delays: Delays) -> ColumnElement[float]:
    """In SQL: when a lane may send again (NULL for one that never sent)."""
    return lane.c.last_answer_at + func.coalesce(lane.c.message_delay, delays.message) + lane.c.extra_delay


async def wake_lanes(
    tx: AsyncConnection, delays: Delays, at: float, senders: Any, *, skip_locked: bool = False
) -> None:
    """Have free lanes looked at as soon as they are ready, and not before `at`.

    `senders` is a list of sender ids or a select of them. A lane that is looked at earlier anyway stays as it is.
    With `skip_locked` a lane that another replica is looking at just now is left alone: it polls.
    """
    ready = _ready(delays)
    sleeping = (
        select(lane.c.sender_id)
        .where(lane.c.sender_id.in_(senders), lane.c.owner.is_(None), lane.c.message_id.is_(None), lane.c.due_at > at)
        .order_by(lane.c.sender_id)
        .with_for_update(skip_locked=skip_locked)
    )
    await tx.execute(
        update(lane).where(lane.c.sender_id.in_(sleeping)).values(due_at=case((ready > at, ready), else_=at))
    )


async def wake_campaign(tx: AsyncConnection, campaign_id: str) -> None:
    """Have all lanes of a campaign looked at now: it was submitted or resumed.

    Call it before the campaign's own row is changed: lanes are locked before campaigns, everywhere.
    """
    senders = select(campaign_sender.c.sender_id).where(campaign_sender.c.campaign_id == campaign_id)
    await wake_lanes(tx, await read_delays(tx), await read_now(tx), senders)


async def look_at_fallen(tx: AsyncConnection, now: float, poll_seconds: float, locked_poll_seconds: float) -> None:
    """Lanes whose sender has fallen or was locked while they rest: look at them now, so that others get their share."""
    able = (
        select(session.c.sender_id)
        .join(server, server.c.id == session.c.server_id)
        .where(session.c.sender_id == lane.c.sender_id, session.c.state == SessionState.CONNECTED, server.c.up)
        .correlate(lane)
    )
    locked = select(sender.c.id).where(sender.c.id == lane.c.sender_id, sender.c.locked_until > now).correlate(lane)
    fallen = (
        select(lane.c.sender_id)
        .where(
            lane.c.due_at > now + poll_seconds,
            lane.c.due_at < IDLE,
            lane.c.owner.is_(None),
            lane.c.message_id.is_(None),
            or_(~exists(able), and_(lane.c.due_at > now + locked_poll_seconds, exists(locked))),
        )
        .order_by(lane.c.sender_id)
        .with_for_update(skip_locked=True)
    )
    await tx.execute(update(lane).where(lane.c.sender_id.in_(fallen)).values(due_at=now))


async def look_at_settled(tx: AsyncConnection, message_ids: Sequence[str]) -> None:
    """Lanes that wait for an uncertain message of which WhatsApp has told meanwhile: look at them now."""
    await tx.execute(
        update(lane).where(lane.c.message_id.in_(message_ids), lane.c.owner.is_(None)).values(due_at=await read_now(tx))
    )


async def recompute_due(tx: AsyncConnection) -> None:
    """The delays have changed: every lane that waits gets its time anew, from the time of its last answer."""
    now, ready = await read_now(tx), _ready(await read_delays(tx))
    waiting = (
        select(lane.c.sender_id)
        .where(lane.c.owner.is_(None), lane.c.message_id.is_(None), lane.c.due_at < IDLE)
        .order_by(lane.c.sender_id)
        .with_for_update()
    )
    await tx.execute(
        update(lane).where(lane.c.sender_id.in_(waiting)).values(due_at=case((ready > now, ready), else_=now))
    )

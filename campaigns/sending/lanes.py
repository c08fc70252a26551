"""Lanes and their clocks: the delays as they are set, and waking lanes that have something to do."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Update, and_, bindparam, case, exists, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import caps
from campaigns.sending.claim_statements import ABLE_NEXT, IS_NEXT, LANE_HAS_SENT, LANE_HEARD
from campaigns.sending.models import IDLE, CampaignState, Rotation
from campaigns.sending.pacing import Delays
from campaigns.sending.tables import campaign, campaign_sender, lane, message, sender, server, session, setting
from gateway.db import SECONDS, read_now
from sessions.models import SessionState

MESSAGE_DELAY = "MESSAGE_DELAY"
SENDER_SWITCH_DELAY = "SENDER_SWITCH_DELAY"
JUMP_SECONDS = 1.0
"""A clock that is set back by less is left to catch up by itself."""
LONGEST_LEASE_SECONDS = 301.0
"""Longer than any that the settings allow."""
LONGEST_REST_SECONDS = 660.0
"""Longer than any rest after a refusal for which WAHA names no time."""
LONGEST_DAY_SECONDS = 26 * 3600.0
"""Longer than any day, also one on which the clock is changed; so nothing that a cap holds waits longer."""
CAPS = ("daily_cap", "hourly_cap")
SHORT_RESTS = ("server_down", "session_not_connected", "backoff")

_DELAYS = select(setting.c.key, setting.c.value)


async def read_delays(tx: AsyncConnection) -> Delays:
    """The two delays as they are set now."""
    values = {row.key: row.value for row in await tx.execute(_DELAYS)}
    return Delays(message=values.get(MESSAGE_DELAY, 0.0), switch=values.get(SENDER_SWITCH_DELAY, 0.0))


_READY = (
    lane.c.last_answer_at
    + func.coalesce(lane.c.message_delay, bindparam("b_delay", type_=SECONDS))
    + lane.c.extra_delay
)
"""When a lane may send again (NULL for one that never sent)."""


def _wake(*of_its_senders: ColumnElement[bool], skip_locked: bool) -> Update:
    """Have a campaign's free lanes looked at; one that is looked at earlier anyway stays as it is."""
    senders = (
        select(campaign_sender.c.sender_id)
        .join(campaign, campaign.c.id == campaign_sender.c.campaign_id)
        .where(campaign_sender.c.campaign_id == bindparam("b_campaign"), *of_its_senders)
    )
    sleeping = (
        select(lane.c.sender_id)
        .where(
            lane.c.sender_id.in_(senders),
            lane.c.owner.is_(None),
            lane.c.message_id.is_(None),
            lane.c.due_at > bindparam("b_at", type_=SECONDS),
        )
        .order_by(lane.c.sender_id)
        .with_for_update(skip_locked=skip_locked)
    )
    at = bindparam("b_at", type_=SECONDS)
    return update(lane).where(lane.c.sender_id.in_(sleeping)).values(due_at=case((at < _READY, _READY), else_=at))


_WAKE = _wake(skip_locked=False)
_WAKE_FREE = _wake(skip_locked=True)
_WAKE_NEXT = _wake(or_(IS_NEXT, campaign.c.rotation == Rotation.FASTEST), skip_locked=True)


async def wake_campaign_at(tx: AsyncConnection, delays: Delays, campaign_id: str, at: float) -> None:
    """Have the free lanes of a campaign looked at as soon as they are ready, and not before `at`.

    A lane that another replica is looking at just now is left alone: it polls.
    """
    await tx.execute(_WAKE_FREE, {"b_campaign": campaign_id, "b_at": at, "b_delay": delays.message})


async def wake_next_at(tx: AsyncConnection, delays: Delays, campaign_id: str, at: float, now: float) -> None:
    """The same for those only whose turn is next, where a campaign's messages leave one by one.

    Where none of them is able to send `now`, for all.
    """
    able = (await tx.execute(ABLE_NEXT, {"campaign": campaign_id, "now": now})).first()
    wake = _WAKE_FREE if able is None else _WAKE_NEXT
    await tx.execute(wake, {"b_campaign": campaign_id, "b_at": at, "b_delay": delays.message})


async def wake_campaign(tx: AsyncConnection, campaign_id: str) -> None:
    """Have all lanes of a campaign looked at now: it was submitted or resumed.

    Call it before the campaign's own row is changed: lanes are locked before campaigns, everywhere.
    """
    delay, now = (await read_delays(tx)).message, await read_now(tx)
    await tx.execute(_WAKE, {"b_campaign": campaign_id, "b_at": now, "b_delay": delay})


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


_OPEN_WORK = (
    select(campaign_sender.c.campaign_id)
    .join(campaign, campaign.c.id == campaign_sender.c.campaign_id)
    .where(
        campaign_sender.c.sender_id == lane.c.sender_id,
        literal_column("campaign_sender.open"),
        campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
        campaign.c.n_queued > 0,
        campaign.c.opens_at <= bindparam("now", type_=SECONDS),  # when its window opens, its alarm wakes them
        campaign.c.closes_at > bindparam("now", type_=SECONDS),
    )
    .correlate(lane)
)


async def look_at_forgotten(tx: AsyncConnection, now: float, *, first: bool) -> None:
    """Lanes that were found idle by a turn in the moment in which another transaction gave them work: look at them now.

    Neither sees what the other has not committed. On SQLite there is one writer, and no such moment: there it is only
    done in a process's `first` turn, for whatever the one before it has left.
    """
    if tx.dialect.name == "sqlite" and not first:
        return
    forgotten = (
        select(lane.c.sender_id)
        .where(lane.c.due_at >= IDLE, lane.c.owner.is_(None), lane.c.message_id.is_(None), exists(_OPEN_WORK))
        .order_by(lane.c.sender_id)
        .with_for_update(skip_locked=True)
    )
    await tx.execute(update(lane).where(lane.c.sender_id.in_(forgotten)).values(due_at=now), {"now": now})


async def judge_caps_anew(tx: AsyncConnection, now: float) -> None:
    """Have lanes that rest because of a cap looked at: a process that begins may have been told other caps."""
    resting = (
        select(lane.c.sender_id)
        .where(lane.c.resting_code.in_(CAPS), lane.c.resting_until > now)
        .order_by(lane.c.sender_id)
        .with_for_update(skip_locked=True)
    )
    await tx.execute(
        update(lane)
        .where(lane.c.sender_id.in_(resting))
        .values(resting_until=0.0, resting_code="", due_at=case((lane.c.owner.is_(None), now), else_=lane.c.due_at))
    )


async def forget_the_future(tx: AsyncConnection, now: float, lease_seconds: float) -> None:
    """The clock was set back: what is stored of a time to come counts as now, or lanes would wait until then again.

    So nothing leaves sooner than its delay after this moment. A lease of a time that nobody may ask for is cut short.
    """
    late = now + JUMP_SECONDS
    held = select(lane.c.message_id).where(lane.c.message_id.is_not(None))
    await tx.execute(update(message).where(message.c.id.in_(held), message.c.started_at > late).values(started_at=now))
    await tx.execute(
        update(lane)
        .where(lane.c.owner.is_not(None), lane.c.due_at > now + LONGEST_LEASE_SECONDS)
        .values(due_at=now + lease_seconds)
    )
    await tx.execute(update(lane).where(lane.c.last_answer_at > late).values(last_answer_at=now))
    # who waits for others is looked at each second, by a clock that has changed; to look too early does no harm
    await tx.execute(
        update(lane).where(lane.c.owner.is_(None), lane.c.due_at > late, lane.c.due_at < IDLE).values(due_at=now)
    )
    too_long = or_(
        and_(lane.c.resting_until > now + LONGEST_REST_SECONDS, lane.c.resting_code.in_(SHORT_RESTS)),
        and_(lane.c.resting_until > now + LONGEST_DAY_SECONDS, lane.c.resting_code.in_(CAPS)),
    )
    await tx.execute(
        update(lane)
        .where(too_long)
        .values(resting_until=now, due_at=case((lane.c.owner.is_(None), now), else_=lane.c.due_at))
    )
    await tx.execute(update(lane).where(lane.c.day_ends_at > now + LONGEST_DAY_SECONDS).values(day_ends_at=now))
    await tx.execute(update(lane).where(lane.c.slice_at > now).values(slice_at=now))
    counted = select(lane.c.sender_id, lane.c.slices).where(lane.c.slices != "[]").order_by(lane.c.sender_id)
    for row in (await tx.execute(counted.with_for_update())).all():
        if (slices := caps.set_back(row.slices, now)) != row.slices:
            await tx.execute(update(lane).where(lane.c.sender_id == row.sender_id).values(slices=slices))
    await tx.execute(update(campaign).where(campaign.c.last_answer_at > late).values(last_answer_at=now))


async def look_at_settled(tx: AsyncConnection, message_ids: Sequence[str]) -> None:
    """Lanes that wait for an uncertain message of which WhatsApp has told meanwhile: look at them now."""
    await tx.execute(
        update(lane).where(lane.c.message_id.in_(message_ids), lane.c.owner.is_(None)).values(due_at=await read_now(tx))
    )


async def note_left(tx: AsyncConnection, sender_ids: Sequence[int]) -> None:
    """Messages have left through these senders, as late as just now for all we know: pace and caps count them."""
    now = await read_now(tx) if sender_ids else 0.0
    for sender_id in sorted(sender_ids):
        await tx.execute(LANE_HEARD, {"b_sender_id": sender_id, "b_at": now})
        await tx.execute(LANE_HAS_SENT, {"b_sender_id": sender_id})


async def recompute_due(tx: AsyncConnection) -> None:
    """The delays have changed: every lane that waits gets its time anew, from the time of its last answer."""
    delay, now = (await read_delays(tx)).message, await read_now(tx)
    waiting = (
        select(lane.c.sender_id)
        .where(lane.c.owner.is_(None), lane.c.message_id.is_(None), lane.c.due_at < IDLE)
        .order_by(lane.c.sender_id)
        .with_for_update()
    )
    anew = update(lane).where(lane.c.sender_id.in_(waiting)).values(due_at=case((now < _READY, _READY), else_=now))
    await tx.execute(anew, {"b_delay": delay})

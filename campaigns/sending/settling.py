"""Settling: what became of claimed messages, written in the transaction that frees their lanes.

Nearly all of them were sent: these are two statements, however many they are. What was not sent is looked at one by
one. Rows are given to SQL in the order of their keys, so that two replicas lock them in the same order.
"""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Integer, String, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.counting import Tallies, Tally, count
from campaigns.sending.locking import forgive, lock_refused
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Task, Turn
from campaigns.sending.tables import campaign, lane, message
from campaigns.sending.telling import Settled
from campaigns.sending.unsent import lane_change, message_change, turn_is_unused
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS, AnyRow

Ended = tuple[Claim, Outcome]
Told = tuple[Claim, Outcome, float | None]
"""What clients are told of, with the time at which it left."""
_MAY_HAVE_LEFT = frozenset({Result.SENT, Result.FAILED, Result.UNCONFIRMED})
"""How a look-up can end after which the next message keeps its distance."""
MAX_WA_ID = 40
"""As the column; an engine's own id that is longer is not kept."""

_freed = batch("freed", sender_id=Integer(), epoch=BigInteger(), at=SECONDS, extra=SECONDS)
_FREE_SENT = (
    update(lane)
    .where(
        lane.c.sender_id == _freed.c.sender_id,
        lane.c.epoch == _freed.c.epoch,
        lane.c.owner == bindparam("replica"),
    )
    .values(
        owner=None,
        message_id=None,
        due_at=_freed.c.at + func.coalesce(lane.c.message_delay, bindparam("delay", type_=SECONDS)) + _freed.c.extra,
        last_answer_at=_freed.c.at,
        extra_delay=_freed.c.extra,
        sent_today=lane.c.sent_today + 1,
        slice_sent=lane.c.slice_sent + 1,
        sent_total=lane.c.sent_total + 1,
        resting_until=0.0,
        resting_code="",
    )
    .returning(lane.c.sender_id, lane.c.epoch)
)
_sent = batch("sent", id=ID, at=SECONDS, ack=Integer())
_SETTLE_SENT = (
    update(message)
    .where(message.c.id == _sent.c.id, message.c.state == "sending")
    .values(
        state=MessageState.SENT,
        sent_at=_sent.c.at,
        uncertain_at=None,
        error_code=None,
        error=None,
        ack=func.coalesce(message.c.ack, _sent.c.ack),
    )
    .returning(message.c.id)
)
_renamed = batch("renamed", id=ID, wa_id=String())
_other = message.alias("other")
_RENAME = (
    update(message)
    .where(
        message.c.id == _renamed.c.id,
        ~exists(select(_other.c.id).where(_other.c.wa_id == _renamed.c.wa_id)),  # or no lane could be settled any more
    )
    .values(wa_id=_renamed.c.wa_id)
)

_LOCK_LANES = (
    select(lane.c.sender_id, lane.c.epoch, lane.c.owner, lane.c.message_delay)
    .where(is_among(lane.c.sender_id, "ids", Integer()))
    .order_by(lane.c.sender_id)
    .with_for_update()
)
_LOCK_MESSAGES = (
    select(message.c.id, message.c.state, message.c.attempts, message.c.sender_id, message.c.not_before)
    .where(is_among(message.c.id, "ids", ID))
    .order_by(message.c.id)
    .with_for_update()
)
_LOCK_CAMPAIGNS = (
    select(campaign.c.id, campaign.c.state)
    .where(is_among(campaign.c.id, "ids", ID))
    .order_by(campaign.c.id)
    .with_for_update()
)
_SETTLE_OTHER = (
    update(message)
    .where(message.c.id == bindparam("b_id"), message.c.state == "sending")
    .values(
        state=bindparam("b_state"),
        sender_id=bindparam("b_sender_id"),
        attempts=bindparam("b_attempts"),
        not_before=bindparam("b_not_before"),
        uncertain_at=bindparam("b_uncertain_at"),
        finished_at=bindparam("b_finished_at"),
        error_code=bindparam("b_error_code"),
        error=bindparam("b_error"),
    )
)
_FREE_LANE = (
    update(lane)
    .where(lane.c.sender_id == bindparam("b_sender_id"))
    .values(
        owner=None,
        message_id=bindparam("b_message_id"),
        due_at=bindparam("b_due_at"),
        last_answer_at=func.coalesce(bindparam("b_answer_at"), lane.c.last_answer_at),
        extra_delay=bindparam("b_extra"),
        resting_until=bindparam("b_resting_until"),
        resting_code=bindparam("b_resting_code"),
        sent_today=lane.c.sent_today + bindparam("b_left"),
        slice_sent=lane.c.slice_sent + bindparam("b_left"),
        sent_total=lane.c.sent_total + bindparam("b_told"),
    )
)


async def settle(
    tx: AsyncConnection, settings: QueueSettings, turn: Turn, outcomes: Sequence[Ended], monotonic: float
) -> None:
    """Write `outcomes` and free their lanes; a claim whose lane was taken over since goes to `turn.lost`.

    `monotonic` is the time on the clock that `Outcome.answered_at` was read from.
    """
    tallies = Tallies()
    ended = sorted(outcomes, key=lambda pair: pair[0].sender_id)
    sent = [pair for pair in ended if pair[1].result is Result.SENT]
    others = [pair for pair in ended if pair[1].result is not Result.SENT]
    left = await _settle_sent(tx, settings, turn, sent, tallies, monotonic) if sent else []
    failed = await _settle_others(tx, settings, turn, others, tallies, monotonic) if others else []
    if tallies:
        await count(tx, turn, tallies, lambda: [_settled(claim, outcome, at) for claim, outcome, at in left + failed])


async def _settle_sent(
    tx: AsyncConnection, settings: QueueSettings, turn: Turn, sent: Sequence[Ended], tallies: Tallies, monotonic: float
) -> list[Told]:
    """Write what was sent; returns those messages whose state has moved, with the times."""
    times = [_answer_at(claim, outcome, turn.now, monotonic) or turn.now for claim, outcome in sent]
    lanes = [(claim.sender_id, claim.epoch, at, _jitter(settings)) for (claim, _), at in zip(sent, times, strict=True)]
    freed = await tx.execute(
        _FREE_SENT, {"freed": pack(lanes), "replica": settings.replica, "delay": turn.delays.message}
    )
    ours = {tuple(row) for row in freed.all()}
    held = [
        (claim, outcome, at)
        for (claim, outcome), at in zip(sent, times, strict=True)
        if (claim.sender_id, claim.epoch) in ours
    ]
    if len(held) < len(sent):
        turn.lost += [claim for claim, _ in sent if (claim.sender_id, claim.epoch) not in ours]
    rows = sorted((claim.message_id, at, outcome.ack) for claim, outcome, at in held)
    moved = set((await tx.execute(_SETTLE_SENT, {"sent": pack(rows)})).scalars().all())
    renamed = {o.wa_id: c.message_id for c, o, _ in held if o.wa_id is not None and c.message_id in moved}
    if renamed:
        rows_of_names = sorted((message_id, wa_id) for wa_id, message_id in renamed.items() if len(wa_id) <= MAX_WA_ID)
        await tx.execute(_RENAME, {"renamed": pack(rows_of_names)})
    await forgive(tx, turn, [(claim, outcome) for claim, outcome, _ in held if claim.strikes])
    for claim, _, at in held:
        tally = tallies[claim.campaign_id]
        tally.gated |= claim.gated
        _note_answer(tally, claim, at)
        tally.in_flight -= claim.task is Task.SEND
        if claim.message_id in moved:
            tally.moves[MessageState.SENDING] -= 1
            tally.moves[MessageState.SENT] += 1
    return [one for one in held if one[0].message_id in moved]


async def _settle_others(
    tx: AsyncConnection,
    settings: QueueSettings,
    turn: Turn,
    outcomes: Sequence[Ended],
    tallies: Tallies,
    monotonic: float,
) -> list[Told]:
    """Write what was not sent; returns those that have failed for good or are skipped."""
    found = await tx.execute(_LOCK_LANES, {"ids": pack_values(claim.sender_id for claim, _ in outcomes)})
    lanes = {(row.sender_id, row.epoch): row for row in found.all() if row.owner == settings.replica}  # the fence
    held = [(claim, outcome) for claim, outcome in outcomes if (claim.sender_id, claim.epoch) in lanes]
    turn.lost += [claim for claim, _ in outcomes if (claim.sender_id, claim.epoch) not in lanes]
    found = await tx.execute(_LOCK_MESSAGES, {"ids": pack_values(claim.message_id for claim, _ in held)})
    rows = {row.id: row for row in found.all()}
    cancelled = await _cancelled_campaigns(tx, held)
    rests = await lock_refused(tx, turn, held)
    changes: list[dict[str, Any]] = []
    freed: list[dict[str, Any]] = []
    failed: list[Told] = []
    for claim, outcome in held:
        row = rows[claim.message_id]
        answer_at = _answer_at(claim, outcome, turn.now, monotonic)
        is_sending = row.state == MessageState.SENDING
        tally = tallies[claim.campaign_id]
        tally.gated |= claim.gated
        tally.in_flight -= claim.task is Task.SEND
        if answer_at is not None:
            _note_answer(tally, claim, answer_at)
        if claim.turn is not None and turn_is_unused(claim, outcome):
            tally.turn = claim.turn
        if is_sending:
            change = message_change(claim, outcome, row, turn.now, cancelled=claim.campaign_id in cancelled)
            changes.append(change)
            tally.moves[row.state] -= 1
            tally.moves[change["b_state"]] += 1
            if outcome.result is Result.FAILED:
                tally.failure = outcome.reason
            if outcome.result in (Result.FAILED, Result.SKIPPED):
                failed.append((claim, outcome, None))
        lane_row = _change_of_lane(claim, outcome, settings, turn, lanes, is_sending=is_sending, answer_at=answer_at)
        freed.append(lane_row | rests.get(claim.sender_id, {}))
    turn.stuck |= {change["b_sender_id"] for change in freed if change["b_message_id"] is not None}
    if changes:
        await tx.execute(_SETTLE_OTHER, changes)
    if freed:
        await tx.execute(_FREE_LANE, freed)
    return failed


def _note_answer(tally: Tally, claim: Claim, at: float) -> None:
    note = tally.found if claim.task is Task.RECONCILE else tally.answered
    note(at, claim.sender_id)


def _settled(claim: Claim, outcome: Outcome, at: float | None) -> Settled:
    return Settled(
        id=claim.message_id,
        campaign_id=claim.campaign_id,
        phone=claim.phone,
        sender_number=claim.number,
        wa_id=outcome.wa_id or claim.wa_id,
        sent_at=at,
        error_code=outcome.code,
        error=outcome.reason,
    )


def _change_of_lane(
    claim: Claim,
    outcome: Outcome,
    settings: QueueSettings,
    turn: Turn,
    lanes: dict[tuple[int, int], AnyRow],
    *,
    is_sending: bool,
    answer_at: float | None,
) -> dict[str, Any]:
    row = lanes[claim.sender_id, claim.epoch]
    return lane_change(claim, outcome, turn, row, is_sending=is_sending, answer_at=answer_at, extra=_jitter(settings))


def _jitter(settings: QueueSettings) -> float:
    """What lengthens the next gap."""
    return random.uniform(0, settings.jitter) if settings.jitter else 0.0  # noqa: S311 - not a secret


def _answer_at(claim: Claim, outcome: Outcome, now: float, monotonic: float) -> float | None:
    """When WAHA answered, on the database's clock; None where the claim ended without a request."""
    if claim.task is Task.RECONCILE and outcome.result in _MAY_HAVE_LEFT:
        return now  # as late as just now
    return now - max(0.0, monotonic - outcome.answered_at) if outcome.answered else None


async def _cancelled_campaigns(tx: AsyncConnection, held: Sequence[Ended]) -> set[str]:
    """Which campaigns were cancelled while a message of theirs that has not left was claimed.

    They are locked: a cancel that is under way either finishes first, or finds the message queued again.
    """
    rows = await tx.execute(_LOCK_CAMPAIGNS, {"ids": pack_values(sorted({claim.campaign_id for claim, _ in held}))})
    return {row.id for row in rows.all() if row.state == CampaignState.CANCELLED}

"""Settling: what became of claimed messages, written in the transaction that frees their lanes."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.ending import end_state
from campaigns.sending.lanes import wake_lanes
from campaigns.sending.locking import forgive, lock_refused
from campaigns.sending.models import OPEN_STATES, CampaignState, MessageState
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Task, Turn
from campaigns.sending.pacing import ready_at
from campaigns.sending.tables import campaign, campaign_sender, lane, message
from gateway.db import AnyRow

DAY_SECONDS = 86_400

_LOCK_LANES = (
    select(lane.c.sender_id, lane.c.epoch, lane.c.owner, lane.c.message_id, lane.c.message_delay)
    .where(lane.c.sender_id.in_(bindparam("ids", expanding=True)))
    .order_by(lane.c.sender_id)
    .with_for_update()
)
_LOCK_MESSAGES = (
    select(message.c.id, message.c.state, message.c.attempts, message.c.sender_id)
    .where(message.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(message.c.id)
    .with_for_update()
)
_SETTLE_SENT = (
    update(message)
    .where(message.c.id == bindparam("b_id"), message.c.state == "sending")
    .values(
        state=MessageState.SENT,
        sent_at=bindparam("b_at"),
        uncertain_at=None,
        error_code=None,
        error=None,
        ack=case((message.c.ack.is_(None), bindparam("b_ack")), else_=message.c.ack),
        wa_id=func.coalesce(bindparam("b_wa_id"), message.c.wa_id),
    )
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
        day=bindparam("b_day"),
        sent_today=case((lane.c.day == bindparam("b_day"), lane.c.sent_today), else_=0) + bindparam("b_sent"),
        sent_total=lane.c.sent_total + bindparam("b_sent"),
        resting_until=bindparam("b_resting_until"),
        resting_code=bindparam("b_resting_code"),
    )
)
_COUNTED = ("queued", "sending", "sent", "unconfirmed", "failed", "cancelled", "skipped")
_COUNT = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values(
        in_flight=campaign.c.in_flight + bindparam("b_in_flight"),
        turn=func.coalesce(bindparam("b_turn"), campaign.c.turn),
        last_answer_at=func.coalesce(bindparam("b_answer_at"), campaign.c.last_answer_at),
        last_sender_id=func.coalesce(bindparam("b_last_sender_id"), campaign.c.last_sender_id),
        **{f"n_{name}": campaign.c[f"n_{name}"] + bindparam(f"b_{name}") for name in _COUNTED},
    )
)


@dataclass(slots=True)
class _Tally:
    """What a batch changes in one campaign."""

    moves: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    answer_at: float | None = None
    last_sender_id: int | None = None
    turn: int | None = None

    def params(self, campaign_id: str) -> dict[str, Any]:
        return {
            "b_id": campaign_id,
            "b_in_flight": self.in_flight,
            "b_turn": self.turn,
            "b_answer_at": self.answer_at,
            "b_last_sender_id": self.last_sender_id,
            **{f"b_{name}": self.moves[name] for name in _COUNTED},
        }


async def settle(
    tx: AsyncConnection,
    settings: QueueSettings,
    turn: Turn,
    outcomes: Sequence[tuple[Claim, Outcome]],
    monotonic: float,
) -> None:
    """Write `outcomes` and free their lanes; a claim whose lane was taken over since goes to `turn.lost`.

    `monotonic` is the time on the clock that `Outcome.answered_at` was read from.
    """
    lanes = {row.sender_id: row for row in await tx.execute(_LOCK_LANES, {"ids": [c.sender_id for c, _ in outcomes]})}
    held = [(claim, outcome) for claim, outcome in outcomes if _holds(lanes.get(claim.sender_id), claim, settings)]
    turn.lost = [claim for claim, _ in outcomes if not _holds(lanes.get(claim.sender_id), claim, settings)]
    rows = {row.id: row for row in await tx.execute(_LOCK_MESSAGES, {"ids": [c.message_id for c, _ in held]})}
    cancelled = await _cancelled_campaigns(tx, held)
    rests = await lock_refused(tx, turn, held)
    await forgive(tx, turn, held)
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    sent: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    lanes_freed: list[dict[str, Any]] = []
    for claim, outcome in held:
        row = rows[claim.message_id]
        answer_at = _answer_at(claim, outcome, turn.now, monotonic)
        tally = tallies[claim.campaign_id]
        if row.state == MessageState.SENDING:
            change = _message_change(claim, outcome, row, turn.now, claim.campaign_id in cancelled)
            if outcome.result is Result.SENT:
                sent.append(
                    {
                        "b_id": claim.message_id,
                        "b_at": answer_at or turn.now,
                        "b_ack": outcome.ack,
                        "b_wa_id": outcome.wa_id,
                    }
                )
            else:
                other.append(change)
            tally.moves[row.state] -= 1
            tally.moves[MessageState.SENT if outcome.result is Result.SENT else change["b_state"]] += 1
        if claim.task is Task.SEND:
            tally.in_flight -= 1
        if answer_at is not None:
            tally.answer_at = max(answer_at, tally.answer_at or 0.0)
            tally.last_sender_id = claim.sender_id
        if claim.turn is not None and _turn_is_unused(claim, outcome):
            tally.turn = claim.turn
        freed = _lane_change(claim, outcome, settings, turn, lanes[claim.sender_id], row.state, answer_at)
        freed |= rests.get(claim.sender_id, {})
        if freed["b_message_id"] is not None:
            turn.stuck.add(claim.sender_id)
        lanes_freed.append(freed)
    if sent:
        await tx.execute(_SETTLE_SENT, sent)
    if other:
        await tx.execute(_SETTLE_OTHER, other)
    if lanes_freed:
        await tx.execute(_FREE_LANE, lanes_freed)
    if tallies:
        await tx.execute(_COUNT, [tallies[key].params(key) for key in sorted(tallies)])
        await _wake_others(tx, turn, tallies)
        await finish_campaigns(tx, turn, tallies)


def _answer_at(claim: Claim, outcome: Outcome, now: float, monotonic: float) -> float | None:
    """When WAHA answered, on the database's clock; None where the claim ended without a request."""
    if claim.task is Task.RECONCILE and outcome.result is Result.SENT:
        return now  # it may have left as late as just now
    return now - max(0.0, monotonic - outcome.answered_at) if outcome.answered else None


def _holds(row: AnyRow | None, claim: Claim, settings: QueueSettings) -> bool:
    """The fence: a lane that was claimed anew since is not ours to settle."""
    return row is not None and row.epoch == claim.epoch and row.owner == settings.replica


def _turn_is_unused(claim: Claim, outcome: Outcome) -> bool:
    if outcome.result is Result.LATER:
        return not claim.failover
    return outcome.result is Result.RELEASED or (outcome.result is Result.SKIPPED and not outcome.answered)


async def _cancelled_campaigns(tx: AsyncConnection, held: Sequence[tuple[Claim, Outcome]]) -> set[str]:
    """Which campaigns were cancelled while a message of theirs that has not left was claimed.

    They are locked: a cancel that is under way either finishes first, or finds the message queued again.
    """
    back = {claim.campaign_id for claim, outcome in held if outcome.result is not Result.SENT}
    if not back:
        return set()
    rows = await tx.execute(
        select(campaign.c.id, campaign.c.state).where(campaign.c.id.in_(back)).order_by(campaign.c.id).with_for_update()
    )
    return {row.id for row in rows if row.state == CampaignState.CANCELLED}


def _message_change(claim: Claim, outcome: Outcome, row: AnyRow, now: float, cancelled: bool) -> dict[str, Any]:
    """The new values of a message that was not sent."""
    result = outcome.result
    change: dict[str, Any] = {
        "b_id": claim.message_id,
        "b_state": MessageState.QUEUED,
        "b_sender_id": None,
        "b_attempts": row.attempts,
        "b_not_before": now + outcome.wait_seconds if result is Result.RETRY else 0.0,
        "b_uncertain_at": None,
        "b_finished_at": None,
        "b_error_code": outcome.code or None,
        "b_error": outcome.reason or None,
    }
    if result is Result.FAILED:
        change |= {"b_state": MessageState.FAILED, "b_sender_id": claim.sender_id, "b_finished_at": now}
    elif result in (Result.UNCERTAIN, Result.ASK_AGAIN):
        change |= {"b_state": MessageState.SENDING, "b_sender_id": claim.sender_id, "b_uncertain_at": claim.started_at}
    elif result is Result.UNCONFIRMED:
        change |= {"b_state": MessageState.UNCONFIRMED, "b_sender_id": claim.sender_id, "b_finished_at": now}
    elif result is Result.SKIPPED:
        change |= {"b_state": MessageState.SKIPPED, "b_attempts": row.attempts - 1, "b_finished_at": now}
    elif result is Result.RELEASED:
        change |= {"b_sender_id": row.sender_id, "b_attempts": row.attempts - 1}
    elif result is Result.LATER:
        change |= {"b_attempts": row.attempts - 1, "b_sender_id": None if claim.failover else row.sender_id}
    if cancelled and change["b_state"] == MessageState.QUEUED:
        change |= {"b_state": MessageState.CANCELLED, "b_finished_at": now}
    return change


def _lane_change(
    claim: Claim,
    outcome: Outcome,
    settings: QueueSettings,
    turn: Turn,
    row: AnyRow,
    message_state: str,
    answer_at: float | None,
) -> dict[str, Any]:
    """The new values of the lane that a claim gives back."""
    uncertain = outcome.result in (Result.UNCERTAIN, Result.ASK_AGAIN) and message_state == MessageState.SENDING
    extra = random.uniform(0, settings.jitter) if settings.jitter else 0.0  # noqa: S311 - not a secret
    delay = turn.delays.message if row.message_delay is None else row.message_delay
    rests = uncertain or outcome.result is Result.LATER
    due_at = turn.now + (outcome.wait_seconds if rests else 0.0)
    if answer_at is not None and not uncertain:
        due_at = max(due_at if rests else 0.0, ready_at(answer_at, delay, extra))
    return {
        "b_sender_id": claim.sender_id,
        "b_message_id": claim.message_id if uncertain else None,
        "b_due_at": due_at,
        "b_answer_at": answer_at,
        "b_extra": extra,
        "b_day": int(turn.now // DAY_SECONDS),
        "b_sent": int(outcome.result is Result.SENT),
        "b_resting_until": turn.now + outcome.wait_seconds if outcome.result is Result.LATER else 0.0,
        "b_resting_code": outcome.code if outcome.result is Result.LATER else "",
    }


async def _wake_others(tx: AsyncConnection, turn: Turn, tallies: dict[str, _Tally]) -> None:
    """A campaign that goes on through another lane, or got a message back: have its lanes looked at in time."""
    for key in sorted(tallies):
        tally = tallies[key]
        senders = select(campaign_sender.c.sender_id).where(campaign_sender.c.campaign_id == key)
        if turn.delays.switch > 0:
            gate = (tally.answer_at or turn.now) + turn.delays.switch
            await wake_lanes(tx, turn.delays, gate, senders, skip_locked=True)
        elif tally.moves[MessageState.QUEUED] > 0:
            await wake_lanes(tx, turn.delays, turn.now, senders, skip_locked=True)


async def finish_campaigns(tx: AsyncConnection, turn: Turn, touched: Iterable[str]) -> None:
    """Close the campaigns that have nothing left to send."""
    rows = await tx.execute(
        select(
            campaign.c.id, campaign.c.n_failed, campaign.c.n_skipped, campaign.c.n_unconfirmed, campaign.c.total
        ).where(
            campaign.c.id.in_(list(touched)),
            campaign.c.state.in_(OPEN_STATES),
            campaign.c.n_queued == 0,
            campaign.c.n_sending == 0,
        )
    )
    for row in rows.all():
        state = end_state(failed=row.n_failed, skipped=row.n_skipped, unconfirmed=row.n_unconfirmed, total=row.total)
        await close_campaign(tx, row.id, state, turn.now)
        turn.finished.append((row.id, state))


async def close_campaign(tx: AsyncConnection, campaign_id: str, state: CampaignState, now: float) -> None:
    """Move an open campaign to a final state; its lanes stop looking at it."""
    await tx.execute(
        update(campaign)
        .where(campaign.c.id == campaign_id, campaign.c.state.in_((*OPEN_STATES, CampaignState.SCHEDULED)))
        .values(state=state, finished_at=now)
    )
    await tx.execute(update(campaign_sender).where(campaign_sender.c.campaign_id == campaign_id).values(open=False))

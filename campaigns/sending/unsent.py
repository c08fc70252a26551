"""What becomes of a claimed message that was not sent, and of its lane: new values for the tables. Pure."""

from typing import Any

from campaigns.sending.models import MessageState
from campaigns.sending.outcomes import Claim, Outcome, Result, Turn
from campaigns.sending.pacing import ready_at
from gateway.db import AnyRow


def message_change(claim: Claim, outcome: Outcome, row: AnyRow, now: float, *, cancelled: bool) -> dict[str, Any]:
    """The new values of a message, of which `row` has the present ones. `cancelled`: its campaign was, meanwhile."""
    result = outcome.result
    change: dict[str, Any] = {
        "b_id": claim.message_id,
        "b_state": MessageState.QUEUED,
        "b_sender_id": None,
        "b_attempts": row.attempts,
        "b_not_before": now + outcome.wait_seconds if result is Result.RETRY else row.not_before,
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


def lane_change(
    claim: Claim,
    outcome: Outcome,
    turn: Turn,
    row: AnyRow,
    *,
    is_sending: bool,
    answer_at: float | None,
    extra: float,
) -> dict[str, Any]:
    """The new values of the lane, of which `row` has the present ones. `is_sending`: no receipt has told meanwhile."""
    uncertain = outcome.result in (Result.UNCERTAIN, Result.ASK_AGAIN) and is_sending
    delay = turn.delays.message if row.message_delay is None else row.message_delay
    later = outcome.result is Result.LATER
    rests = uncertain or later
    due_at = turn.now + (outcome.wait_seconds if rests else 0.0)
    if answer_at is not None and not uncertain:
        due_at = max(due_at if rests else 0.0, ready_at(answer_at, delay, extra))
    return {
        "b_sender_id": claim.sender_id,
        "b_message_id": claim.message_id if uncertain else None,
        "b_due_at": due_at,
        "b_answer_at": answer_at,
        "b_extra": extra,
        "b_resting_until": turn.now + outcome.wait_seconds if later else 0.0,
        "b_resting_code": outcome.code if later else "",
        # a receipt told that it has left, or it may have: caps count both, for they must not be passed
        "b_told": int(not is_sending),
        "b_left": int(not is_sending or outcome.result is Result.UNCONFIRMED),
    }


def turn_is_unused(claim: Claim, outcome: Outcome) -> bool:
    """Whether the turn that this claim took in its campaign is given back, so that shares stay even."""
    if outcome.result is Result.LATER:
        return not claim.failover
    return outcome.result is Result.RELEASED or (outcome.result is Result.SKIPPED and not outcome.answered)

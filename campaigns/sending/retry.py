"""What follows from an error of WAHA: one pure decision per kind of error.

Surely not sent is sorted into *refused for good* (FAILED), *not now* (LATER: the message waits, no attempt is
counted) and *try again* (RETRY, with growing pauses). Whatever else goes wrong is UNCERTAIN: the message is looked
up before it may go again.
"""

from dataclasses import dataclass

from campaigns.sending.outcomes import Outcome, Result
from gateway.waha.errors import (
    ContactLimited,
    EngineDisconnected,
    RateLimited,
    RecipientNotOnWhatsApp,
    SessionBusy,
    SessionNotFound,
    SessionNotWorking,
    WahaError,
    WahaInvalidRequest,
    WahaNotFound,
    WahaNotImplemented,
    WahaUnauthorized,
    WahaUnreachable,
)

FIRST_LOOK_SECONDS = 1.0
BLIND_SECONDS = 60.0
"""How long looking a message up may be in vain."""
LONGER_BLIND_SECONDS = 600.0
"""The same where WAHA, or what stands before it, may just be set up wrongly, which somebody may mend."""
_BACKOFF_SECONDS = (5.0, 30.0, 120.0, 600.0)
_LONGER = 0.5
"""By how much of itself a backoff may be lengthened, so that what failed together does not come back together."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one kind of error means."""

    result: Result
    code: str
    wait_seconds: float = 0.0
    answered: bool = True


_RULES: tuple[tuple[type[WahaError], _Rule], ...] = (
    (WahaUnreachable, _Rule(Result.LATER, "server_down", 1.0, answered=False)),
    (WahaUnauthorized, _Rule(Result.LATER, "server_down", 10.0)),
    (WahaNotFound, _Rule(Result.LATER, "server_down", 10.0)),  # the address of something else: no message's fault
    (SessionNotWorking, _Rule(Result.LATER, "session_not_connected", 1.0)),
    (SessionNotFound, _Rule(Result.LATER, "session_not_connected", 5.0)),
    (EngineDisconnected, _Rule(Result.LATER, "session_not_connected", 2.0)),
    (RateLimited, _Rule(Result.LATER, "backoff", 30.0)),
    (ContactLimited, _Rule(Result.LATER, "number_lock")),
    (RecipientNotOnWhatsApp, _Rule(Result.FAILED, "not_on_whatsapp")),
    (WahaInvalidRequest, _Rule(Result.FAILED, "rejected")),
    (WahaNotImplemented, _Rule(Result.FAILED, "not_supported")),
)


_NOBODY_TO_ASK = (
    WahaUnreachable,
    SessionNotFound,
    SessionNotWorking,
    SessionBusy,
    EngineDisconnected,
    RateLimited,
)
"""What ends a look-up and says nothing about look-ups: it passes, or the session is told as one that cannot send."""
_SET_UP_WRONGLY = (WahaUnauthorized, WahaNotFound)


def decide(error: WahaError, attempts: int, max_attempts: int, answered_at: float, *, chance: float = 0.0) -> Outcome:
    """What becomes of a message whose send number `attempts` ended in `error`.

    `chance`, from 0 to 1, lengthens the pause before it is tried again.
    """
    reason = str(error)
    if not error.surely_not_sent:
        return Outcome(Result.UNCERTAIN, "uncertain", reason, FIRST_LOOK_SECONDS, True, answered_at)
    for kind, rule in _RULES:
        if isinstance(error, kind):
            asked = error.retry_after if isinstance(error, RateLimited) else None
            wait = max(rule.wait_seconds, asked or 0.0)
            return Outcome(rule.result, rule.code, reason, wait, rule.answered, answered_at)
    return _try_again(reason, attempts, max_attempts, answered_at, chance)


def decide_unsent(
    error: WahaError, attempts: int, max_attempts: int, answered_at: float, *, chance: float = 0.0
) -> Outcome:
    """What becomes of a message that was not even tried, because a question that comes before it ended in `error`.

    Nothing of it can have left, so it is never uncertain; and what is wrong with the question is not wrong with it.
    """
    outcome = decide(error, attempts, max_attempts, answered_at, chance=chance)
    if outcome.result in (Result.LATER, Result.RETRY):
        return outcome
    return _try_again(str(error), attempts, max_attempts, answered_at, chance)


def _try_again(reason: str, attempts: int, max_attempts: int, answered_at: float, chance: float) -> Outcome:
    if attempts >= max_attempts:
        return Outcome(Result.FAILED, "gave_up", f"{reason}, after {attempts} attempts", 0.0, True, answered_at)
    return Outcome(Result.RETRY, "backoff", reason, backoff(attempts, chance), True, answered_at)


def backoff(attempts: int, chance: float = 0.0) -> float:
    """Seconds to rest after `attempts` attempts in vain; `chance`, from 0 to 1, only ever lengthens it."""
    return _BACKOFF_SECONDS[min(attempts, len(_BACKOFF_SECONDS)) - 1] * (1.0 + _LONGER * chance)


def decide_look(error: WahaError, age_seconds: float, hold: float, vain_seconds: float) -> Outcome:
    """What becomes of an uncertain message of this age whose look-up ended in `error`, as all have for `vain_seconds`.

    While nobody can be asked it stays uncertain. But a WAHA that is there, and cannot answer this, must not hold its
    lane for good: once the hold is over and a minute of looking was in vain, a person decides; after ten minutes where
    all that it says is that we may not ask, or ask at the wrong place.
    """
    reason = str(error)
    patience = LONGER_BLIND_SECONDS if isinstance(error, _SET_UP_WRONGLY) else BLIND_SECONDS
    if isinstance(error, _NOBODY_TO_ASK) or age_seconds < hold or vain_seconds < patience:
        return Outcome(Result.ASK_AGAIN, "uncertain", reason, max(next_look(age_seconds, hold), FIRST_LOOK_SECONDS))
    return Outcome(Result.UNCONFIRMED, "unconfirmed", f"it could not be looked up: {reason}; it is not sent again")


def hold_seconds(engine: str, timeout_seconds: float, override: float) -> float:
    """How long absence proves nothing: an unanswered send may still be carried out by WAHA until then.

    The longer of our own patience and the engine's (GOWS 75 s, NOWEB 120 s, with their waits), and a margin.
    `override` above 0 replaces it.
    """
    if override > 0:
        return override
    return max(timeout_seconds, 100.0 if engine == "GOWS" else 140.0) + 10.0


def next_look(age_seconds: float, hold: float) -> float:
    """Seconds until an uncertain message is looked up again: more and more patient, and not past the hold."""
    return max(0.05, min(max(FIRST_LOOK_SECONDS, age_seconds / 4), hold - age_seconds))

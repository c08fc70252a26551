"""A session that says WORKING while its sends all fail is sick: then it is not the messages' fault.

One refusal is about one message. Several in a row, of different messages or without a reason, are about the session:
it needs a restart, and until a send succeeds its messages wait, without an attempt being counted. Kept in memory: a
new process finds out anew.
"""

from dataclasses import dataclass, field

import structlog

from campaigns.sending.outcomes import Claim, Outcome, Result
from gateway.events import EventBus, SessionSuspected
from gateway.waha.errors import SessionBusy, WahaError, WahaServerError, WhatsAppRefused

log = structlog.get_logger()

REFUSED_MESSAGES = 3
"""How many different messages in a row WhatsApp has to refuse with code 400."""
FAILURES = 5
"""How many sends in a row have to end in an error of WAHA that says nothing about the recipient."""
REST_SECONDS = 30.0
LONGEST_REST_SECONDS = 600.0
_BAD_REQUEST = 400


@dataclass(slots=True)
class _Streak:
    """What went wrong with a sender since its last success."""

    refused: set[str] = field(default_factory=set)
    failures: int = 0
    rests: int = 0
    told: bool = False

    @property
    def is_sick(self) -> bool:
        return len(self.refused) >= REFUSED_MESSAGES or self.failures >= FAILURES


class Suspicions:
    """Counts each sender's failures in a row, and tells of it once in each row."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._streaks: dict[int, _Streak] = {}

    def clear(self, sender_id: int) -> None:
        """A send has succeeded."""
        self._streaks.pop(sender_id, None)

    def judge(self, claim: Claim, error: WahaError, outcome: Outcome) -> Outcome:
        """What becomes of a message whose send ended in `error`: `outcome`, unless it is the session that is sick."""
        refused = isinstance(error, WhatsAppRefused) and error.code == _BAD_REQUEST
        failed = isinstance(error, WahaServerError) and not isinstance(error, SessionBusy)
        if not refused and not failed:
            return outcome
        streak = self._streaks.setdefault(claim.sender_id, _Streak())
        streak.failures += failed
        if refused and len(streak.refused) < REFUSED_MESSAGES:
            streak.refused.add(claim.message_id)
        if not streak.is_sick:
            return outcome
        if not streak.told:
            streak.told = True
            log.warning("session_suspected", number=claim.number, error=str(error))
            self._bus.publish(SessionSuspected(claim.sender_id, f"its sends fail one after the other: {error}"))
        if outcome.result is Result.UNCERTAIN:
            return outcome  # it may have left: nothing but a look-up can tell
        rest = min(REST_SECONDS * 2.0**streak.rests, LONGEST_REST_SECONDS)
        streak.rests = min(streak.rests + 1, 16)
        return Outcome(Result.LATER, "backoff", str(error), rest, outcome.answered, outcome.answered_at)

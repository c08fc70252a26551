"""How an endpoint does, after one answer more. Pure: values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from gateway.db import AnyRow
from gateway.notifications.webhooks.models import DeliveryState
from gateway.notifications.webhooks.posting import SLOW_SECONDS
from gateway.notifications.webhooks.retrying import Answer, Decision, Delivered, GiveUp, Retry, is_dead

GONE = "it answered 410: it wants no more events"
DEAD = "nothing was delivered for three days"


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """What an endpoint's row says of its last answers; times in epoch seconds. `reason` is why it is switched off."""

    failures: int
    failing_since: float | None
    careful: bool
    hold_until: float
    last_success_at: float | None
    reason: str = ""

    @classmethod
    def of(cls, row: AnyRow) -> Self:
        """As an endpoint's row has it."""
        return cls(row.failures, row.failing_since, row.careful, row.hold_until, row.last_success_at)

    def after(self, answer: Answer, decision: Decision, now: float) -> "Wellbeing":
        """How it does after an answer that led to this decision."""
        if isinstance(decision, Delivered):
            slow = answer.seconds > SLOW_SECONDS
            return replace(self, failures=0, failing_since=None, careful=slow, last_success_at=now)
        since = now if self.failing_since is None else self.failing_since
        failures = self.failures + 1
        hold = now + decision.hold if isinstance(decision, Retry) and decision.hold else self.hold_until
        reason = self.reason
        if isinstance(decision, GiveUp) and decision.gone:
            reason = GONE
        elif is_dead(now - since, failures):
            reason = DEAD
        return replace(
            self,
            failures=failures,
            failing_since=since,
            careful=True,
            hold_until=max(hold, self.hold_until),
            reason=reason,
        )

    def columns(self) -> dict[str, Any]:
        """What is stored of it."""
        return {
            "failures": self.failures,
            "failing_since": self.failing_since,
            "careful": self.careful,
            "hold_until": self.hold_until,
            "last_success_at": self.last_success_at,
        }


def attempt_columns(answer: Answer, decision: Decision, attempts: int, now: float) -> Mapping[str, Any]:
    """What a delivery's row says after an attempt, its `attempts`-th."""
    values: dict[str, Any] = {
        "attempts": attempts,
        "status": answer.status,
        "response": answer.text,
        "error": answer.error,
        "seconds": answer.seconds,
        "last_attempt_at": now,
    }
    match decision:
        case Delivered():
            return values | {"state": DeliveryState.DELIVERED, "ended_at": now}
        case GiveUp():
            return values | {"state": DeliveryState.GIVEN_UP, "ended_at": now}
        case Retry(after=after):
            return values | {"state": DeliveryState.RETRYING, "next_at": now + after}

"""What follows from the answer of a receiver. Pure: values in, values out.

A failure is tried again after more and more time, for a day in all; each event by itself, so that none waits for
another one that its receiver does not want.
"""

from dataclasses import dataclass
from typing import TypeAlias

PAUSES = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 28_800.0)
"""Seconds between one attempt and the next: a day altogether."""
JITTER = 0.1
"""By this part of itself a pause is longer or shorter, so that what failed together does not come back together."""
LONGEST_HOLD_SECONDS = 86_400.0
DEAD_SECONDS = 3 * 86_400.0
DEAD_ATTEMPTS = 10
"""An endpoint is dead when nothing but failures came from it for so long, and so many of them."""

_GONE = 410
_NOT_NOW = (429, 503)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    `status` is the HTTP status, None where there was none; then `error` says why in words. `text` is how the answer
    begins. `seconds` is how long it took, `retry_after` how many seconds the receiver asks us to wait.
    """

    status: int | None
    text: str = ""
    error: str = ""
    seconds: float = 0.0
    retry_after: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It will be tried again, after so many seconds; for `hold` seconds nothing else goes to this receiver either."""

    after: float
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not be tried again; with `gone` nothing will ever be sent to this address."""

    gone: bool = False


Decision: TypeAlias = Delivered | Retry | GiveUp


def decide(answer: Answer, attempts: int, chance: float) -> Decision:
    """What is to be done after so many attempts, the answered one included; `chance` is random, from 0 to 1."""
    if answer.is_delivered:
        return Delivered()
    if answer.status == _GONE:
        return GiveUp(gone=True)
    if attempts > len(PAUSES):
        return GiveUp()
    pause = PAUSES[attempts - 1] * (1 + JITTER * (2 * chance - 1))
    hold = 0.0
    if answer.status in _NOT_NOW and answer.retry_after is not None:
        hold = min(answer.retry_after, LONGEST_HOLD_SECONDS)
    return Retry(max(pause, hold), hold)


def is_dead(failing_for: float, failures: int) -> bool:
    """Whether an endpoint is to be switched off, after so many failures in so many seconds and nothing else."""
    return failing_for >= DEAD_SECONDS and failures >= DEAD_ATTEMPTS

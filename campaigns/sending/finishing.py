"""When a campaign will be done, given how long its sending takes: its hours and its senders' caps. Pure; seconds.

Every answer is meant for senders that nobody else uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from campaigns.sending.caps import HOUR_SECONDS, SLICE_SECONDS
from campaigns.sending.hours import Hours, window
from campaigns.sending.models import IDLE

DAY_SECONDS = 86_400.0
MAX_WINDOWS = 1000
"""So many windows are looked at; what would take longer is said to end in the last of them."""


@dataclass(frozen=True, slots=True)
class Finish:
    """When the first message may leave, when the last one has, and what keeps it from being done in one go.

    `windows` is in how many windows it is sent. `unsent_seconds` of the sending find none before it expires.
    """

    begins_at: float
    at: float
    windows: int = 1
    unsent_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Day:
    """What one sender, or all of a client together, may send in a day: `cap`, of which `left` until `ends_at`."""

    cap: int
    left: int
    ends_at: float


def hourly_seconds(share: int, cap: int, gap: float, latency: float) -> float:
    """How long a sender takes at least for its `share`, of which `cap` a sliding hour may leave (0: any number).

    `gap` is from one send to the next. An hour is counted in slices, so a full one is over a slice later.
    """
    if cap <= 0 or share <= 0:
        return 0.0
    rounds, rest = divmod(share - 1, cap)
    return rounds * max(float(HOUR_SECONDS + SLICE_SECONDS), cap * gap) + rest * gap + latency


def finish(hours: Hours, start: float, seconds: float) -> Finish:
    """When so many seconds of sending are over that begin at `start`, or as soon as the hours allow it then."""
    begins_at, at, left = 0.0, start, seconds
    for count in range(1, MAX_WINDOWS + 1):
        opens_at, closes_at = window(hours, at)
        if opens_at >= IDLE:
            return Finish(begins_at or at, at, count - 1, left)
        begin = max(at, opens_at)
        begins_at = begins_at or begin
        if begin + left <= closes_at:
            return Finish(begins_at, begin + left, count)
        left -= closes_at - begin
        at = closes_at
    return Finish(begins_at, at, MAX_WINDOWS)


def last_day(messages: int, days: Sequence[Day], start: float) -> tuple[int, float]:
    """How many of `messages` are left for the last day that the senders' caps make, and when it begins.

    All of them, at `start`, if today's rest is enough for them, or a sender has no cap and takes what is left over.
    """
    today = sum(day.left for day in days)
    if not days or messages <= today or any(day.cap <= 0 for day in days):
        return messages, start
    full, rest = divmod(messages - today - 1, sum(day.cap for day in days))
    return rest + 1, max(start, min(day.ends_at for day in days)) + full * DAY_SECONDS

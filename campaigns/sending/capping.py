"""Caps of a lane: when it has to rest because of what it has sent, and beginning a new day or slice. Pure.

What was sent is counted when it is settled, and judged when the next message is about to be claimed.
"""

from dataclasses import dataclass
from typing import Any

from campaigns.sending.caps import SLICE_SECONDS, Sent, day_end, full_until, roll, sent_last_hour, zone_of_number
from campaigns.sending.outcomes import QueueSettings
from campaigns.sending.rows import DueLane

DAILY_CAP, HOURLY_CAP = "daily_cap", "hourly_cap"


@dataclass(frozen=True, slots=True)
class Rest:
    """Until when a lane sends nothing, and why."""

    until: float
    code: str


def rest_of(row: DueLane, settings: QueueSettings, at: float) -> Rest | None:
    """Whether a lane has reached a cap, if its next message would leave at `at`; None if not."""
    daily = settings.daily_cap if row.daily_cap is None else row.daily_cap
    rests: list[Rest] = []
    if daily and row.sent_today >= daily and row.day_ends_at > at:
        rests.append(Rest(row.day_ends_at, DAILY_CAP))
    if settings.hourly_cap:
        sent = roll(_sent(row), at)
        if sent_last_hour(sent) >= settings.hourly_cap:
            rests.append(Rest(full_until(sent, settings.hourly_cap), HOURLY_CAP))
    return max(rests, key=lambda rest: rest.until, default=None)


def rolled(row: DueLane, at: float) -> dict[str, Any] | None:
    """New values of a lane whose day or slice is over when it sends at `at`; None if neither is."""
    new_day, new_slice = row.day_ends_at <= at, row.slice_at + SLICE_SECONDS <= at
    if not new_day and not new_slice:
        return None
    sent = roll(_sent(row), at)
    return {
        "b_day_ends_at": day_end(at, row.timezone or zone_of_number(row.number)) if new_day else row.day_ends_at,
        "b_sent_today": 0 if new_day else row.sent_today,
        "b_slice_at": sent.slice_at,
        "b_slice_sent": sent.slice_sent,
        "b_slices": sent.slices,
    }


def _sent(row: DueLane) -> Sent:
    return Sent(row.slice_at, row.slice_sent, row.slices)

"""What the pages of campaigns show beside what the API tells: what may be done now, and how soon to look again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LISTED_STATES = (
    "running",
    "queued",
    "paused",
    "scheduled",
    "completed",
    "completed_with_errors",
    "failed",
    "cancelled",
)
MESSAGE_STATES = (
    "queued",
    "sending",
    "sent",
    "delivered",
    "read",
    "unconfirmed",
    "failed",
    "skipped",
    "cancelled",
)
MOVING = ("running", "queued")
UNENDED = (*MOVING, "paused", "scheduled")
RETRIABLE = ("running", "paused", "completed_with_errors", "failed")
MOVING_SECONDS = 3
WAITING_SECONDS = 15
RECEIPTS_SECONDS = 3600
"""So long after its end what was sent may still be delivered, read and answered."""


def steps_of(campaign: Mapping[str, Any]) -> list[str]:
    """What its state allows: of pause, resume, retry and cancel."""
    state = campaign["status"]
    allowed = {
        "pause": state in MOVING,
        "resume": state == "paused",
        "retry": state in RETRIABLE and campaign["failed"] > 0,
        "cancel": state in UNENDED,
    }
    return [step for step, holds in allowed.items() if holds]


def look_again_after(campaign: Mapping[str, Any], now: float) -> int:
    """In how many seconds a campaign's page looks at it again; 0 where nothing of it changes any more."""
    if campaign["status"] in MOVING:
        return MOVING_SECONDS
    if campaign["status"] in UNENDED:
        return WAITING_SECONDS
    ended = campaign["end_time"]
    late = ended is not None and now - datetime.fromisoformat(ended).timestamp() < RECEIPTS_SECONDS
    return WAITING_SECONDS if late else 0


def list_again_after(campaigns: Sequence[Mapping[str, Any]]) -> int:
    """In how many seconds a list of campaigns is looked at again; 0 where none of them moves."""
    return MOVING_SECONDS if any(one["status"] in MOVING for one in campaigns) else 0


@dataclass(frozen=True, slots=True)
class HourBar:
    """One hour in a chart that is 100 high: where its bar stands, and the heights of its parts, each within the first.

    `hour` is when it begins, as ISO 8601.
    """

    hour: str
    sent: int
    x: float
    width: float
    heights: tuple[tuple[str, float], ...]


SHOWN_HOURS = 72
CHART_WIDTH, CHART_HEIGHT = 720.0, 100.0


def hour_bars(hours: Sequence[Mapping[str, Any]]) -> list[HourBar]:
    """The last hours in which something was sent or read, side by side, as tall as the busiest of them allows."""
    shown = hours[-SHOWN_HOURS:]
    most = max((max(hour["sent"], hour["delivered"], hour["read"]) for hour in shown), default=0) or 1
    width = CHART_WIDTH / max(len(shown), 8)
    return [
        HourBar(
            hour["hour"],
            hour["sent"],
            round(index * width, 2),
            round(width * 0.8, 2),
            tuple((name, round(CHART_HEIGHT * hour[name] / most, 2)) for name in ("sent", "delivered", "read")),
        )
        for index, hour in enumerate(shown)
    ]

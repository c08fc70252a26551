"""When a sender's next message may start: pure rules over values, in seconds.

A gap is counted from the *answer* to the previous message. With delay `d` a lane is ready at `answer + d`; when a
campaign passes to another sender, its next message also waits until `answer + w` of the campaign's own last one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delays:
    """What the admin set, in seconds: between a sender's messages, and between a campaign's senders."""

    message: float
    switch: float


def ready_at(last_answer_at: float | None, delay: float, extra: float = 0.0) -> float:
    """When a lane may send again: `delay` (and the jitter `extra`) after its last answer; 0 if it never sent."""
    return 0.0 if last_answer_at is None else last_answer_at + delay + extra


def goes_at(lane_ready_at: float, *, switches: bool, campaign_answer_at: float | None, switch_delay: float) -> float:
    """When a campaign's next message may leave through a lane that is ready at `lane_ready_at`.

    `switches` tells that the campaign's previous message left through another sender.
    """
    if not switches or campaign_answer_at is None:
        return lane_ready_at
    return max(lane_ready_at, campaign_answer_at + switch_delay)


def is_gated(senders: int, switch_delay: float) -> bool:
    """Whether a campaign's messages leave one after the other, through all its senders."""
    return senders > 1 and switch_delay > 0

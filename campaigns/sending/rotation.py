"""Whose turn it is: recipients are dealt strictly in turn over the senders that are able to send. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def turn_of(turn: int, able: Sequence[bool], *, failover: bool = True) -> int | None:
    """The position whose turn it is: the first able one from `turn` on, around the circle; None if nobody is.

    Without `failover` nobody is stepped over.
    """
    count = len(able)
    if not failover:
        return turn % count
    return next((position for step in range(count) if able[position := (turn + step) % count]), None)


def deal(
    items: Sequence[T], turn: int, able: Sequence[bool], *, failover: bool = True
) -> tuple[list[tuple[T, int]], int]:
    """Deal `items` in turn, starting at `turn`: pairs of item and position, and whose turn is next.

    Where nobody is able, nothing is dealt and the turn stays.
    """
    dealt: list[tuple[T, int]] = []
    for item in items:
        position = turn_of(turn, able, failover=failover)
        if position is None:
            break
        dealt.append((item, position))
        turn = (position + 1) % len(able)
    return dealt, turn


@dataclass(frozen=True, slots=True)
class Offer:
    """What a campaign offers to one free lane.

    `goes_at` is when its next message may leave through this lane; None while it is not the lane's turn.
    """

    campaign_id: str
    sender_id: int
    priority: int
    served_at: float
    goes_at: float | None


def choose(offers: Sequence[Offer], not_after: float) -> Offer | None:
    """The offer that a lane takes: highest priority, then the least recently served campaign.

    A campaign that waits for its own gate (`goes_at` later than `not_after`) yields the slot.
    """
    ready = [offer for offer in offers if offer.goes_at is not None and offer.goes_at <= not_after]
    return min(ready, key=lambda offer: (-offer.priority, offer.served_at, offer.campaign_id), default=None)


def look_again_at(offers: Sequence[Offer], now: float, poll: float, idle: float) -> float:
    """When to look at a lane again that takes none of `offers` now.

    At the first gate that opens; after `poll` seconds where an offer depends on others; at `idle` without offers.
    """
    if not offers:
        return idle
    times = [offer.goes_at if offer.goes_at is not None and offer.goes_at > now else now + poll for offer in offers]
    return min(times)

"""What the simulator's ledger says about a campaign: was anybody forgotten, written to twice, or too early? Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Audit:
    """The verdict; `early` of `gaps` pauses were shorter than the admin's delays."""

    accepted: int
    lost: int
    duplicated: int
    unasked: int
    gaps: int
    early: int
    shortest_excess: float | None
    """Seconds by which the tightest pause was longer than told; negative if it was shorter."""

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing twice, nothing too early, and nobody written to who was not asked for."""
        return not (self.lost or self.duplicated or self.unasked or self.early)


def audit(
    transmissions: Sequence[Mapping[str, Any]],
    recipients: Collection[str],
    *,
    message_delay: float,
    switch_delay: float,
) -> Audit:
    """Hold the ledger's transmissions of one campaign against its recipients (digits) and the delays (seconds)."""
    times = Counter(str(one["chat_id"]).partition("@")[0] for one in transmissions)
    reached = times.keys() & set(recipients)
    excesses = _excesses(transmissions, message_delay, switch_delay)
    return Audit(
        accepted=len(reached),
        lost=len(set(recipients)) - len(reached),
        duplicated=sum(count - 1 for count in times.values()),
        unasked=len(times.keys() - set(recipients)),
        gaps=len(excesses),
        early=sum(1 for excess in excesses if excess < 0),
        shortest_excess=min(excesses, default=None),
    )


def _excesses(transmissions: Sequence[Mapping[str, Any]], message_delay: float, switch_delay: float) -> list[float]:
    """By how much each pause exceeds the delay: of each sender's messages, and where the campaign changes senders."""
    in_order = sorted(transmissions, key=lambda one: float(one["received_at"]))
    lanes: dict[str, list[Mapping[str, Any]]] = {}
    for one in in_order:
        lanes.setdefault(str(one["session"]), []).append(one)
    same = [_pause(*pair) - message_delay for lane in lanes.values() for pair in pairwise(lane)]
    if not switch_delay:
        return same
    switches = [pair for pair in pairwise(in_order) if pair[0]["session"] != pair[1]["session"]]
    return same + [_pause(*pair) - switch_delay for pair in switches]


def _pause(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Seconds from the answer to one message (its acceptance, where there was no answer) to the start of the next."""
    answered_at = before["answered_at"]
    return float(after["received_at"]) - float(before["time"] if answered_at is None else answered_at)

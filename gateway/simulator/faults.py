"""Faults by probability: one draw per send, the same draws for the same seed and session."""

import random
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

WELL = "none"


class Fault(StrEnum):
    """What can go wrong with one send, and whether WhatsApp has the message then."""

    ERROR_500 = "error_500"
    """Refused with 500; WhatsApp does not have it."""
    ERROR_463 = "error_463"
    """WhatsApp refuses the number new contacts for now; NOWEB answers 201 and acks -1."""
    ERROR_500_AFTER = "error_500_after"
    """WhatsApp has it, and the answer is 500."""
    HANG = "hang"
    """WhatsApp has it, and the answer is a 500 after `hang_seconds`."""
    HANG_BEFORE = "hang_before"
    """WhatsApp does not have it, and the answer is a 500 after `hang_seconds`."""
    HANG_THEN_DELIVER = "hang_then_deliver"
    """WhatsApp gets it only after `hang_seconds`; then the answer is 201."""
    NO_RECEIPTS = "no_receipts"
    """201, and nobody ever gets it: no receipt comes, though the look-up finds the message."""
    NO_TRACE = "no_trace"
    """201, and nobody ever gets it: no receipt, no event, and the look-up does not find it either."""
    CUT_BEFORE = "cut_before"
    """The connection is dropped; WhatsApp does not have it."""
    CUT_AFTER = "cut_after"
    """The connection is dropped; WhatsApp has it."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """Probabilities (0 to 1, together at most 1) per send, and what else is wrong with this server.

    `next` names what happens to the next sends, one each, before chance decides again; "none" is a good one.

    `slow` seconds are added to each send, `lifecycle_slow` seconds to each start, stop, restart, logout and
    delete while the session's lock is held. `down` drops every connection, as a dead server does. `reset`
    drops them with a TCP reset instead of an orderly end. `rate_overlimit` is no send's fate, but the
    probability that the look-up of a number is refused.
    """

    error_500: float = 0.0
    error_463: float = 0.0
    error_500_after: float = 0.0
    hang: float = 0.0
    hang_before: float = 0.0
    hang_then_deliver: float = 0.0
    no_receipts: float = 0.0
    no_trace: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    rate_overlimit: float = 0.0
    hang_seconds: float = 75.0
    slow: float = 0.0
    lifecycle_slow: float = 0.0
    down: bool = False
    reset: bool = False
    next: list[str] = field(default_factory=list)

    def draw(self, rng: random.Random) -> Fault | None:
        """Decide one send's fate with one number from `rng`, None for a send that goes well."""
        number = rng.random()
        if self.next:
            name = self.next.pop(0)
            return None if name == WELL else Fault(name)
        for fault in Fault:
            number -= float(getattr(self, fault.value))
            if number < 0:
                return fault
        return None

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


def parse_faults(values: dict[str, Any]) -> Faults:
    """Faults with the given fields, the others at rest; ValueError names a wrong one."""
    known = {one.name for one in fields(Faults)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown fault '{name}', known are: {', '.join(sorted(known))}")
        if name == "next":
            if not isinstance(value, list) or any(one not in (WELL, *Fault) for one in value):
                raise ValueError(f"next must be a list of: {', '.join((WELL, *Fault))}")
        elif name in ("down", "reset"):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be a number of 0 or more")
    faults = Faults(**values)
    if faults.rate_overlimit > 1:
        raise ValueError("rate_overlimit must be a number from 0 to 1")
    if sum(float(getattr(faults, fault.value)) for fault in Fault) > 1 + 1e-9:
        raise ValueError("the probabilities of all faults together must not exceed 1")
    return faults

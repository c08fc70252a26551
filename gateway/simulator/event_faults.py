"""What goes wrong with events on their way, on WebSockets and webhooks alike."""

import dataclasses
from dataclasses import dataclass
from typing import Any

MAX_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFaults:
    """Probabilities from 0 to 1 each; all at rest unless told."""

    repeat: float = 0.0
    """A receiver gets an event twice, under the same event id."""
    lose: float = 0.0
    """A receiver does not get an event; each receiver has its own luck."""
    reorder_seconds: float = 0.0
    """Each copy is held back for up to so long, so that they overtake each other."""
    lid_variant: float = 0.0
    """A message is told twice, under the chat's number and under its hidden id: two events, one message id."""
    skip_device_ack: float = 0.0
    """A message's receipt 2 never comes, 3 does."""
    foreign_acks: float = 0.0
    """With a message's receipts comes one for an id that nobody sent."""
    early_acks: float = 0.0
    """Receipt 2 comes before the answer to the send itself, half a second earlier."""

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return dataclasses.asdict(self)


def parse_event_faults(values: dict[str, Any]) -> EventFaults:
    """Event faults with the given fields, the others at rest; ValueError names a wrong one."""
    return EventFaults(**check_fields(EventFaults, values))


def check_fields(faults: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values of a dataclass of faults: probabilities, and `_seconds` up to a day; ValueError names a wrong one."""
    known = [one.name for one in dataclasses.fields(faults)]
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown fault '{name}', known are: {', '.join(known)}")
        limit = MAX_SECONDS if name.endswith("_seconds") else 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
            raise ValueError(f"{name} must be a number from 0 to {limit}")
    return values

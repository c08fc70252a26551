"""A schedule as the form says it, and as the API takes it; and how often one comes, in words."""

from typing import Any

from pydantic import BaseModel

from admin.console.forms import Errors, quiet_hours
from admin.console.times import clock_time
from gateway.errors import ValidationFailed

FIELDS = ("message_id", "group_id", "start", "zone", "rule", "senders", "quiet")
OTHERS = {
    "scheduled_time": "start",
    "timezone": "zone",
    "recurrence": "rule",
    "sender_number": "senders",
    "sender_numbers": "senders",
    "quiet_hours": "quiet",
}
OWN_RULE = "rule"
REPEATS = (
    ("", "Once"),
    ("FREQ=DAILY", "Every day"),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "From Monday to Friday"),
    ("FREQ=WEEKLY", "Every week"),
    ("FREQ=MONTHLY", "Every month"),
    (OWN_RULE, "By a rule"),
)
"""How often it comes, by the rule of RFC 5545; a rule of one's own is written out."""


class ScheduleForm(BaseModel):
    """What the form says. `start` is a day with its time on the clock of `zone`."""

    message_id: str = ""
    group_id: str = ""
    start: str = ""
    zone: str = ""
    repeat: str = ""
    rule: str = ""
    local_time: bool = False
    senders: list[str] = []
    quiet_from: str = ""
    quiet_to: str = ""
    key: str = ""

    def missing(self) -> Errors:
        """What is not filled in, without which nothing can be scheduled."""
        wanted = {
            "message_id": "Choose a template.",
            "group_id": "Choose a group.",
            "start": "Say on which day and at which time it begins.",
            "rule": "Write the rule, such as FREQ=WEEKLY;BYDAY=MO.",
        }
        given = self.model_dump() | {"rule": self.rule if self.repeat == OWN_RULE else self.repeat or "once"}
        return {name: message for name, message in wanted.items() if not given[name].strip()}

    def body(self) -> dict[str, Any]:
        """As the API takes it.

        Raises:
            ValidationFailed: the time is none.
        """
        rule = self.rule.strip() if self.repeat == OWN_RULE else self.repeat
        return {
            "message_id": self.message_id,
            "group_id": self.group_id,
            "scheduled_time": clock_time(self.start, self.zone, "start"),
            "timezone": self.zone or "UTC",
            "recurrence": rule or None,
            "local_time": self.local_time,
            "sender_number": self.senders[0] if self.senders else None,
            "sender_numbers": self.senders[1:],
            **quiet_hours(self.quiet_from, self.quiet_to),
        }


def errors_in(failed: ValidationFailed) -> Errors:
    """What is wrong with a form by our own reading of it, as sentences by field."""
    return {one.field: f"{one.message[:1].upper()}{one.message[1:]}." for one in failed.errors}


def how_often(rule: str | None) -> str:
    """A rule in words where it is one of those that the form offers, and else as it is; empty for once."""
    return "" if rule is None else dict(REPEATS).get(rule, rule)

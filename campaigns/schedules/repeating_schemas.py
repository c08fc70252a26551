"""The fields of a request that have a schedule come again, or follow the recipients' clocks; and what answers tell."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StringConstraints

from campaigns.schedules.rules import MAX_TEXT, parse_rule
from campaigns.schedules.series import SHOWN_AHEAD
from campaigns.sending.hours_schemas import TimeZone


def _known_rule(text: str) -> str:
    return parse_rule(text).text


RuleText = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_known_rule)]
"""An RFC 5545 rule, in its normal form."""


class Repeating(BaseModel):
    """How a schedule repeats, and whose clock it follows."""

    recurrence: RuleText | None = Field(
        default=None,
        description="An RFC 5545 RRULE such as FREQ=WEEKLY;BYDAY=MO,FR, with scheduled_time as its first time; at "
        "most once an hour. Each is a schedule of its own. A time that the clock skips is the moment of the change, "
        "and one that it shows twice is the first. UNTIL without Z is meant in `timezone`",
        examples=["FREQ=WEEKLY;BYDAY=MO,FR"],
    )
    timezone: TimeZone = Field(
        default="UTC", description="IANA name: recurrence keeps the time that clocks show there, also in summer"
    )
    local_time: StrictBool = Field(
        default=False,
        description="Send to each recipient when the clock where their number is from shows what scheduled_time says "
        "(its offset does not count). Where that is not known, `timezone` counts",
    )


class RepeatsOut(BaseModel):
    """What a list tells of it."""

    recurrence: str | None = Field(default=None, description="The rule, where the schedule is one of a series")
    timezone: str = "UTC"
    local_time: bool = False
    series_id: str | None = Field(default=None, description="The same for all occurrences of one series")
    occurrence: int | None = Field(default=None, description="Its number in the series, from 1")
    missed_occurrences: int = Field(
        default=0, description="So many after this one passed while nobody could begin them; they are not sent"
    )


class RepeatingOut(RepeatsOut):
    """What an answer about one schedule tells of it."""

    next_occurrences: list[datetime] = Field(
        default_factory=list, max_length=SHOWN_AHEAD, description="When the series comes after this one"
    )

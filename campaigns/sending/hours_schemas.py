"""When a campaign may send, as a request says it and an answer tells it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from campaigns.sending.hours import WEEKDAYS, Hours, Weekday, mask_of
from campaigns.sending.wall_clock import is_zone


def _in_utc(time: datetime) -> datetime:
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    try:
        time.astimezone(UTC)
    except OverflowError:
        raise ValueError("is in no year from 1 to 9999 of UTC") from None
    return time


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("is not an IANA time zone that is known here; such names are Europe/Berlin or UTC")
    return name


def _as_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    if value is not None:  # a number would be taken for seconds since 1970
        raise ValueError("is no time in ISO 8601, such as 2030-01-02T15:00:00Z")
    return value


def _time_of_day(text: str) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError("is no time of day, such as 21:00")
    return text


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME_OF_DAY = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
Moment = Annotated[datetime, BeforeValidator(_as_text), AfterValidator(_in_utc)]
"""A time in a request; one that names no zone is meant in UTC, as all our answers are."""
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day), Field(json_schema_extra={"pattern": _TIME_OF_DAY.pattern})]


class QuietHours(BaseModel):
    """A time of each day in which nothing is sent; to may be earlier than from: then it goes over midnight."""

    model_config = ConfigDict(
        extra="forbid",
        serialize_by_alias=True,  # answers are kept and told as they are given
        json_schema_extra={"examples": [{"from": "21:00", "to": "08:00"}]},
    )

    begins: TimeOfDay = Field(alias="from", description="HH:MM in the campaign's time zone")
    ends: TimeOfDay = Field(alias="to", description="HH:MM; what is sent then is sent")

    @model_validator(mode="after")
    def _refuse_no_time(self) -> Self:
        if self.begins == self.ends:
            raise ValueError("from and to are the same time; leave quiet_hours out if nothing is to be quiet")
        return self


class OpenHours(BaseModel):
    """The fields of a request that say when messages may leave, once they have begun to."""

    expires_at: Moment | None = Field(
        default=None, description="What has not been sent by then is skipped, never sent stale"
    )
    timezone: TimeZone = Field(default="UTC", description="IANA name; quiet_hours and weekdays are meant in it")
    quiet_hours: QuietHours | None = Field(
        default=None, description="Nothing is sent then; the account's if neither these nor weekdays are named"
    )
    weekdays: list[Weekday] = Field(
        default=list(WEEKDAYS), min_length=1, max_length=7, description="Nothing is sent on other days"
    )

    def hours_from(self, start: datetime | None, usual: Hours | None = None) -> Hours:
        """The same for the rules of `hours.py`; nothing leaves before `start`.

        Where neither quiet hours nor weekdays are named (null names them) the account's `usual` ones hold, read off
        the clock of the request's zone where it names one.
        """
        starts_at = start.timestamp() if start else None
        expires_at = self.expires_at.timestamp() if self.expires_at else None
        if usual is not None and not self.model_fields_set & {"quiet_hours", "weekdays"}:
            timezone = self.timezone if "timezone" in self.model_fields_set else usual.timezone
            return replace(usual, timezone=timezone, starts_at=starts_at, expires_at=expires_at)
        quiet_from, quiet_to = minutes_of(self.quiet_hours)
        return Hours(
            timezone=self.timezone,
            quiet_from=quiet_from,
            quiet_to=quiet_to,
            weekdays=mask_of(self.weekdays),
            starts_at=starts_at,
            expires_at=expires_at,
        )


class SendingHours(OpenHours):
    """The fields of a request that say when its messages may leave."""

    start_at: Moment | None = Field(default=None, description="Nothing is sent before; now if left out")

    def hours(self, usual: Hours | None = None) -> Hours:
        """The same for the rules of `hours.py`; `usual` are the account's."""
        return self.hours_from(self.start_at, usual)


def minutes_of(quiet: QuietHours | None) -> tuple[int | None, int | None]:
    """From and to as minutes of the day."""
    return (_minutes(quiet.begins), _minutes(quiet.ends)) if quiet else (None, None)


def _minutes(text: str) -> int:
    """Minutes since midnight of HH:MM."""
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)

"""Reading an RFC 5545 recurrence rule: what it may say here, and a sentence for everything that it may not. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

MAX_TEXT = 500
MAX_COUNT = 100_000
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BY_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,6}", re.ASCII)


class InvalidRule(ValueError):
    """A recurrence rule that is not understood, or not allowed here; the message says why."""


class Frequency(StrEnum):
    """How often a rule's periods come."""

    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


MAX_INTERVAL: Mapping[Frequency, int] = MappingProxyType(
    {
        Frequency.HOURLY: 8760,
        Frequency.DAILY: 1830,
        Frequency.WEEKLY: 260,
        Frequency.MONTHLY: 60,
        Frequency.YEARLY: 5,
    }
)
_F = Frequency
_ONLY_WITH: Mapping[str, frozenset[Frequency]] = MappingProxyType(
    {
        "BYMONTHDAY": frozenset({_F.HOURLY, _F.DAILY, _F.MONTHLY, _F.YEARLY}),
        "BYYEARDAY": frozenset({_F.HOURLY, _F.YEARLY}),
        "BYSETPOS": frozenset({_F.MONTHLY, _F.YEARLY}),  # a shorter period holds too little to choose from
    }
)
_LISTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "BYMONTH": (1, 12),
        "BYMONTHDAY": (-31, 31),
        "BYYEARDAY": (-366, 366),
        "BYHOUR": (0, 23),
        "BYMINUTE": (0, 59),
        "BYSECOND": (0, 59),
        "BYSETPOS": (-366, 366),
    }
)
"""Parts that are lists of numbers, with the least and the greatest of them; of signed ones 0 is no number."""
_KNOWN = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST", *_LISTS})


@dataclass(frozen=True, slots=True)
class ByDay:
    """A weekday (0 is Monday), or only the `nth` one of its month or year; negative ones count from the end."""

    weekday: int
    nth: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule as it was read. Empty parts limit nothing; `text` is the rule in its normal form.

    `until` is the last moment (with an offset), or the last reading of the clock on the wall (without one).
    """

    text: str
    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    week_starts: int = 0
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    days: frozenset[ByDay] = frozenset()
    hours: frozenset[int] = frozenset()
    minute: int | None = None
    second: int | None = None
    positions: frozenset[int] = frozenset()

    @property
    def several_a_day(self) -> bool:
        """Whether one day may have more than one occurrence."""
        return self.frequency is Frequency.HOURLY or len(self.hours) > 1


def parse_rule(text: str) -> Rule:
    """Read a rule such as `FREQ=WEEKLY;BYDAY=MO,FR`.

    Raises:
        InvalidRule: it is not one, or asks for what is not offered here.
    """
    parts = _parts_of(text)
    frequency = _frequency(parts)
    lists = {key: _numbers(key, parts[key]) for key in _LISTS if key in parts}
    days = _by_days(parts["BYDAY"]) if "BYDAY" in parts else frozenset()
    _refuse_mixtures(parts, frequency, lists, days)
    return Rule(
        text=";".join(f"{key}={value}" for key, value in parts.items()),
        frequency=frequency,
        interval=_one("INTERVAL", parts.get("INTERVAL", "1"), MAX_INTERVAL[frequency]),
        count=_one("COUNT", parts["COUNT"], MAX_COUNT) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_starts=_week_start(parts.get("WKST", "MO")),
        months=lists.get("BYMONTH", frozenset()),
        month_days=lists.get("BYMONTHDAY", frozenset()),
        year_days=lists.get("BYYEARDAY", frozenset()),
        days=days,
        hours=lists.get("BYHOUR", frozenset()),
        minute=next(iter(lists.get("BYMINUTE", ())), None),
        second=next(iter(lists.get("BYSECOND", ())), None),
        positions=lists.get("BYSETPOS", frozenset()),
    )


def _parts_of(text: str) -> dict[str, str]:
    if len(text) > MAX_TEXT:
        raise InvalidRule(f"is longer than {MAX_TEXT} characters")
    upper = text.strip().upper()
    if re.search(r"DTSTART|EXDATE|RDATE|EXRULE", upper) or "\n" in upper:
        raise InvalidRule("is the rule alone: the first time is scheduled_time, and dates cannot be left out or added")
    parts: dict[str, str] = {}
    for part in upper.removeprefix("RRULE:").removesuffix(";").split(";"):
        key, sign, value = part.partition("=")
        if not sign or not value:
            raise InvalidRule("is not an RFC 5545 recurrence rule; such are FREQ=DAILY or FREQ=WEEKLY;BYDAY=MO,FR")
        if key not in _KNOWN:
            raise InvalidRule(f"has a part that is not understood here: {key[:20]}")
        if key in parts:
            raise InvalidRule(f"names {key} twice")
        parts[key] = value
    return parts


def _frequency(parts: Mapping[str, str]) -> Frequency:
    if "FREQ" not in parts:
        raise InvalidRule("names no FREQ: HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY")
    if parts["FREQ"] in ("SECONDLY", "MINUTELY"):
        raise InvalidRule("comes more often than once an hour")
    try:
        return Frequency(parts["FREQ"])
    except ValueError:
        raise InvalidRule("has a FREQ other than HOURLY, DAILY, WEEKLY, MONTHLY and YEARLY") from None


def _refuse_mixtures(
    parts: Mapping[str, str], frequency: Frequency, lists: Mapping[str, frozenset[int]], days: frozenset[ByDay]
) -> None:
    for key, allowed in _ONLY_WITH.items():
        if key in parts and frequency not in allowed:
            raise InvalidRule(f"has {key}, which does not go with FREQ={frequency}")
    if any(day.nth is not None for day in days) and frequency not in (Frequency.MONTHLY, Frequency.YEARLY):
        raise InvalidRule(f"counts weekdays in BYDAY, which does not go with FREQ={frequency}")
    for key in ("BYMINUTE", "BYSECOND"):
        if len(lists.get(key, ())) > 1:
            raise InvalidRule(f"comes more often than once an hour: {key} may name one only")
    if "BYSETPOS" in parts and not any(key.startswith("BY") and key != "BYSETPOS" for key in parts):
        raise InvalidRule("has BYSETPOS, which chooses among what another BY... part gives")
    if "COUNT" in parts and "UNTIL" in parts:
        raise InvalidRule("names both COUNT and UNTIL; one of them ends it")


def _one(key: str, value: str, most: int) -> int:
    if not value.isdecimal() or not value.isascii() or len(value) > 9 or not 1 <= int(value) <= most:
        article = "an" if key.startswith("I") else "a"  # INTERVAL, COUNT
        raise InvalidRule(f"has {article} {key} that is not a whole number from 1 to {most}")
    return int(value)


def _numbers(key: str, value: str) -> frozenset[int]:
    least, most = _LISTS[key]
    numbers: set[int] = set()
    for item in value.split(","):
        number = int(item) if _NUMBER.fullmatch(item) else most + 1
        if not least <= number <= most or (least < 0 and number == 0):
            raise InvalidRule(
                f"has a {key} that is not {'a number other than 0 ' if least < 0 else ''}from {least} to {most}"
            )
        numbers.add(number)
    return frozenset(numbers)


def _by_days(value: str) -> frozenset[ByDay]:
    days: set[ByDay] = set()
    for item in value.split(","):
        found = _BY_DAY.fullmatch(item)
        nth = int(found[1]) if found and found[1] else None
        if not found or nth == 0 or abs(nth or 1) > 53:
            raise InvalidRule("has a BYDAY that is no weekday; such are MO, or 1MO and -1FR (the first, the last)")
        days.add(ByDay(_WEEKDAYS.index(found[2]), nth))
    return frozenset(days)


def _week_start(value: str) -> int:
    if value not in _WEEKDAYS:
        raise InvalidRule("has a WKST that is no weekday; such are MO and SU")
    return _WEEKDAYS.index(value)


def _until(value: str) -> datetime:
    """Z means UTC, and without it the clock of the series; a date is the whole of that day."""
    found = _UNTIL.fullmatch(value)
    try:
        if not found:
            raise ValueError
        day = datetime.strptime(found[1], "%Y%m%d")  # noqa: DTZ007 - the clock on the wall
        if found[2] is None:
            return day + timedelta(days=1, microseconds=-1)
        at = datetime.strptime(found[1] + found[2], "%Y%m%d%H%M%S")  # noqa: DTZ007
        return at.replace(tzinfo=UTC) if found[3] else at
    except (ValueError, OverflowError):
        raise InvalidRule("has an UNTIL that is not a time such as 20261231T230000Z, or a date") from None

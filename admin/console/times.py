"""Days and hours as people fill them in, by the clock of a time zone, and as the API takes them."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import available_timezones

from campaigns.sending.wall_clock import zone_of
from gateway.errors import FieldError, ValidationFailed


def day_start(text: str, zone: str, field: str, *, after: bool = False) -> str:
    """When a day (`YYYY-MM-DD`) begins in a time zone, as ISO 8601; with `after` when it is over. Empty stays so.

    Raises:
        ValidationFailed: it is no day.
    """
    if not text:
        return ""
    try:
        day = date.fromisoformat(text) + timedelta(days=after)
    except (ValueError, OverflowError):
        message = "is no date such as 2026-11-21"
        raise ValidationFailed(f"{field} {message}", errors=[FieldError(field, message, "invalid")]) from None
    return datetime(day.year, day.month, day.day, tzinfo=zone_of(zone or "UTC")).isoformat()


def clock_time(text: str, zone: str, field: str) -> str:
    """A day with its time (`YYYY-MM-DDTHH:MM`) in a time zone, as ISO 8601.

    Raises:
        ValidationFailed: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        message = "say on which day and at which time it begins"
        raise ValidationFailed(message, errors=[FieldError(field, message, "invalid")]) from None
    return at.replace(tzinfo=zone_of(zone or "UTC")).isoformat()


@lru_cache(maxsize=1)
def known_zones() -> list[str]:
    """The names of all time zones."""
    return sorted(available_timezones())

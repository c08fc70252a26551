"""Numbers, times and phone numbers as people read them: the filters of the templates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import phonenumbers
from markupsafe import Markup

MINUTE, HOUR, DAY = 60, 3600, 86_400


def number(value: float) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """How much of `whole` a part is, in percent: with decimals where it is little, so that little is not none."""
    if not whole or not part:
        return "0%"
    percent = 100 * part / whole
    if percent > 99 and part < whole:
        return f"{min(percent, 99.9):.1f}%"
    return f"{percent:.2f}%" if percent < 2 else f"{percent:.1f}%" if percent < 99 else "100%"


def lasting(seconds: float) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `17 m 5 s`."""
    left = max(0, int(seconds))
    if left < MINUTE:
        return f"{left} s"
    for size, name, below, small in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "m"), (MINUTE, "m", 1, "s")):
        if left >= size:
            rest = left % size // below
            return f"{left // size} {name} {rest} {small}" if rest else f"{left // size} {name}"
    raise AssertionError("unreachable")


def roughly(seconds: float) -> str:
    """A length of time for a forecast: never to the second."""
    return "less than a minute" if seconds < MINUTE else f"about {lasting(seconds - seconds % MINUTE)}"


@lru_cache(maxsize=4096)
def phone(text: str) -> str:
    """A number in international form with its spaces; what is no number stays as it is."""
    written = text if text.startswith("+") else f"+{text}"
    try:
        return phonenumbers.format_number(phonenumbers.parse(written), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return text


def initials(name: str, otherwise: str = "") -> str:
    """Two letters for a name, or a letter and a digit; the last two digits of `otherwise` where there is none."""
    words = [word for word in name.split() if word[0].isalnum()]
    if not words:
        return otherwise[-2:]
    last = words[-1] if len(words) > 1 else ""
    return (words[0][0] + (last[-1:] if last.isdigit() else last[:1])).upper()


def moment(value: str | float | datetime | None, form: str = "full") -> Markup:
    """A time as an element that shows it in the viewer's zone, with UTC on hover; nothing for None.

    `form` is `full`, `time`, `date`, `left` (how long until then) or `ago`.
    """
    if value is None:
        return Markup('<span class="text-secondary">–</span>')
    at = _as_datetime(value)
    utc = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<local-time datetime="{}" form="{}" title="{}">{}</local-time>').format(
        at.isoformat().replace("+00:00", "Z"), form, utc, at.strftime("%Y-%m-%d %H:%M UTC")
    )


def _as_datetime(value: str | float | datetime) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC)
    return datetime.fromtimestamp(value, UTC)


def words(state: str) -> str:
    """A state's name for people: `WAITING_FOR_SCAN` as `Waiting for scan`."""
    text = state.replace("_", " ").lower()
    return text[:1].upper() + text[1:]


SOON_SECONDS = 2 * DAY
HAPPENINGS = {
    "keeper.stopped": "Stopped by the gateway",
    "keeper.failed": "Repair failed",
    "keeper.gave_up": "Repair given up",
    "keepalive.pinged": "Checked",
    "keepalive.failed": "Check failed",
    "limits.locked": "Locked by WhatsApp",
    "limits.unlocked": "Lock over",
}
"""Lines of a session's history that their own word does not tell well."""


def urgency(sender: Mapping[str, Any]) -> str:
    """Whether a sender's session ends soon, as a class: empty, `soon` (within two days) or `over`."""
    left = sender["expires_in_seconds"]
    if sender["status"] == "EXPIRED" or left == 0:
        return "over"
    return "soon" if left is not None and left < SOON_SECONDS else ""


def happening(kind: str) -> str:
    """A line of a session's history in words: `session.wrong_phone` as `Wrong phone`."""
    return HAPPENINGS.get(kind) or words(kind.split(".", 1)[-1])


def later(effect: Mapping[str, Any]) -> float:
    """By how many seconds other delays make a campaign end later (below 0: sooner); 0 where it cannot be told."""
    now, then = effect["finish_now"], effect["finish_then"]
    return 0.0 if now is None or then is None else round((_as_datetime(then) - _as_datetime(now)).total_seconds())


def seconds(value: float) -> str:
    """A delay: `2 seconds`, `0.5 seconds`."""
    return f"{value:g} second{'' if value == 1 else 's'}"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "share": share,
    "lasting": lasting,
    "roughly": roughly,
    "phone": phone,
    "initials": initials,
    "moment": moment,
    "words": words,
    "urgency": urgency,
    "happening": happening,
    "seconds": seconds,
    "later": later,
}

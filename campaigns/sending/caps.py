"""How many messages a sender may send: in an hour that slides, and in a day of its own time zone. Pure; epoch seconds.

The hour is kept as slices of five minutes, each with how many were sent in it. A slice counts until its end lies an
hour back, so that never more than the cap are sent in any sixty minutes, and a message waits for it at most a slice
longer than it must.
"""

from dataclasses import dataclass
from functools import lru_cache

import orjson
import phonenumbers
from phonenumbers.timezone import time_zones_for_geographical_number

from campaigns.sending.wall_clock import is_zone, next_midnight, zone_of

SLICE_SECONDS = 300
HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Sent:
    """What left through a sender in the last hour, as its lane keeps it.

    `slice_sent` are those since `slice_at`, where the present slice began; `slices` is a JSON list of the ones before
    it, oldest first: [when it began, how many].
    """

    slice_at: float = 0.0
    slice_sent: int = 0
    slices: str = "[]"


def roll(sent: Sent, at: float) -> Sent:
    """The same at `at`, when the next message leaves: what is over an hour back is dropped.

    Whoever sends adds one to `slice_sent` of the answer.
    """
    slices = _slices(sent)
    slice_at, count = sent.slice_at, sent.slice_sent
    if count == 0:
        slice_at = at
    elif slice_at + SLICE_SECONDS <= at:
        slices.append([slice_at, count])
        slice_at, count = at, 0
    kept = [item for item in slices if _counts_until(item[0]) > at]
    return Sent(slice_at, count, orjson.dumps(kept).decode())


def set_back(slices: str, now: float) -> str:
    """The slices before the present one where the clock has been set back to `now`: none of them began after it."""
    return orjson.dumps([[min(began_at, now), count] for began_at, count in orjson.loads(slices)]).decode()


def sent_last_hour(sent: Sent) -> int:
    """How many count at the moment for which `sent` was rolled."""
    return sent.slice_sent + sum(int(count) for _, count in _slices(sent))


def full_until(sent: Sent, cap: int) -> float:
    """When the oldest slices no longer count, so that one more may leave; 0 if one may at once.

    `sent` is rolled, and `cap` above 0.
    """
    too_many = sent_last_hour(sent) - cap + 1
    until = 0.0
    for slice_at, count in [*_slices(sent), [sent.slice_at, sent.slice_sent]]:
        if too_many <= 0:
            break
        too_many -= int(count)
        until = _counts_until(slice_at)
    return until


def _slices(sent: Sent) -> list[list[float]]:
    slices: list[list[float]] = orjson.loads(sent.slices)
    return slices


def _counts_until(slice_at: float) -> float:
    return slice_at + SLICE_SECONDS + HOUR_SECONDS


def day_end(at: float, timezone: str) -> float:
    """When the day of `at` is over in this time zone (IANA)."""
    return next_midnight(at, zone_of(timezone))


@lru_cache(maxsize=16_384)
def zone_of_number(digits: str) -> str:
    """The IANA time zone of a phone number by its country and area code.

    The first of them where there are several, and UTC where none is known. Numbers that no plan knows have one too.
    """
    return next(iter(zones_of_number(digits)), "UTC")


def zones_of_number(digits: str) -> tuple[str, ...]:
    """All IANA time zones that a phone number may be in, by its country and area code; none where none is known."""
    try:
        found = time_zones_for_geographical_number(phonenumbers.parse(f"+{digits}"))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(name for name in found if is_zone(name))

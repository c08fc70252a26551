"""Identifiers of our own rows: UUID version 7, so that ids made later sort later (RFC 9562 §5.7)."""

import itertools
import secrets
import uuid


def make_id(now: float) -> str:
    """A new UUIDv7 for the time `now` (epoch seconds), as 36 characters."""
    milliseconds = int(now * 1000) & 0xFFFF_FFFF_FFFF
    random = secrets.randbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def first_id(now: float) -> str:
    """What every id that was made at `now` (epoch seconds) or later is not below."""
    return str(uuid.UUID(int=(int(now * 1000) & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | 0b10 << 62))


def make_ids(now: float, count: int) -> list[str]:
    """`count` UUIDv7 for the same moment, in ascending order: rows inserted together lie together."""
    return sorted(make_id(now) for _ in range(count))


_places = itertools.count()


def make_ordered_ids(now: float, count: int) -> list[str]:
    """As `make_ids`, in ascending order also beside those that this process makes later in the same millisecond.

    The twelve bits after the milliseconds are the fraction of one (RFC 9562 §6.2, method 3); then comes a counter.
    """
    milliseconds, rest = divmod(int(now * 1_000_000), 1000)
    head = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | rest * 4096 // 1000 << 64 | 0b10 << 62
    places = itertools.islice(_places, count)
    return [str(uuid.UUID(int=head | (place & 0xFFFF_FFFF) << 30 | secrets.randbits(30))) for place in places]

"""Identifiers of our own rows: UUID version 7, so that ids made later sort later (RFC 9562 §5.7)."""

import secrets
import uuid


def make_id(now: float) -> str:
    """A new UUIDv7 for the time `now` (epoch seconds), as 36 characters."""
    milliseconds = int(now * 1000) & 0xFFFF_FFFF_FFFF
    random = secrets.randbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def make_ids(now: float, count: int) -> list[str]:
    """`count` UUIDv7 for the same moment, in ascending order: rows inserted together lie together."""
    return sorted(make_id(now) for _ in range(count))

"""Careful reading of decoded JSON from outside: a value of the wrong type reads as an absent one. A leaf."""

from collections.abc import Mapping
from typing import Any


def as_object(value: object) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Return `value` if it is a text, else None."""
    return value if isinstance(value, str) else None


def as_flag(value: object) -> bool | None:
    """Return `value` if it is true or false, else None."""
    return value if isinstance(value, bool) else None


def as_whole(value: object) -> int | None:
    """Return `value` as int if it is a number of 64 bits (JavaScript has no ints), else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 else None


def as_texts(value: object) -> dict[str, str]:
    """Return the entries of a JSON object that are texts."""
    return {key: text for key, text in as_object(value).items() if isinstance(text, str)}

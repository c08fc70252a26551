"""What somebody means who searches for a number: people write them with spaces, brackets and prefixes. Pure."""

import unicodedata
from collections.abc import Callable
from contextlib import suppress

from gateway.phone import InvalidPhoneNumber, PhoneNumber

MIN_DIGITS = 2
"""One digit alone is looked for as it stands."""
_SIGNS = frozenset("+./·")
_SEPARATOR_CATEGORIES = frozenset({"Zs", "Pd", "Cf", "Ps", "Pe"})


def digits_meant(text: str, read: Callable[[str], PhoneNumber]) -> list[str]:
    """The digits to look for in stored numbers; none where the text is not written as a number.

    As they stand (without "00" before them, which is the same as "+"), for a part of a number; and as the whole number
    that `read` makes of them, for one that is written as it is dialled at home.
    """
    found = "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())
    if len(found) < MIN_DIGITS or not all(map(_may_be_in_a_number, text)):
        return []
    meant = [found.removeprefix("00") or found]
    with suppress(InvalidPhoneNumber):  # where it is a part of a number
        meant.append(read(text).digits)
    return list(dict.fromkeys(meant))


def _may_be_in_a_number(char: str) -> bool:
    return char.isdecimal() or char in _SIGNS or unicodedata.category(char) in _SEPARATOR_CATEGORIES

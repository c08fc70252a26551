"""What numbers there are behind a country calling code, by libphonenumber's tables.

libphonenumber's own functions find their patterns anew for each number, and most of the time of reading a contact list
is spent on that. Here they are put together once for each calling code. A property test holds the two against each
other.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Literal

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

Grade = Literal["valid", "possible", "invalid"]

_KINDS = (
    "mobile",
    "fixed_line",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


class CallingCode:
    """The numbers of one calling code, which one or more regions share."""

    def __init__(self, code: str) -> None:
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
        found = [PhoneMetadata.metadata_for_region_or_calling_code(int(code), region) for region in regions]
        tables = [table for table in found if table is not None]
        self._regions = [_Region(table, alone=len(regions) == 1) for table in tables]
        # what fits the first region is possible, as libphonenumber has it
        local = () if tables[0].general_desc is None else tables[0].general_desc.possible_length_local_only
        self._lengths = _lengths_of(tables[0].general_desc) - frozenset(local)

    def grade(self, national: str) -> Grade | None:
        """Of a national significant number; None if no number has this length."""
        if len(national) not in self._lengths:
            return None
        return "valid" if self._is_valid(national) else "possible"

    def _is_valid(self, national: str) -> bool:
        """Asks the region that the number belongs to: by its leading digits where the region has some of its own."""
        for region in self._regions:
            if region.leads is None:
                if region.has(national):
                    return True
            elif region.leads(national):
                return region.has(national)
        return False


class _Region:
    """The kinds of numbers that one region has."""

    def __init__(self, table: PhoneMetadata, *, alone: bool) -> None:
        leading = None if alone else table.leading_digits
        self.leads: Callable[[str], object] | None = re.compile(leading).match if leading is not None else None
        self._any = _Kind(table.general_desc)
        kinds: list[PhoneNumberDesc | None] = [getattr(table, name) for name in _KINDS]
        self._kinds = [_Kind(kind) for kind in kinds if kind is not None and kind.national_number_pattern]

    def has(self, national: str) -> bool:
        """Whether it is a number of any kind."""
        return self._any.fits(national) and any(kind.fits(national) for kind in self._kinds)


def _lengths_of(table: PhoneNumberDesc | None) -> frozenset[int]:
    return frozenset() if table is None else frozenset(table.possible_length)


class _Kind:
    """One kind of numbers: their lengths (empty: any) and their pattern (none: there are no such numbers)."""

    def __init__(self, table: PhoneNumberDesc | None) -> None:
        self._lengths = _lengths_of(table)
        self._matches = re.compile((table and table.national_number_pattern) or r"(?!)").fullmatch

    def fits(self, national: str) -> bool:
        """Whether it is one of them."""
        return (not self._lengths or len(national) in self._lengths) and self._matches(national) is not None


@cache
def calling_code(code: str) -> CallingCode:
    """The numbers behind a code that exists; there are some 250, so the cache is bounded by nature."""
    return CallingCode(code)

"""Reading phone numbers as people write them: the one function that everything else goes through.

A number is read as the first of these that works:

1. possible in the default region, as somebody there would dial it;
2. possible as "+digits";
3. the bare digits, if there are 7 to 15 of them (graded `invalid`, because no numbering plan knows them).

libphonenumber grades and interprets; this module spells the text out as digits first, because libphonenumber
is built to find a number *somewhere* in a text, and would take "ask 0639980000 x12" or the first of two numbers.

Read a text once and keep the `PhoneNumber`: stored digits, read again in a default region, may mean another number.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata

from gateway.calling_codes import Grade, calling_code

MIN_DIGITS = 7
MAX_DIGITS = 15  # E.164, country code included
MAX_TEXT = 100

_USUAL_SEPARATORS = str.maketrans("", "", " -()\u00a0\t")
_SEPARATOR_CATEGORIES = frozenset({"Zs", "Pd", "Cf", "Ps", "Pe"})  # spaces, dashes, invisible marks, brackets
_OTHER_SEPARATORS = frozenset("./·\t\r\n\N{MINUS SIGN}")
_PLUS_SIGNS = frozenset("+\N{FULLWIDTH PLUS SIGN}")
# Spaces, and a spreadsheet's ways of saying "this is text".
_ENDS = " \t\r\n\v\f\u00a0\u2007\u202f\u3000'\"=`\N{RIGHT SINGLE QUOTATION MARK}"
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
_EXPORTED_AS_FLOAT = re.compile(r"(\+?\d{7,})[.,]0{1,2}")


class InvalidPhoneNumber(ValueError):
    """This text cannot be read as a phone number; `reason` says why in words for the person who wrote it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BlankPhoneNumber(InvalidPhoneNumber):
    """There is nothing but spaces and invisible characters."""


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A number in international form, and how much libphonenumber thinks of it."""

    digits: str
    """Country code and number, without a plus."""
    grade: Grade

    @property
    def e164(self) -> str:
        """The number as it is shown: "+" and the digits."""
        return f"+{self.digits}"


def read_phone(text: str, *, default_region: str = "", strict: bool = False) -> PhoneNumber:
    """Read a number written in any manner.

    `default_region` is an ISO 3166 code ("FR"), or empty: only international forms. With `strict` a number must
    be graded `valid`. Raises `InvalidPhoneNumber` with a reason; `ValueError` for a region that does not exist.
    """
    digits, international = _spell(text)
    region = _region(default_region) if default_region else None
    if region is not None and not international and region.dials_abroad(digits):
        number = _in_region(digits, region)
    else:
        # "00" is the way out of most countries, and no number begins with it: another way to write "+".
        international = international or digits.startswith("00")
        digits = digits.removeprefix("00")
        number = None if international or region is None else _in_region(digits, region)
    return _require(number or _international(digits) or _bare(digits), strict=strict)


def read_stored(digits: str, *, strict: bool = False) -> PhoneNumber:
    """Read what a file of our own says: a whole number of 7 to 15 digits, in any default region the same.

    Raises `InvalidPhoneNumber` as `read_phone` does.
    """
    found = _international(digits)
    number = found if found is not None and found.digits == digits else _bare(digits)
    return _require(number, strict=strict)


def _require(number: PhoneNumber, *, strict: bool) -> PhoneNumber:
    if strict and number.grade != "valid":
        raise InvalidPhoneNumber(f"it is {number.grade}, and only valid numbers are accepted")
    return number


def _bare(digits: str) -> PhoneNumber:
    if len(digits) < MIN_DIGITS:
        raise InvalidPhoneNumber(f"it has too few digits: {len(digits)}, at least {MIN_DIGITS} are needed")
    if len(digits) > MAX_DIGITS:
        raise InvalidPhoneNumber(f"it has too many digits: {len(digits)}, at most {MAX_DIGITS} are possible")
    return PhoneNumber(digits, "invalid")


# --- from text to digits ---


def _spell(text: str) -> tuple[str, bool]:
    """The digits of the text, and whether they were written with a plus."""
    plain = text.translate(_USUAL_SEPARATORS)
    body = plain.removeprefix("+")
    if body.isascii() and body.isdigit() and len(text) <= MAX_TEXT:
        return body, body != plain
    return _spell_with_care(text)


def _spell_with_care(text: str) -> tuple[str, bool]:
    if len(text) > MAX_TEXT:
        raise InvalidPhoneNumber(f"it is longer than {MAX_TEXT} characters")
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf").strip(_ENDS)
    if not visible:
        raise BlankPhoneNumber("it is blank")
    if visible[:4].lower() == "tel:":
        visible = _without_uri_parts(visible[4:])
    if _SCIENTIFIC.fullmatch(visible):
        raise InvalidPhoneNumber("a spreadsheet has rounded it (as 3.36E+10): format the column as text")
    if as_float := _EXPORTED_AS_FLOAT.fullmatch(visible):
        visible = as_float[1]
    _refuse_two_numbers(visible)
    return _digits_of(visible)


def _without_uri_parts(uri: str) -> str:
    """The number of a "tel:" address (RFC 3966), with the context that its parameters give it."""
    number, *parameters = uri.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "ext":
            raise InvalidPhoneNumber("it has an extension, which WhatsApp cannot reach")
        if name.lower() == "phone-context" and value.startswith("+") and not number.startswith("+"):
            number = value + number
    return number


def _refuse_two_numbers(text: str) -> None:
    """A slash may follow an area code, but between two whole numbers it would glue two people into one."""
    parts = [sum(char.isdecimal() for char in part) for part in text.split("/")]
    if sum(count >= MIN_DIGITS for count in parts) > 1:
        raise InvalidPhoneNumber("there is more than one number in it")


def _digits_of(text: str) -> tuple[str, bool]:
    digits: list[str] = []
    plus = False
    for char in text:
        if char.isdecimal():  # of any script
            digits.append(str(unicodedata.decimal(char)))
        elif char in _PLUS_SIGNS:
            if digits:
                raise InvalidPhoneNumber("there is a plus sign in the middle of it")
            plus = True
        elif char.isalpha():
            raise InvalidPhoneNumber("there are letters in it")
        elif char not in _OTHER_SEPARATORS and unicodedata.category(char) not in _SEPARATOR_CATEGORIES:
            raise InvalidPhoneNumber(f"there is a character in it that no phone number has: {char!a}")
    if not digits:
        raise InvalidPhoneNumber("there are no digits in it")
    return "".join(digits), plus


# --- from digits to a number ---
#
# `phonenumbers.parse` takes two thirds of the time of reading a number. Nearly all numbers need none of what
# it does, because no prefix is to be stripped; a property test holds the two ways against each other.


class _Plan:
    """One region's numbering plan: what decides whether a prefix may have to be stripped."""

    def __init__(self, metadata: PhoneMetadata) -> None:
        self.code = str(metadata.country_code)
        self.region = metadata.id
        self._idd = _compiled(metadata.international_prefix)
        self._trunk = _compiled(metadata.national_prefix_for_parsing)
        general = metadata.general_desc
        lengths = () if general is None else (*general.possible_length, *general.possible_length_local_only)
        self._longest = max(lengths, default=MAX_DIGITS)

    def dials_abroad(self, digits: str) -> bool:
        """Whether somebody in this region would be dialling another country."""
        return self._idd is not None and self._idd.match(digits) is not None

    def has_trunk_prefix(self, national: str) -> bool:
        """Whether something at the start *may* have to be stripped (the zero of 06..., for one)."""
        return self._trunk is not None and self._trunk.match(national) is not None

    def exceeds(self, digits: str) -> bool:
        """Whether there are more digits than any number of this plan has."""
        return len(digits) > self._longest


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


@cache
def _region(name: str) -> _Plan:
    """The plan of a region; there are some 250, so the cache is bounded by nature. Raises `ValueError`."""
    metadata = PhoneMetadata.metadata_for_region(name.upper())
    if metadata is None:
        raise ValueError(f"{name!r} is not a region: an ISO 3166 code of two letters is expected, such as FR")
    return _Plan(metadata)


@cache
def _country(code: str) -> _Plan | None:
    """The plan behind a country calling code, None if there is no such code."""
    region = phonenumbers.region_code_for_country_code(int(code))
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
    return None if metadata is None else _Plan(metadata)


def _international(digits: str) -> PhoneNumber | None:
    """Read the digits as if a plus stood before them; None if that is not possible."""
    for end in (1, 2, 3):
        code, national = digits[:end], digits[end:]
        plan = _country(code) if len(code) == end and code[0] != "0" else None
        if plan is None:
            continue
        if len(national) > 2 and not plan.has_trunk_prefix(national):
            return _graded(code, national)
        break
    return _parsed(f"+{digits}", None)


def _in_region(digits: str, region: _Plan) -> PhoneNumber | None:
    """Read the digits as somebody in that region would dial them; None if that is not possible there."""
    if len(digits) > 2 and not region.dials_abroad(digits):
        if not digits.startswith(region.code):
            if not region.has_trunk_prefix(digits):
                return _graded(region.code, digits)
        elif region.exceeds(digits) and not region.has_trunk_prefix(digits[len(region.code) :]):
            return _international(digits)
    return _parsed(digits, region.region)


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    """The full way: let libphonenumber take the text apart."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return _graded(str(number.country_code), phonenumbers.national_significant_number(number))


def _graded(code: str, national: str) -> PhoneNumber | None:
    """None if its length fits no plan. Numbers that reach somebody only from the same town do not count."""
    grade = calling_code(code).grade(national)
    digits = code + national
    if grade is None or not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return None
    return PhoneNumber(digits, grade)

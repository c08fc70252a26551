"""Our grades of numbers are libphonenumber's."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calling_codes import Grade, calling_code

CODES = sorted(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
KINDS = [kind for kind in phonenumbers.PhoneNumberType.values() if kind != phonenumbers.PhoneNumberType.UNKNOWN]


def grade_of(code: str, national: str) -> Grade | None:
    """What libphonenumber's own functions say."""
    zeros = min(len(national) - len(national.lstrip("0")), len(national) - 1)
    number = phonenumbers.PhoneNumber(
        country_code=int(code),
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return "valid" if phonenumbers.is_valid_number(number) else "possible"


def examples_of(code: str) -> set[str]:
    """An example of every kind of number that a calling code has, by libphonenumber's tables."""
    regions = [region for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)] if region != "001"]
    found = [phonenumbers.example_number_for_type(region, kind) for region in regions for kind in KINDS]
    if not regions:
        found = [phonenumbers.example_number_for_non_geo_entity(int(code))]
    return {phonenumbers.national_significant_number(number) for number in found if number is not None}


@pytest.mark.parametrize("code", CODES)
def test_every_kind_of_number_of_a_country_and_its_neighbours_are_graded_alike(code: str) -> None:
    examples = examples_of(code)
    assert examples
    near = {text[:place] + digit + text[place + 1 :] for text in examples for place in range(4) for digit in "0159"}
    for national in examples | near | {text[:-1] for text in examples} | {text + "0" for text in examples}:
        assert calling_code(code).grade(national) == grade_of(code, national), national


@given(code=st.sampled_from(CODES), national=st.text("0123456789", min_size=3, max_size=17))
def test_any_digits_are_graded_alike(code: str, national: str) -> None:
    assert calling_code(code).grade(national) == grade_of(code, national)

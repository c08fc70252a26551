import csv
import re
import time
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.phone import BlankPhoneNumber, InvalidPhoneNumber, PhoneNumber, read_phone

CONTACTS = Path(__file__).parents[3] / "shared" / "data" / "contacts.csv"
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize(
    "text",
    [
        "+33639980000",
        "33639980000",
        "+33 6 39 98 00 00",
        "+33-6-39-98-00-00",
        "+33.6.39.98.00.00",
        "+ 336 39980000",
        "(+33) 639980000",
        "+33 (0)6 39 98 00 00",
        "0033639980000",
        "00 33 6 39 98 00 00",
        "+0033639980000",
        "tel:+33639980000",
        "TEL:+33-6-39-98-00-00",
        "tel:639980000;phone-context=+33",
        "tel:+33639980000;isub=1",
        "+٣٣٦٣٩٩٨٠٠٠٠",
        "\N{FULLWIDTH PLUS SIGN}33639980000",
        "+33\u00a06\u202f39\u200998 00 00",
        "\u202a+33639980000\u202c",
        "\ufeff+3363998\u200b0000\u200f",
        "+33\u20116\N{MINUS SIGN}39980000",
        "'+33639980000",
        '="33639980000"',
        "33639980000.0",
        " +33639980000\r\n",
    ],
)
def test_an_international_number_written_in_any_way_is_the_same_number(text: str) -> None:
    assert read_phone(text) == PhoneNumber("33639980000", "possible")


@pytest.mark.parametrize("text", ["06 39 98 00 00", "639980000", "0639980000", "06/39.98.00.00", "06-39-98-00-00"])
def test_a_national_number_is_read_in_the_default_region(text: str) -> None:
    assert read_phone(text, default_region="FR").e164 == "+33639980000"
    assert read_phone(text, default_region="fr").e164 == "+33639980000"


@pytest.mark.parametrize("region", ["", "FR", "GB", "US", "ID"])
def test_a_plus_means_the_same_in_every_region(region: str) -> None:
    assert read_phone("+44 7700 900123", default_region=region).digits == "447700900123"


@pytest.mark.parametrize(("region", "way_out"), [("US", "011"), ("FR", "00"), ("JP", "010"), ("US", "00")])
def test_the_region_s_own_way_out_and_00_both_mean_plus(region: str, way_out: str) -> None:
    assert read_phone(f"{way_out} 44 7700 900123", default_region=region).digits == "447700900123"


def test_a_foreign_number_without_a_plus_is_found_when_it_is_not_possible_at_home() -> None:
    assert read_phone("447700900123", default_region="FR").digits == "447700900123"
    assert read_phone("12125550123", default_region="FR").digits == "12125550123"


def test_what_is_possible_at_home_wins_over_abroad() -> None:
    assert read_phone("2125550123", default_region="US").digits == "12125550123"
    assert read_phone("42108077", default_region="TN").digits == "21642108077"


@pytest.mark.parametrize("region", ["", "FR"])
@pytest.mark.parametrize(
    ("text", "digits", "grade"),
    [
        ("42108077", "42108077", "invalid"),
        ("21642108101", "21642108101", "valid"),
        ("+1234567890", "1234567890", "invalid"),
        ("+0987654321", "0987654321", "invalid"),
    ],
)
def test_the_examples_of_the_seeds_are_accepted_and_graded(text: str, digits: str, grade: str, region: str) -> None:
    assert read_phone(text, default_region=region) == PhoneNumber(digits, grade)  # type: ignore[arg-type]


def test_a_number_of_a_possible_length_that_nobody_has_is_graded_possible() -> None:
    assert read_phone("+33 6 39 98 00 00").grade == "possible"


def test_a_number_that_works_only_within_one_town_is_not_completed_by_guessing() -> None:
    assert read_phone("5550123", default_region="US") == PhoneNumber("5550123", "invalid")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9.99E+99", "spreadsheet"),
        ("3,36E+10", "spreadsheet"),
        ("call me", "letters"),
        ("n/a", "letters"),
        ("0639980000 ext. 5", "letters"),
        ("1-212-555-CALL", "letters"),
        ("tel:+33639980000;ext=5", "extension"),
        ("12", "too few digits: 2"),
        ("+1 212", "too few digits: 4"),
        ("336399800003363998", "too many digits: 18"),
        ("1234567890123456", "too many digits: 16"),
        ("+33+639980000", "plus sign in the middle"),
        ("+33639980000 / +33639980001", "more than one number"),
        ("06 39 98 00 00/06 39 98 00 01", "more than one number"),
        ("+33639980000, +33639980001", "','"),
        ("+33639980000\x00", "'\\x00'"),
        ("+3363998000²", "'\\xb2'"),
        ("--", "no digits"),
        ("+", "no digits"),
        ("9" * 101, "longer than 100"),
        ("9" + " " * 1_000_000, "longer than 100"),
    ],
)
def test_what_is_not_a_number_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as refused:
        read_phone(text)
    assert reason in refused.value.reason


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u202c", "\ufeff", "''", "\u00a0"])
def test_nothing_but_spaces_and_invisible_marks_is_blank(text: str) -> None:
    with pytest.raises(BlankPhoneNumber):
        read_phone(text)


def test_strict_takes_valid_numbers_only() -> None:
    assert read_phone("+1 212 555 0123", strict=True).grade == "valid"
    with pytest.raises(InvalidPhoneNumber, match="possible"):
        read_phone("+33 6 39 98 00 00", strict=True)
    with pytest.raises(InvalidPhoneNumber, match="invalid"):
        read_phone("42108077", strict=True)


def test_a_region_that_does_not_exist_is_a_mistake_of_the_settings_not_of_the_number() -> None:
    with pytest.raises(ValueError, match="'XX' is not a region") as refused:
        read_phone("0639980000", default_region="XX")
    assert not isinstance(refused.value, InvalidPhoneNumber)


def as_the_full_path_reads_it(digits: str, region: str, *, plus: bool) -> str:
    """The three steps again, by libphonenumber's own parser alone."""
    if plus or (digits.startswith("00") and not way_out_matches(region, digits)):
        digits, region = digits.removeprefix("00"), ""
    for text, home in ((digits, region), (f"+{digits}", None)):
        try:
            number = phonenumbers.parse(text, home)
        except phonenumbers.NumberParseException:
            continue
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
        possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
        if possible and 7 <= len(e164) <= 15:
            return f"{e164} {'valid' if phonenumbers.is_valid_number(number) else 'possible'}"
    return f"{digits} invalid" if 7 <= len(digits) <= 15 else "refused"


def way_out_matches(region: str, digits: str) -> bool:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region) if region else None
    if metadata is None or not metadata.international_prefix:
        return False
    return re.match(metadata.international_prefix, digits) is not None


@st.composite
def dialled(draw: st.DrawFn) -> tuple[str, str]:
    """A region, and digits that look like that region's or another one's, with and without prefixes."""
    region = draw(st.sampled_from(REGIONS))
    code = str(phonenumbers.country_code_for_region(draw(st.sampled_from(REGIONS))))
    own_code = str(phonenumbers.country_code_for_region(region))
    prefix = draw(st.sampled_from(["", "0", "1", "8", "00", "011", own_code, f"{own_code}0", code, f"00{code}"]))
    return region, prefix + draw(st.text("0123456789", min_size=1, max_size=13))


@given(dialled=dialled(), plus=st.booleans(), at_home=st.booleans())
def test_the_cheap_path_reads_every_number_as_the_full_path_does(
    dialled: tuple[str, str], plus: bool, at_home: bool
) -> None:
    region, digits = dialled
    home = region if at_home else ""
    try:
        number = read_phone(("+" if plus else "") + digits, default_region=home)
    except InvalidPhoneNumber:
        read = "refused"
    else:
        read = f"{number.digits} {number.grade}"
    assert read == as_the_full_path_reads_it(digits, home, plus=plus)


@given(dialled=dialled())
def test_a_valid_number_as_it_is_shown_reads_as_itself(dialled: tuple[str, str]) -> None:
    region, digits = dialled
    try:
        number = read_phone(digits, default_region=region)
    except InvalidPhoneNumber:
        return
    if number.grade == "valid":
        assert read_phone(number.e164, default_region=region) == number


@given(text=st.text(max_size=120))
def test_any_text_is_a_number_or_refused_with_a_reason(text: str) -> None:
    reason = digits = ""
    try:
        digits = read_phone(text, default_region="FR").digits
    except InvalidPhoneNumber as refused:
        reason = refused.reason
    assert reason or re.fullmatch("[0-9]{7,15}", digits)


def test_a_hundred_thousand_numbers_are_read_in_seconds() -> None:
    started = time.process_time()
    for index in range(20_000):
        read_phone(f"+3363998{index % 10_000:04d}", default_region="FR")
    assert time.process_time() - started < 1.5


@pytest.mark.skipif(not CONTACTS.exists(), reason=f"{CONTACTS.name} is not beside this checkout")
def test_a_real_contact_list_is_read_without_losing_or_inventing_anybody() -> None:
    fates: Counter[str] = Counter()
    seen: set[str] = set()
    with CONTACTS.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            try:
                digits = read_phone(row["phone"], default_region="FR").digits
            except BlankPhoneNumber:
                fates["blank"] += 1
            except InvalidPhoneNumber:
                fates["invalid"] += 1
            else:
                fates["duplicate" if digits in seen else "ok"] += 1
                seen.add(digits)
    assert fates == {"ok": 1044, "duplicate": 100, "invalid": 33, "blank": 23}

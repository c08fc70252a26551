"""What is meant by a number in a search, in every manner in which people write them."""

from functools import partial

import pytest

from campaigns.audience.phone_search import digits_meant
from gateway.phone import read_phone


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("+44 7700 900100", ["447700900100"]),
        ("+44 7700", ["447700"]),
        ("0044 7700 9", ["4477009"]),
        ("(212) 555-01", ["21255501"]),
        ("7700.900/1", ["77009001"]),
        ("٧٧٠٠", ["7700"]),
        ("00", ["00"]),
        ("7", []),
        ("", []),
        ("Ada", []),
        ("Person 77", []),
        ("50%", []),
    ],
)
def test_digits_are_looked_for_where_the_text_is_written_as_a_number(text: str, meant: list[str]) -> None:
    assert digits_meant(text, read_phone)[:1] == meant[:1]
    assert bool(digits_meant(text, read_phone)) == bool(meant)


def test_a_number_is_meant_also_as_it_is_dialled_at_home() -> None:
    at_home = partial(read_phone, default_region="GB")
    assert digits_meant("07700 900100", at_home) == ["07700900100", "447700900100"]
    assert digits_meant("+44 7700 900100", at_home) == ["447700900100"]

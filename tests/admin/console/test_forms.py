"""What people type into the console's forms, and how senders and delays are put into words."""

import pytest

from admin.console.formatting import happening, later, seconds, urgency
from admin.console.forms import NotANumber, errors_of, optional_number
from admin.console.own_api import Refused


@pytest.mark.parametrize(
    ("typed", "meant"), [("", None), ("  ", None), ("5", 5), (" 2,5 ", 2.5), ("2.50", 2.5), ("1e2", 100), ("-1", -1)]
)
def test_a_number_is_read_as_people_write_it(typed: str, meant: float | None) -> None:
    assert optional_number("field", typed) == meant
    assert type(optional_number("field", typed)) is type(meant)


@pytest.mark.parametrize("typed", ["soon", "nan", "inf", "-inf", "1 000 x", "1.2.3"])
def test_what_is_no_number_is_said_of_its_field(typed: str) -> None:
    with pytest.raises(NotANumber) as raised:
        optional_number("daily_cap", typed)
    assert raised.value.errors == {"daily_cap": "Is not a number."}


def test_a_refusal_is_told_beside_its_field_or_above_the_form() -> None:
    beside = Refused(422, "VALIDATION_ERROR", "url: is wrong", {"url": "is wrong", "other": "too!"})
    assert errors_of(beside, ["name", "url", "other"]) == {"url": "Is wrong.", "other": "Too!"}
    assert errors_of(beside, ["to"], {"url": "to"}) == {"to": "Is wrong.", "": "Other: too!"}
    parts = Refused(422, "VALIDATION_ERROR", "two", {"senders.0": "is none", "senders.1": "is none either"})
    assert errors_of(parts, ["senders"]) == {"senders": "Is none."}
    conflict = Refused(409, "CONFLICT", "it is connected", {})
    assert errors_of(conflict, ["url"]) == {"": "It is connected."}
    assert errors_of(conflict, ["url"], conflict="url") == {"url": "It is connected."}


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_refusal_that_no_field_can_help_is_left_to_the_page(status: int) -> None:
    with pytest.raises(Refused):
        errors_of(Refused(status, "CODE", "no", {"url": "no"}), ["url"])


@pytest.mark.parametrize(
    ("status", "left", "shown"),
    [
        ("CONNECTED", None, ""),
        ("CONNECTED", 172_800, ""),
        ("CONNECTED", 172_799, "soon"),
        ("CONNECTED", 0, "over"),
        ("EXPIRED", 900_000, "over"),
    ],
)
def test_a_session_is_amber_within_two_days_of_its_end_and_red_after_it(
    status: str, left: int | None, shown: str
) -> None:
    assert urgency({"status": status, "expires_in_seconds": left}) == shown


def test_delays_and_what_they_do_are_put_into_words() -> None:
    assert [seconds(value) for value in (0, 1, 0.5, 3600)] == ["0 seconds", "1 second", "0.5 seconds", "3600 seconds"]
    times = {"finish_now": "2026-11-21T09:10:00Z", "finish_then": "2026-11-21T09:00:00Z"}
    assert later(times) == -600
    assert later(times | {"finish_then": None}) == 0
    assert [happening(kind) for kind in ("session.wrong_phone", "keeper.gave_up")] == ["Wrong phone", "Repair given up"]

"""What a request says of repeating: every wrong field is named."""

from typing import Any

import pytest
from pydantic import ValidationError

from campaigns.schedules.repeating_schemas import Repeating


def test_a_request_that_says_nothing_of_it_comes_once_at_one_moment() -> None:
    asked = Repeating.model_validate({})
    assert (asked.recurrence, asked.timezone, asked.local_time) == (None, "UTC", False)


def test_a_rule_is_kept_in_its_normal_form() -> None:
    assert Repeating.model_validate({"recurrence": "rrule:freq=daily;"}).recurrence == "FREQ=DAILY"


@pytest.mark.parametrize(
    ("fields", "wrong", "why"),
    [
        ({"recurrence": "FREQ=MINUTELY"}, "recurrence", "more often than once an hour"),
        ({"recurrence": "DTSTART:20260601T090000"}, "recurrence", "the rule alone"),
        ({"recurrence": "x" * 501}, "recurrence", "500"),
        ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
        ({"local_time": "perhaps"}, "local_time", "boolean"),
    ],
)
def test_what_is_wrong_is_named_with_its_reason(fields: dict[str, Any], wrong: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        Repeating.model_validate(fields)
    assert [error["loc"] for error in refused.value.errors()] == [(wrong,)]

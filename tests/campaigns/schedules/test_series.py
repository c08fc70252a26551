"""A series of schedules: where it begins, what follows, and what a downtime leaves of it."""

from datetime import datetime

import pytest

from campaigns.schedules.rules import parse_rule
from campaigns.schedules.series import ahead, begin, follow, tell_missed, wall_in
from gateway.errors import ValidationFailed

HOUR, DAY = 3600.0, 86_400.0
MONDAY = datetime.fromisoformat("2026-06-01T09:00:00")
BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_series_begins_with_its_scheduled_time_and_tells_the_next_three() -> None:
    series = begin(parse_rule("FREQ=WEEKLY;BYDAY=MO,TH"), BERLIN, MONDAY)
    assert (series.last.number, series.last.at) == (1, at("2026-06-01T09:00+02:00"))
    assert ahead(series) == [at(f"2026-06-{day}T09:00+02:00") for day in ("04", "08", "11")]


@pytest.mark.parametrize(
    ("rule", "field", "why"),
    [
        ("FREQ=WEEKLY;BYDAY=TU", "scheduled_time", "2026-06-02T09:00:00 in Europe/Berlin"),
        ("FREQ=DAILY;BYHOUR=10", "scheduled_time", "2026-06-01T10:00:00"),
        ("FREQ=DAILY;UNTIL=20260531", "recurrence", "no time"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "recurrence", "no time"),
    ],
)
def test_a_scheduled_time_that_the_rule_does_not_give_is_refused_with_the_one_that_it_gives(
    rule: str, field: str, why: str
) -> None:
    with pytest.raises(ValidationFailed, match=why) as refused:
        begin(parse_rule(rule), BERLIN, MONDAY)
    assert [error.field for error in refused.value.errors] == [field]


def test_an_occurrence_that_starts_in_time_leads_to_the_one_after_it() -> None:
    series = begin(parse_rule("FREQ=DAILY"), BERLIN, MONDAY)
    found = follow(series, series.last.at + 1.0, HOUR)
    assert found.occurrence is not None
    assert (found.occurrence.number, found.occurrence.at, found.missed) == (2, series.last.at + DAY, 0)


def test_after_a_year_of_downtime_one_follows_and_the_others_are_counted() -> None:
    series = begin(parse_rule("FREQ=DAILY"), "UTC", MONDAY)
    found = follow(series, series.last.at + 365 * DAY + 2 * HOUR, HOUR)
    assert found.occurrence is not None
    assert (found.occurrence.number, found.missed) == (367, 365)
    assert "365 further occurrences" in tell_missed(found.missed)


def test_one_that_is_late_and_may_still_be_sent_follows() -> None:
    series = begin(parse_rule("FREQ=DAILY"), "UTC", MONDAY)
    found = follow(series, series.last.at + 3 * DAY + 0.5 * HOUR, HOUR)
    assert found.occurrence is not None
    assert (found.occurrence.at, found.missed) == (series.last.at + 3 * DAY, 2)


def test_a_series_that_has_had_its_last_one_is_over() -> None:
    series = begin(parse_rule("FREQ=DAILY;COUNT=1"), "UTC", MONDAY)
    assert follow(series, series.last.at, HOUR).occurrence is None
    assert ahead(series) == []
    assert tell_missed(0) == ""


def test_one_missed_is_told_in_the_singular() -> None:
    assert "1 further occurrence of" in tell_missed(1)


def test_the_clock_of_a_zone_is_read_to_the_second() -> None:
    assert wall_in(BERLIN, at("2026-06-01T07:00:00.25+00:00")) == MONDAY

"""Each recipient at the same time of their own day. Numbers are from ranges that are reserved for fiction."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.schedules.local_time import (
    first_anywhere,
    in_order,
    last_anywhere,
    middle_zone,
    moment_for,
    wall_time,
    zone_for,
)
from campaigns.sending.caps import zone_of_number, zones_of_number
from campaigns.sending.wall_clock import instant_of, is_skipped, wall_of, zone_of

NINE = datetime.fromisoformat("2026-05-04T09:00:00")
NEW_YORK, LONDON, PARIS = "12125550100", "447700900000", "33639980000"
NOWHERE = "883510000000"  # of the international networks, which are in no country


@pytest.mark.parametrize(
    ("digits", "moment"),
    [
        (NEW_YORK, "2026-05-04T13:00:00+00:00"),
        (LONDON, "2026-05-04T08:00:00+00:00"),
        (PARIS, "2026-05-04T07:00:00+00:00"),
        (NOWHERE, "2026-05-04T03:30:00+00:00"),
    ],
)
def test_a_number_gets_it_when_the_clock_where_it_is_shows_the_time(digits: str, moment: str) -> None:
    assert moment_for(digits, NINE, "Asia/Kolkata") == datetime.fromisoformat(moment).timestamp()


def test_numbers_of_one_country_are_told_apart_by_their_area_codes() -> None:
    assert zone_for("12125550100", NINE, "UTC") == "America/New_York"
    assert zone_for("13105550100", NINE, "UTC") == "America/Los_Angeles"


def test_a_number_that_may_be_in_many_zones_gets_the_one_in_the_middle() -> None:
    everywhere = zones_of_number("18005550100")
    clocks = sorted({instant_of(NINE, zone_of(name)) for name in everywhere})
    assert len(clocks) > 6
    chosen = moment_for("18005550100", NINE, "UTC")
    ahead, behind = sum(clock < chosen for clock in clocks), sum(clock > chosen for clock in clocks)
    assert behind - ahead in (0, 1)
    assert moment_for("12125550100", NINE, "UTC") < chosen < moment_for("13105550100", NINE, "UTC")


def test_of_two_zones_the_eastern_one_counts() -> None:
    assert middle_zone(("Atlantic/Azores", "Europe/Lisbon"), NINE) == "Europe/Lisbon"
    assert middle_zone(("America/Santiago", "Pacific/Easter"), NINE) == "America/Santiago"


def test_zones_that_show_the_same_count_as_one() -> None:
    assert middle_zone(("Europe/Guernsey", "Europe/Isle_of_Man", "Europe/London"), NINE) == "Europe/Guernsey"
    assert moment_for(LONDON, NINE, "UTC") == instant_of(NINE, zone_of("Europe/London"))


def test_the_time_on_the_wall_is_what_stands_in_the_request_whatever_its_offset() -> None:
    texts = ["2026-05-04T09:00:00", "2026-05-04T09:00:00Z", "2026-05-04T09:00:00-07:00"]
    assert {wall_time(datetime.fromisoformat(text)) for text in texts} == {NINE}


def test_a_time_that_is_skipped_is_the_change_there_and_itself_everywhere_else() -> None:
    half_past_two = datetime.fromisoformat("2026-03-29T02:30:00")  # Paris goes from 02:00 to 03:00, London from 01:00
    assert moment_for(PARIS, half_past_two, "UTC") == datetime.fromisoformat("2026-03-29T03:00:00+02:00").timestamp()
    assert moment_for(LONDON, half_past_two, "UTC") == datetime.fromisoformat("2026-03-29T02:30:00+01:00").timestamp()
    assert moment_for(NEW_YORK, half_past_two, "UTC") == datetime.fromisoformat("2026-03-29T02:30-04:00").timestamp()


def test_the_earliest_come_first_and_equals_keep_their_order() -> None:
    numbers = [NEW_YORK, PARIS, "33639980001", LONDON, PARIS]
    assert [place for _, place in in_order(numbers, NINE, "UTC")] == [1, 2, 4, 3, 0]


DIGITS = st.one_of(
    st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True),
    st.integers(0, 99).map(lambda n: f"1212555{100 + n:04}"),
    st.integers(0, 999).map(lambda n: f"447700900{n:03}"),
)
WALLS = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2037-12-31"))


@given(digits=DIGITS, wall=WALLS)
def test_every_number_has_a_moment_between_the_first_and_the_last_clock_that_shows_the_time(
    digits: str, wall: datetime
) -> None:
    at = moment_for(digits, wall, "UTC")
    assert first_anywhere(wall) <= at <= last_anywhere(wall)
    zone = zone_of(zone_for(digits, wall, "UTC"))
    if not is_skipped(wall, zone):
        assert wall_of(at, zone) == wall


@given(digits=DIGITS)
def test_the_zone_of_a_sender_is_one_of_those_that_its_number_may_be_in(digits: str) -> None:
    assert zone_of_number(digits) in (zones_of_number(digits) or ("UTC",))

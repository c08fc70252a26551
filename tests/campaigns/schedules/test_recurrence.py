"""When a recurring schedule comes: RFC 5545 on the clock on the wall, held against dateutil, and never slow."""

import time
from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.schedules.recurrence import Occurrence, first_of, following, next_after, preview
from campaigns.schedules.rules import MAX_INTERVAL, Frequency, InvalidRule, parse_rule
from campaigns.sending.wall_clock import instant_of, wall_of, zone_of

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def wall(text: str) -> datetime:
    """What a clock on the wall shows."""
    return datetime.fromisoformat(text)


def shown(rule: str, first: str, count: int, zone: str = "UTC") -> list[str]:
    """The first occurrences as the zone's clock shows them, with the offset."""
    read, info = parse_rule(rule), ZoneInfo(zone)
    one = first_of(read, zone, datetime.fromisoformat(first))
    if one is None:
        return []
    return [datetime.fromtimestamp(o.at, info).isoformat() for o in [one, *preview(read, zone, one, count - 1)]]


# --- examples that RFC 5545 gives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "first", "days"),
    [
        ("FREQ=DAILY;COUNT=3", "1997-09-02T09:00", ["09-02", "09-03", "09-04"]),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU;COUNT=3", "1997-09-02T09:00", ["09-02", "09-16", "09-30"]),
        ("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3", "1997-09-02T09:00", ["09-02", "09-04", "09-09"]),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1997-08-05T09:00",
            ["08-05", "08-10", "08-19", "08-24"],
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1997-08-05T09:00",
            ["08-05", "08-17", "08-19", "08-31"],
        ),
        ("FREQ=MONTHLY;BYDAY=1FR;COUNT=3", "1997-09-05T09:00", ["09-05", "10-03", "11-07"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3", "1997-09-28T09:00", ["09-28", "10-29", "11-28"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "1998-02-13T09:00", ["02-13", "03-13", "11-13"]),
        ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04T09:00", ["09-04", "10-07", "11-06"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=3", "1997-09-29T09:00", ["09-29", "10-30", "11-27"]),
        ("FREQ=MONTHLY;COUNT=3", "1997-01-31T09:00", ["01-31", "03-31", "05-31"]),
        ("FREQ=YEARLY;BYDAY=20MO;COUNT=3", "1997-05-19T09:00", ["05-19", "05-18", "05-17"]),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=3", "1997-03-13T09:00", ["03-13", "03-20", "03-27"]),
        ("FREQ=YEARLY;BYYEARDAY=1,100,-1;COUNT=3", "1997-01-01T09:00", ["01-01", "04-10", "12-31"]),
        ("RRULE:freq=daily;until=19970904T090000Z", "1997-09-02T09:00", ["09-02", "09-03", "09-04"]),
    ],
)
def test_the_rules_of_the_standard_give_what_it_says(rule: str, first: str, days: list[str]) -> None:
    assert [one[5:10] for one in shown(rule, first, 10 if "=3" not in rule else 4)][: len(days)] == days


@pytest.mark.parametrize(
    ("rule", "count"), [("FREQ=DAILY;COUNT=3", 3), ("FREQ=DAILY;UNTIL=20260303T090000Z", 3), ("FREQ=DAILY;COUNT=1", 1)]
)
def test_a_rule_ends_with_its_count_or_its_last_time_and_both_include_the_last_one(rule: str, count: int) -> None:
    assert len(shown(rule, "2026-03-01T09:00", 10)) == count


def test_an_until_in_utc_is_a_moment_one_without_z_is_the_clock_and_a_date_is_the_whole_day() -> None:
    assert len(shown("FREQ=DAILY;UNTIL=20260303T090000Z", "2026-03-01T09:00", 10, NEW_YORK)) == 2
    assert len(shown("FREQ=DAILY;UNTIL=20260303T140000Z", "2026-03-01T09:00", 10, NEW_YORK)) == 3
    assert len(shown("FREQ=DAILY;UNTIL=20260303T090000", "2026-03-01T09:00", 10, NEW_YORK)) == 3
    assert len(shown("FREQ=DAILY;UNTIL=20260303", "2026-03-01T23:30", 10, NEW_YORK)) == 3


def test_a_count_counts_from_the_first_and_not_from_where_one_goes_on() -> None:
    rule = parse_rule("FREQ=DAILY;COUNT=5")
    first = first_of(rule, "UTC", wall("2026-03-01T09:00"))
    assert first is not None
    third = preview(rule, "UTC", first, 2)[-1]
    assert third.number == 3
    assert [one.number for one in following(rule, "UTC", third)] == [4, 5]


# --- the clock on the wall ----------------------------------------------------------------------------------------


def test_nine_in_the_morning_stays_nine_over_both_changes_of_the_clock() -> None:
    assert shown("FREQ=DAILY", "2026-03-28T09:00", 2, BERLIN) == [
        "2026-03-28T09:00:00+01:00",
        "2026-03-29T09:00:00+02:00",
    ]
    assert shown("FREQ=WEEKLY", "2026-10-24T09:00", 2, BERLIN) == [
        "2026-10-24T09:00:00+02:00",
        "2026-10-31T09:00:00+01:00",
    ]


def test_a_time_that_the_clock_skips_is_the_moment_of_the_change_and_the_next_day_its_own_again() -> None:
    assert shown("FREQ=DAILY", "2026-03-28T02:30", 3, BERLIN) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_time_that_the_clock_shows_twice_happens_once_the_first_time() -> None:
    assert shown("FREQ=DAILY", "2026-10-24T02:30", 3, BERLIN) == [
        "2026-10-24T02:30:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_an_hourly_rule_leaves_out_the_skipped_hour_and_counts_it_not() -> None:
    assert shown("FREQ=HOURLY;COUNT=3", "2026-03-29T01:30", 9, BERLIN) == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:30:00+02:00",
        "2026-03-29T04:30:00+02:00",
    ]


def test_a_day_that_a_zone_skips_altogether_happens_at_the_change() -> None:
    # on the islands of Samoa there was no 30 December 2011
    found = shown("FREQ=DAILY", "2011-12-29T09:00", 3, "Pacific/Apia")
    assert found == ["2011-12-29T09:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"]


ZONES = st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"])
WALLS = st.datetimes(wall("2005-01-01"), wall("2040-01-01")).map(lambda at: at.replace(microsecond=0))


@given(zone=ZONES, start=WALLS)
def test_an_instant_shows_its_wall_time_unless_the_clock_skips_it(zone: str, start: datetime) -> None:
    info = zone_of(zone)
    at = instant_of(start, info)
    assert wall_of(at, info) >= start
    assert wall_of(at - 1, info) < start  # the first moment
    assert datetime.fromtimestamp(at, info).fold == 0


# --- held against dateutil ----------------------------------------------------------------------------------------


def lists(least: int, most: int, size: int = 4) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most).filter(bool) if least < 0 else st.integers(least, most)
    return st.lists(numbers, min_size=1, max_size=size).map(lambda found: ",".join(map(str, found)))


PLAIN_DAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=4).map(",".join)
COUNTED_DAYS = st.lists(
    st.builds(lambda nth, day: f"{nth}{day}", st.sampled_from([1, 2, 3, 4, 5, -1, -2]), st.sampled_from(["MO", "FR"])),
    min_size=1,
    max_size=3,
).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Any rule that is allowed here; without an end, and without mixing the two kinds of BYDAY."""
    frequency = draw(st.sampled_from(list(Frequency)))
    long = frequency in (Frequency.MONTHLY, Frequency.YEARLY)
    parts = {
        "INTERVAL": st.integers(1, 5).map(str),
        "BYMONTH": lists(1, 12),
        "BYDAY": st.one_of(PLAIN_DAYS, COUNTED_DAYS) if long else PLAIN_DAYS,
        "BYHOUR": lists(0, 23),
        "BYMINUTE": lists(0, 59, 1),
        "BYSECOND": lists(0, 59, 1),
        "WKST": st.sampled_from(["MO", "SU", "WE"]),
    }
    if frequency is not Frequency.WEEKLY:
        parts["BYMONTHDAY"] = lists(-31, 31)
    if frequency is Frequency.YEARLY:
        parts["BYYEARDAY"] = lists(-366, 366)
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), unique=True, max_size=4))
    if long and any(key.startswith("BY") for key in chosen) and draw(st.booleans()):
        parts["BYSETPOS"] = lists(-5, 5, 2)
        chosen.append("BYSETPOS")
    return ";".join([f"FREQ={frequency}", *(f"{key}={draw(parts[key])}" for key in chosen)])


@settings(max_examples=300, deadline=None)
@given(rule=rules(), start=WALLS)
def test_every_rule_gives_what_dateutil_gives(rule: str, start: datetime) -> None:
    read = parse_rule(rule)
    first = first_of(read, "UTC", start)
    ours = [] if first is None else [one.wall for one in [first, *preview(read, "UTC", first, 5)]]
    if not ours:
        return  # nothing within the horizon: dateutil would look for seconds, until the year 9999
    theirs = list(islice(rrulestr(rule, dtstart=start), len(ours)))
    assert ours == theirs


@settings(max_examples=200)
@given(rule=rules(), start=WALLS, zone=ZONES, at=st.integers(0, 4))
def test_going_on_from_any_occurrence_is_going_on_from_the_first(
    rule: str, start: datetime, zone: str, at: int
) -> None:
    read = parse_rule(rule)
    first = first_of(read, zone, start)
    if first is None:
        return
    all_of_them = [first, *preview(read, zone, first, 6)]
    assert all(before.at < after.at for before, after in pairwise(all_of_them))
    if at < len(all_of_them) - 1:
        assert next(following(read, zone, all_of_them[at])) == all_of_them[at + 1]
        assert next_after(read, zone, first, all_of_them[at].at) == all_of_them[at + 1]


# --- what is refused, and what it costs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("", "not an RFC 5545"),
        ("every day", "not an RFC 5545"),
        ("FREQ=DAILY;", ""),
        ("INTERVAL=2", "no FREQ"),
        ("FREQ=SECONDLY", "more often than once an hour"),
        ("FREQ=MINUTELY;INTERVAL=600", "more often than once an hour"),
        ("FREQ=DAILY;BYMINUTE=0,30", "more often than once an hour"),
        ("FREQ=DAILY;BYSECOND=0,1", "more often than once an hour"),
        ("FREQ=FORTNIGHTLY", "FREQ other than"),
        ("DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY", "the rule alone"),
        ("FREQ=DAILY;EXDATE=20260101", "the rule alone"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;BYEASTER=0", "not understood"),
        ("FREQ=YEARLY;BYWEEKNO=20", "not understood"),
        ("FREQ=DAILY;INTERVAL=0", "has an INTERVAL"),
        ("FREQ=DAILY;INTERVAL=999999999999999999999", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=²", "INTERVAL"),
        ("FREQ=YEARLY;INTERVAL=6", "from 1 to 5"),
        ("FREQ=DAILY;COUNT=0", "has a COUNT"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "both"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL"),
        ("FREQ=DAILY;UNTIL=99991231", ""),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "does not go with"),
        ("FREQ=DAILY;BYYEARDAY=1", "does not go with"),
        ("FREQ=WEEKLY;BYDAY=1MO", "does not go with"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=XX", "BYDAY"),
        ("FREQ=HOURLY;BYSETPOS=2;BYDAY=MO,TU", "does not go with"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=WEEKLY;WKST=1", "WKST"),
        ("FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 400), "longer than"),
    ],
)
def test_what_is_no_rule_here_is_refused_with_the_reason(rule: str, why: str) -> None:
    if not why:
        parse_rule(rule)
        return
    with pytest.raises(InvalidRule, match=why):
        parse_rule(rule)


@settings(max_examples=300)
@given(text=st.one_of(st.text(max_size=60), st.text("FREQ=DAILY;BYMONTHUNTILCOUNT0123456789-,", max_size=60)))
def test_any_text_is_refused_or_a_rule_that_reads_the_same_again(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InvalidRule:
        return
    assert parse_rule(rule.text) == rule


HOSTILE = [
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=HOURLY;INTERVAL=7;BYHOUR=9;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=HOURLY;INTERVAL=8760;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
    "FREQ=YEARLY;BYDAY=53MO;BYMONTH=1",
    f"FREQ=YEARLY;INTERVAL={MAX_INTERVAL[Frequency.YEARLY]};BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9,-9",
    "FREQ=YEARLY;BYDAY=MO;BYSETPOS=366,-366",
    "FREQ=YEARLY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYSETPOS=366;BYMONTH=1;BYDAY=MO",
    "FREQ=HOURLY;INTERVAL=2;BYHOUR=1,3,5",
]


@pytest.mark.parametrize("rule", HOSTILE)
def test_a_rule_that_never_comes_is_known_as_such_in_milliseconds(rule: str) -> None:
    read, start = parse_rule(rule), wall("2026-05-04T08:00")
    best = 1.0
    for _ in range(3):  # the machine may be busy with something else
        began = time.process_time()
        first = first_of(read, BERLIN, start)
        best = min(best, time.process_time() - began)
    assert first is None
    assert best < 0.05


def test_the_next_one_after_a_year_of_downtime_takes_milliseconds() -> None:
    rule = parse_rule("FREQ=HOURLY")
    first = first_of(rule, BERLIN, wall("2026-01-01"))
    assert first is not None
    began = time.process_time()
    found = next_after(rule, BERLIN, first, first.at + 365 * 86_400)
    took = time.process_time() - began
    assert took < 0.5
    assert found == Occurrence(8761, wall("2027-01-01T01:00"), first.at + 365 * 86_400 + 3600)


def test_a_series_at_the_end_of_the_calendar_ends() -> None:
    rule = parse_rule("FREQ=YEARLY")
    assert shown("FREQ=YEARLY", "9989-01-01T00:00", 9) == ["9989-01-01T00:00:00+00:00", "9990-01-01T00:00:00+00:00"]
    assert first_of(rule, "UTC", wall("9999-12-31")) is None

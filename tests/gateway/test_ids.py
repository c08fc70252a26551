"""Ids sort by the time they were made."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import first_id, make_id, make_ids, make_ordered_ids

times = st.floats(0, 4_000_000_000)


@given(times)
def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front(now: float) -> None:
    made = uuid.UUID(make_id(now))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(now * 1000)


@given(times, st.floats(0.001, 1000))
def test_ids_that_are_made_later_sort_later(now: float, later: float) -> None:
    assert make_id(now) < make_id(now + later + 0.001)


def test_ids_of_one_moment_are_distinct_and_in_order() -> None:
    made = make_ids(1_800_000_000.0, 1000)
    assert made == sorted(set(made))
    assert len(made) == 1000


@given(times, st.floats(0.001, 1000))
def test_a_time_parts_the_ids_before_it_from_those_that_follow(now: float, apart: float) -> None:
    assert first_id(now) <= make_id(now)
    assert make_id(now) < first_id(now + apart + 0.001)
    assert uuid.UUID(first_id(now)).version == 7


def test_ordered_ids_sort_by_microsecond_and_then_by_place() -> None:
    now = 1_700_000_000.0
    earlier, later = make_ordered_ids(now + 0.000_200, 1000), make_ordered_ids(now + 0.000_300, 2)
    assert earlier + later == sorted({*earlier, *later})
    assert uuid.UUID(earlier[0]).version == 7
    assert first_id(now) <= earlier[0] < first_id(now + 0.001)

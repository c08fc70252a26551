"""Ids sort by the time they were made."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.ids import make_id, make_ids

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

"""The judge of `delays`: what it says of lanes that felt a change, late or never."""

import pytest

from bench.delays import Changes, felt_longer, felt_shorter, too_short
from bench.sink import Sent

CHANGES = Changes(shortened_at=10.0, lengthened_at=12.0, ended_at=15.0)


def sent(*times: float) -> list[Sent]:
    """What one lane sent at these times, each answered at once."""
    return [Sent(at, at, "chat", "id") for at in times]


def test_a_lane_is_late_from_when_the_new_delay_lets_it_go() -> None:
    assert felt_shorter([sent(9.5, 10.75)], 1.0, CHANGES) == pytest.approx([0.25])


def test_a_lane_that_might_have_gone_before_is_late_from_the_change() -> None:
    assert felt_shorter([sent(1.0, 10.5)], 1.0, CHANGES) == pytest.approx([0.5])


@pytest.mark.parametrize("times", [(9.5,), (9.5, 15.5)])
def test_a_lane_that_never_felt_it_is_late_until_the_next_change(times: tuple[float, ...]) -> None:
    assert felt_shorter([sent(*times)], 1.0, CHANGES) == pytest.approx([1.5])


def test_a_lane_that_was_not_due_before_the_next_change_says_nothing() -> None:
    assert felt_shorter([sent(11.5)], 1.0, CHANGES) == []


def test_what_comes_after_the_longer_delay_counts_until_it_is_taken_away() -> None:
    assert felt_longer([sent(9.0, 11.9, 12.5), sent(9.0, 15.5)], CHANGES) == pytest.approx([0.5])


def test_a_message_sooner_than_either_delay_lets_it_is_too_short() -> None:
    assert too_short([sent(9.5, 10.4), sent(1.0, 9.9)], 1.0, CHANGES) == 2
    assert too_short([sent(9.5, 10.5), sent(1.0, 10.0), sent(9.5, 15.1)], 1.0, CHANGES) == 0

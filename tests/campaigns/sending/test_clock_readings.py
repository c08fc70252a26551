"""How exactly two clocks are compared, and that it never makes a gap shorter than told."""

import random

import pytest

from campaigns.sending.clock_readings import DRIFT, ClockReadings

AHEAD = 1_800_000_000.0
"""How far the database's clock is ahead."""
EXACT = 1e-6
"""Seconds since 1970 as doubles are no finer."""


def test_one_reading_is_as_exact_as_the_answer_was_quick() -> None:
    assert ClockReadings().note(10.0, AHEAD + 10.1, 10.5) == (10.0, 10.5)


def test_a_quick_answer_makes_the_slow_ones_after_it_exact() -> None:
    readings = ClockReadings()
    readings.note(10.0, AHEAD + 10.0005, 10.001)

    soonest, latest = readings.note(11.0, AHEAD + 11.02, 11.3)

    assert soonest <= 11.02 <= latest
    assert latest - soonest <= 0.001 + 2 * 1.3 * DRIFT + EXACT


def test_answers_held_up_on_either_way_are_exact_together() -> None:
    readings = ClockReadings()
    readings.note(10.0, AHEAD + 10.0, 10.2)  # held up on the way back

    soonest, latest = readings.note(10.3, AHEAD + 10.5, 10.5)  # held up on the way there

    assert soonest == pytest.approx(10.5, abs=0.5 * DRIFT + EXACT)
    assert latest == pytest.approx(10.5, abs=0.5 * DRIFT + EXACT)


@pytest.mark.parametrize("step", [-3600.0, -0.5, 0.5, 3600.0])
def test_a_clock_that_was_set_is_believed_at_once(step: float) -> None:
    readings = ClockReadings()
    readings.note(10.0, AHEAD + 10.0005, 10.001)

    soonest, latest = readings.note(11.0, AHEAD + step + 11.05, 11.1)

    assert (soonest, latest) == pytest.approx((11.0, 11.1), abs=EXACT)


@pytest.mark.parametrize("rate", [1 - DRIFT / 2, 1.0, 1 + DRIFT / 2])
def test_however_answers_are_held_up_the_truth_lies_between(rate: float) -> None:
    chance = random.Random(7)
    readings, ours = ClockReadings(), 100.0
    for _ in range(5000):
        before = ours
        read = before + chance.expovariate(200.0)
        after = read + chance.expovariate(200.0)
        soonest, latest = readings.note(before, AHEAD + read * rate, after)
        assert soonest - EXACT <= read <= latest + EXACT
        ours = after + chance.uniform(0.0, 0.25)


def test_many_readings_are_far_more_exact_than_each_of_them() -> None:
    chance = random.Random(7)
    readings, ours, widths = ClockReadings(), 100.0, []
    for _ in range(1000):
        read = ours + 0.0002 + chance.expovariate(200.0)
        after = read + 0.0002 + chance.expovariate(200.0)
        soonest, latest = readings.note(ours, AHEAD + read, after)
        widths.append(latest - soonest)
        ours = after + 0.08
    assert sorted(widths)[500] < 0.002, "5 ms each way, in the middle"

"""The judge of `scaling`: what is missing, and what came twice."""

import pytest

from bench.scaling import Made, figures, missing_or_repeated
from bench.sink import Sent


def sent(*ids: str) -> list[Sent]:
    """What one session sent."""
    return [Sent(float(place), float(place), "chat", one) for place, one in enumerate(ids)]


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ({"a": sent("1", "2"), "b": sent("3")}, 0),
        ({"a": sent("1", "2")}, 1),
        ({"a": sent("1", "2"), "b": sent("2", "3")}, 1),
        ({"a": sent("1", "1")}, 3),
    ],
)
def test_what_is_missing_or_came_twice_counts(record: dict[str, list[Sent]], wrong: int) -> None:
    assert missing_or_repeated(record, 3) == wrong


def test_the_cost_of_a_message_is_told_for_both_sides() -> None:
    made = Made(replicas=2, messages=1000, missing_or_repeated=0, seconds=0.5, replicas_cpu=0.8, postgres_cpu=0.4)
    told = {figure.name: figure.value for figure in figures(made)}
    assert told["2 replicas: messages a second"] == pytest.approx(2000)
    assert told["2 replicas: their CPU of a message"] == pytest.approx(0.8)
    assert told["2 replicas: PostgreSQL's CPU of a message"] == pytest.approx(0.4)

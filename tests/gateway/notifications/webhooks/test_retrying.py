"""What follows from an answer, and when it is tried again."""

import pytest

from gateway.notifications.webhooks.posting import read_retry_after
from gateway.notifications.webhooks.retrying import (
    DEAD_ATTEMPTS,
    DEAD_SECONDS,
    PAUSES,
    Answer,
    Delivered,
    GiveUp,
    Retry,
    decide,
    is_dead,
)

HOUR = 3600.0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    assert decide(Answer(status), 1, 0.5) == Delivered()


@pytest.mark.parametrize("status", [None, 303, 400, 401, 404, 429, 500, 503])
def test_everything_else_is_tried_again_after_more_and_more_time(status: int | None) -> None:
    pauses = []
    for attempt in range(1, len(PAUSES) + 1):
        decision = decide(Answer(status), attempt, 0.5)
        assert isinstance(decision, Retry)
        pauses.append(decision.after)
    assert pauses == sorted(pauses)
    assert 23 * HOUR < sum(pauses) < 25 * HOUR
    assert decide(Answer(status), len(PAUSES) + 1, 0.5) == GiveUp()


def test_chance_spreads_retries_by_a_tenth_either_way() -> None:
    for chance, factor in ((0.0, 0.9), (0.5, 1.0), (1.0, 1.1)):
        decision = decide(Answer(500), 3, chance)
        assert isinstance(decision, Retry)
        assert decision.after == pytest.approx(PAUSES[2] * factor)


def test_410_is_the_end() -> None:
    assert decide(Answer(410), 1, 0.5) == GiveUp(gone=True)


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_says_when_is_left_alone_until_then(status: int) -> None:
    assert decide(Answer(status, retry_after=900), 1, 0.5) == Retry(900, hold=900)
    assert decide(Answer(status, retry_after=1), 3, 0.5) == Retry(PAUSES[2], hold=1)
    assert decide(Answer(status, retry_after=10**9), 1, 0.5) == Retry(24 * HOUR, hold=24 * HOUR)
    assert decide(Answer(500, retry_after=900), 1, 0.5) == Retry(PAUSES[0])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 400, 999_999_999.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59.0),
        ("Fri, 31 Dec 1999 23:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert read_retry_after(text, 946_684_740.0) == seconds


def test_an_endpoint_is_dead_after_three_days_of_failures_and_not_of_silence() -> None:
    assert is_dead(DEAD_SECONDS, DEAD_ATTEMPTS)
    assert not is_dead(DEAD_SECONDS - 1, 1000)
    assert not is_dead(DEAD_SECONDS * 10, DEAD_ATTEMPTS - 1)

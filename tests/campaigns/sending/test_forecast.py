"""The forecast is exact: it equals a step-by-step play of the rules."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.forecast import fastest, forecast, replay, shares, soonest
from campaigns.sending.pacing import goes_at, is_gated, ready_at
from campaigns.sending.rotation import deal

seconds = st.floats(0, 1000).map(lambda value: round(value, 3))
counts = st.integers(0, 60)
pools = st.integers(1, 7)


def play(messages: int, delays: list[float], latency: float, switch: float) -> float:
    """Send one message after the other by the rules of pacing and rotation; when the last answer came."""
    dealt, _ = deal(range(messages), 0, [True] * len(delays))
    lane_answer: dict[int, float] = {}
    last_answer: float | None = None
    last_sender: int | None = None
    end = 0.0
    for _, sender in dealt:
        start = ready_at(lane_answer.get(sender), delays[sender])
        if is_gated(len(delays), switch):
            start = goes_at(start, switches=sender != last_sender, campaign_answer_at=last_answer, switch_delay=switch)
        answer = start + latency
        lane_answer[sender], last_answer, last_sender = answer, answer, sender
        end = max(end, answer)
    return end


@given(counts, pools, seconds, seconds, st.just(0.0) | seconds)
def test_the_formula_is_what_the_rules_give(
    messages: int, senders: int, latency: float, delay: float, switch: float
) -> None:
    played = play(messages, [delay] * senders, latency, switch)
    assert forecast(messages, senders, latency, delay, switch) == pytest.approx(played, rel=1e-9, abs=1e-6)


@given(counts, st.lists(seconds, min_size=1, max_size=6), seconds, st.just(0.0) | seconds)
def test_the_replay_is_what_the_rules_give_for_any_delays(
    messages: int, delays: list[float], latency: float, switch: float
) -> None:
    played = play(messages, delays, latency, switch)
    assert replay(messages, delays, latency, switch) == pytest.approx(played, rel=1e-9, abs=1e-6)


@given(counts, pools, seconds, seconds, st.just(0.0) | seconds)
def test_the_replay_of_equal_delays_is_the_formula(
    messages: int, senders: int, latency: float, delay: float, switch: float
) -> None:
    formula = forecast(messages, senders, latency, delay, switch)
    assert replay(messages, [delay] * senders, latency, switch) == pytest.approx(formula, rel=1e-9, abs=1e-6)


@given(counts, st.lists(seconds, min_size=1, max_size=6), seconds)
def test_the_fastest_rotation_is_never_slower_than_fixed_shares(
    messages: int, delays: list[float], latency: float
) -> None:
    assert fastest(messages, delays, latency) <= replay(messages, delays, latency, 0.0) + 1e-6


@given(counts, pools)
def test_shares_are_even_and_lose_nothing(messages: int, able: int) -> None:
    parts = shares(messages, able)
    assert sum(parts) == messages
    assert max(parts) - min(parts) <= 1
    dealt, _ = deal(range(messages), 0, [True] * able)
    counted = Counter(position for _, position in dealt)
    assert parts == [counted[position] for position in range(able)]


def test_ten_messages_through_two_senders_by_hand() -> None:
    assert forecast(10, 1, 0.5, 2.0, 5.0) == 9 * 2.5 + 0.5
    assert forecast(10, 2, 0.5, 2.0, 0.0) == 4 * 2.5 + 0.5
    assert forecast(10, 2, 0.5, 2.0, 5.0) == 4 * 11.0 + 5.5 + 0.5


@given(counts, pools, pools, seconds, seconds, st.just(0.0) | seconds)
def test_no_message_leaves_sooner_than_its_place_allows_however_many_senders_are_able(
    before: int, senders: int, able: int, latency: float, delay: float, switch: float
) -> None:
    left_at = play(before + 1, [delay] * min(able, senders), latency, switch) - latency
    assert soonest(before, senders, delay, switch) <= left_at + 1e-6


@given(counts, st.lists(seconds, min_size=1, max_size=6), seconds, seconds)
def test_slower_senders_make_no_message_leave_sooner(
    before: int, delays: list[float], latency: float, switch: float
) -> None:
    left_at = play(before + 1, delays, latency, switch + 1.0) - latency
    assert soonest(before, len(delays), min(delays), switch + 1.0) <= left_at + 1e-6

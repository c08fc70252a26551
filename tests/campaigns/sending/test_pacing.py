"""The pure rules of pace: gaps are counted from answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sending.pacing import goes_at, is_gated, ready_at

times = st.floats(0, 1e9)
delays = st.floats(0, 86_400)


def test_a_lane_that_never_sent_is_ready() -> None:
    assert ready_at(None, 60.0, 5.0) == 0.0


@given(times, delays, delays)
def test_jitter_only_lengthens(answer_at: float, delay: float, extra: float) -> None:
    assert ready_at(answer_at, delay, extra) >= ready_at(answer_at, delay) >= answer_at


@given(times, times, delays)
def test_a_switch_waits_for_the_lane_and_for_the_gate(ready: float, answer_at: float, switch: float) -> None:
    at = goes_at(ready, switches=True, campaign_answer_at=answer_at, switch_delay=switch)
    assert at >= ready
    assert at >= answer_at + switch
    assert at in (ready, answer_at + switch)


@given(times, times, delays)
def test_the_same_sender_waits_for_its_lane_only(ready: float, answer_at: float, switch: float) -> None:
    assert goes_at(ready, switches=False, campaign_answer_at=answer_at, switch_delay=switch) == ready
    assert goes_at(ready, switches=True, campaign_answer_at=None, switch_delay=switch) == ready


@pytest.mark.parametrize(("senders", "switch", "gated"), [(1, 5.0, False), (2, 0.0, False), (2, 0.1, True)])
def test_only_several_senders_and_a_switch_delay_make_a_gate(senders: int, switch: float, gated: bool) -> None:
    assert is_gated(senders, switch) is gated

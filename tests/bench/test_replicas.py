"""What `replicas` reads in the ledger: how long lanes were silent, and for which part of it they had a reason."""

import pytest

from bench.replicas import MESSAGE_DELAY, Run, enough_messages, figures, silences
from gateway.demo.audit import audit


def transmission(session: str, received_at: float, answered_at: float | None) -> dict[str, object]:
    """A message that WhatsApp took."""
    return {
        "session": session,
        "received_at": received_at,
        "time": received_at,
        "answered_at": answered_at,
        "chat_id": f"1202555{received_at:.0f}@c.us",
    }


@pytest.mark.parametrize(
    ("answered_at", "next_at", "silence"),
    [
        pytest.param(9.8, 10.8, 0.0, id="it was only waiting for its delay"),
        pytest.param(9.8, 15.0, 4.2, id="it went on later than its delay explains"),
        pytest.param(8.0, 10.5, 0.5, id="its delay was over"),
        pytest.param(10.1, 15.9, 4.9, id="a send was in flight"),
        pytest.param(None, 15.9, 4.9, id="a send was never answered"),
    ],
)
def test_a_silence_counts_from_the_event_less_the_delay(
    answered_at: float | None, next_at: float, silence: float
) -> None:
    lane = [transmission("a", 7.9, answered_at), transmission("a", next_at, next_at)]
    assert silences(lane, 10.0, 1.0) == [pytest.approx(silence)]


def test_a_lane_that_never_sent_again_was_silent_until_the_end_of_all() -> None:
    sent = [transmission("a", 8.0, 8.0), transmission("b", 9.9, 9.9), transmission("b", 30.0, 30.0)]
    assert max(silences(sent, 10.0, 1.0)) == pytest.approx(20.0)


def test_a_lane_that_had_not_begun_before_the_event_says_nothing() -> None:
    assert silences([transmission("a", 12.0, 12.0)], 10.0, 1.0) == []


def test_a_takeover_that_takes_longer_than_a_lease_and_half_a_second_is_missed() -> None:
    sent = [transmission("a", 9.0, 9.0), transmission("a", 15.6, 15.6), transmission("a", 80.0, 80.0)]
    done = Run(killed_at=10.0, frozen_at=70.0, restarted_at=75.0, status={"total": 3, "sent": 3}, transmissions=sent)
    verdict = audit(sent, [str(one["chat_id"])[:-5] for one in sent], message_delay=MESSAGE_DELAY, switch_delay=0)
    found = {figure.name: figure for figure in figures(done, verdict, 5.0)}
    assert not found["a dead replica's lanes go on after"].met
    assert found["a dead replica's lanes go on after"].value == pytest.approx(5.6)
    assert found["lanes that waited for its lease"].value == 1
    assert found["lost"].met


def test_there_is_work_until_the_last_event_is_over() -> None:
    assert enough_messages(30, 5.0) > 30 * (3 * 5.0 + 3 * 4.0) / MESSAGE_DELAY

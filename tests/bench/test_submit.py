"""What `submit` sends, and how it reads the ledger."""

import pytest

from bench.submit import BIG_SENDERS, Run, big_request, figures, lateness
from campaigns.sending.schemas import SendRequest


def transmission(session: str, received_at: float) -> dict[str, object]:
    """A message that was answered a tenth of a second after it came."""
    return {"session": session, "received_at": received_at, "answered_at": received_at + 0.1}


def test_lateness_is_of_the_sends_that_were_due_meanwhile() -> None:
    sent = [transmission("a", at) for at in (0.0, 1.1, 2.5, 3.6)] + [transmission("b", at) for at in (0.0, 9.0)]
    assert lateness(sent, ["a"], 1.0, 2.0, 3.0) == [pytest.approx(0.3)]
    assert lateness(sent, ["a", "b"], 1.0, 0.0, 9.0) == [pytest.approx(late) for late in (0.0, 0.3, 0.0, 7.9)]


def test_a_send_that_came_too_early_is_negative() -> None:
    assert lateness([transmission("a", 0.0), transmission("a", 0.6)], ["a"], 1.0, 0.0, 9.0) == [pytest.approx(-0.5)]


@pytest.mark.parametrize("variables", [False, True])
def test_the_big_request_is_one_that_the_product_takes(variables: bool) -> None:
    request = SendRequest.model_validate(big_request(50, variables=variables))
    assert len(request.recipients) == 50
    assert 1 + len(request.sender_numbers) == BIG_SENDERS


def test_a_slow_answer_much_memory_and_a_question_in_vain_miss_their_goals() -> None:
    done = Run(
        began_at=100.0,
        ended_at=111.0,
        calm={"GET /health": [0.001]},
        busy={"GET /health": [0.001, 0.2]},
        failed=1,
        memory=401_000_000,
        queued=9,
    )
    found = {figure.name: figure for figure in figures(done, 10)}
    assert {name for name, figure in found.items() if not figure.met} == {
        "seconds to the answer",
        "peak memory of the service",
        "recipients not queued",
        "questions not answered well",
    }
    assert found["GET /health meanwhile, max"].value == pytest.approx(200)

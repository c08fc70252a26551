"""The verdict on a campaign, from ledgers made by hand."""

from typing import Any

import pytest

from gateway.demo.audit import Audit, audit

ADA, BOB, CY = "33639980001", "33639980002", "33639980003"


def sent(to: str, session: str, received_at: float, answered_at: float | None = None) -> dict[str, Any]:
    """One row of a ledger; without an answer WhatsApp took it half a second after it was received."""
    return {
        "chat_id": f"{to}@c.us",
        "session": session,
        "received_at": received_at,
        "time": received_at + 0.5,
        "answered_at": answered_at,
    }


def judge(*transmissions: dict[str, Any], recipients: tuple[str, ...] = (ADA, BOB)) -> Audit:
    """The verdict for delays of 10 s and 3 s."""
    return audit(transmissions, recipients, message_delay=10.0, switch_delay=3.0)


def test_a_campaign_as_it_was_told_passes() -> None:
    verdict = judge(sent(ADA, "one", 0.0, 1.0), sent(BOB, "one", 11.0, 12.0))

    assert (verdict.accepted, verdict.lost, verdict.duplicated, verdict.early, verdict.gaps) == (2, 0, 0, 0, 1)
    assert verdict.passed


def test_a_recipient_without_a_message_is_lost() -> None:
    verdict = judge(sent(ADA, "one", 0.0, 1.0))

    assert (verdict.accepted, verdict.lost) == (1, 1)
    assert not verdict.passed


def test_each_message_after_the_first_to_one_recipient_is_a_duplicate() -> None:
    times = (0.0, 20.0, 40.0)
    verdict = judge(*[sent(ADA, "one", at, at) for at in times], recipients=(ADA,))

    assert (verdict.accepted, verdict.duplicated) == (1, 2)
    assert not verdict.passed


def test_a_message_to_somebody_else_is_told() -> None:
    verdict = judge(sent(CY, "one", 0.0, 1.0), recipients=())

    assert (verdict.accepted, verdict.unasked) == (0, 1)
    assert not verdict.passed


@pytest.mark.parametrize(("start", "early"), [(11.0, 0), (10.999, 1)])
def test_a_sender_rests_from_its_answer_to_its_next_start(start: float, early: int) -> None:
    verdict = judge(sent(ADA, "one", 0.0, 1.0), sent(BOB, "one", start, 12.0))

    assert verdict.early == early
    assert verdict.passed is (early == 0)


@pytest.mark.parametrize(("start", "early"), [(4.0, 0), (3.999, 1)])
def test_a_campaign_rests_where_it_changes_senders(start: float, early: int) -> None:
    verdict = judge(sent(ADA, "one", 0.0, 1.0), sent(BOB, "two", start, 5.0))

    assert (verdict.early, verdict.gaps) == (early, 1)


def test_without_a_switch_delay_senders_work_side_by_side() -> None:
    ledger = [sent(ADA, "one", 0.0, 1.0), sent(BOB, "two", 0.1, 1.1)]
    verdict = audit(ledger, (ADA, BOB), message_delay=10.0, switch_delay=0.0)

    assert verdict.passed
    assert (verdict.gaps, verdict.shortest_excess) == (0, None)


def test_where_no_answer_came_the_pause_counts_from_the_acceptance() -> None:
    verdict = judge(sent(ADA, "one", 0.0, None), sent(BOB, "one", 10.5, 11.0))

    assert verdict.early == 0
    assert verdict.shortest_excess == pytest.approx(0.0)


def test_the_ledger_may_be_in_any_order() -> None:
    verdict = judge(sent(BOB, "one", 11.0, 12.0), sent(ADA, "one", 0.0, 1.0))

    assert verdict.passed

"""Why has it not been sent yet: one reason for each hindrance, and the time it may go at the earliest."""

from dataclasses import replace

import pytest

from campaigns.sending.waiting import LaneView, Reason, Wait, earliest_start, of_campaign, of_lane, of_message

NOW = 1000.0
FREE = LaneView(
    number="447700900001",
    state="CONNECTED",
    server_up=True,
    delay=2.0,
    ready_at=990.0,
    resting_until=0.0,
    uncertain_until=None,
)
RESTING = replace(FREE, number="447700900002", ready_at=1001.5)
FALLEN = replace(FREE, number="447700900003", state="FAILED")
UNCERTAIN = replace(FREE, number="447700900004", uncertain_until=1060.0)
LOCKED = replace(FREE, number="447700900005", resting_until=4600.0, resting_code="number_lock")


@pytest.mark.parametrize(
    ("lane", "expected"),
    [
        (FREE, None),
        (RESTING, Wait(Reason.MESSAGE_DELAY, 1001.5, RESTING.number)),
        (FALLEN, Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)),
        (replace(FREE, state=None), Wait(Reason.SESSION_NOT_CONNECTED, None, FREE.number)),
        (replace(FREE, server_up=False), Wait(Reason.SERVER_DOWN, None, FREE.number)),
        (UNCERTAIN, Wait(Reason.UNCONFIRMED, 1060.0, UNCERTAIN.number)),
        (LOCKED, Wait(Reason.NUMBER_LOCK, 4600.0, LOCKED.number)),
        (replace(LOCKED, resting_until=999.0), None),
        (replace(FREE, locked_until=4600.0), Wait(Reason.NUMBER_LOCK, 4600.0, FREE.number)),
        (replace(RESTING, locked_until=4600.0), Wait(Reason.NUMBER_LOCK, 4600.0, RESTING.number)),
        (replace(FREE, locked_until=999.0), None),
        (replace(FALLEN, locked_until=4600.0), Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)),
        (
            replace(FREE, resting_until=1001.0, resting_code="server_down"),
            Wait(Reason.SERVER_DOWN, 1001.0, FREE.number),
        ),
    ],
)
def test_a_sender_waits_for_the_first_thing_that_keeps_it(lane: LaneView, expected: Wait | None) -> None:
    assert of_lane(lane, NOW) == expected


def test_a_campaign_with_nothing_pending_waits_for_nothing() -> None:
    assert of_campaign("running", [FALLEN], None, 0, NOW) == []


def test_a_paused_campaign_waits_for_a_person_whatever_its_senders_do() -> None:
    assert of_campaign("paused", [FREE, FALLEN], NOW + 5, 3, NOW) == [Wait(Reason.PAUSED)]


def test_the_switch_delay_is_a_reason_only_while_somebody_could_send() -> None:
    gate = Wait(Reason.SENDER_SWITCH_DELAY, NOW + 5)
    assert gate in of_campaign("running", [FREE, FALLEN], NOW + 5, 3, NOW)
    assert gate not in of_campaign("running", [FALLEN, LOCKED], NOW + 5, 3, NOW)
    assert gate not in of_campaign("running", [FREE], NOW - 1, 3, NOW)


def test_a_message_waits_for_its_turn_unless_nobody_can_send_at_all() -> None:
    waits = of_campaign("running", [RESTING, FALLEN], None, 9, NOW)
    later = of_message(waits, 2, not_before=0.0, now=NOW, is_next=False, number=None)
    assert later == Wait(Reason.NOT_ITS_TURN)
    stuck = of_campaign("running", [FALLEN, UNCERTAIN], None, 9, NOW)
    message = of_message(stuck, 2, not_before=0.0, now=NOW, is_next=False, number=None)
    assert message is not None
    assert message.reason in (Reason.SESSION_NOT_CONNECTED, Reason.UNCONFIRMED)


def test_a_message_after_a_failed_attempt_waits_for_the_next_one() -> None:
    found = of_message([], 1, not_before=NOW + 30, now=NOW, is_next=True, number=None)
    assert found == Wait(Reason.BACKOFF, NOW + 30)


def test_a_message_that_was_dealt_to_a_sender_waits_for_that_one() -> None:
    waits = of_campaign("running", [RESTING, UNCERTAIN], None, 9, NOW)
    dealt = of_message(waits, 2, not_before=0.0, now=NOW, is_next=False, number=UNCERTAIN.number)
    assert dealt == Wait(Reason.UNCONFIRMED, 1060.0, UNCERTAIN.number)
    assert of_message(waits, 2, not_before=0.0, now=NOW, is_next=True, number=FREE.number) is None


def test_a_campaign_goes_on_with_the_senders_that_only_rest_or_else_with_what_ends_by_itself() -> None:
    assert earliest_start([RESTING, UNCERTAIN, FALLEN], NOW) == (1001.5, [RESTING])
    assert earliest_start([FREE, LOCKED], NOW) == (NOW, [FREE])
    assert earliest_start([UNCERTAIN, LOCKED, FALLEN], NOW) == (1060.0, [UNCERTAIN, LOCKED])
    assert earliest_start([FALLEN], NOW) is None

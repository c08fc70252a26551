"""Why has it not been sent yet: one reason for each hindrance, and the time it may go at the earliest."""

from dataclasses import replace

import pytest

from campaigns.sending.models import IDLE
from campaigns.sending.waiting import (
    BEGINNING,
    MOVING,
    SENTENCES,
    CampaignView,
    LaneView,
    Reason,
    Wait,
    earliest_start,
    of_campaign,
    of_lane,
    of_message,
)

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
CAPPED = replace(FREE, number="447700900006", resting_until=1900.0, resting_code="hourly_cap")
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
        (replace(UNCERTAIN, uncertain_until=NOW - 60.0), Wait(Reason.UNCONFIRMED, None, UNCERTAIN.number)),
        (replace(RESTING, moving=True), Wait(Reason.SESSION_NOT_CONNECTED, None, RESTING.number, MOVING)),
        (replace(FALLEN, moving=True), Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)),
        (LOCKED, Wait(Reason.NUMBER_LOCK, 4600.0, LOCKED.number)),
        (replace(LOCKED, resting_until=999.0), None),
        (CAPPED, Wait(Reason.HOURLY_CAP, 1900.0, CAPPED.number)),
        (replace(CAPPED, resting_code="daily_cap"), Wait(Reason.DAILY_CAP, 1900.0, CAPPED.number)),
        (replace(CAPPED, locked_until=4600.0), Wait(Reason.NUMBER_LOCK, 4600.0, CAPPED.number)),
        (replace(FREE, locked_until=4600.0), Wait(Reason.NUMBER_LOCK, 4600.0, FREE.number)),
        (replace(RESTING, locked_until=4600.0), Wait(Reason.NUMBER_LOCK, 4600.0, RESTING.number)),
        (replace(FREE, locked_until=999.0), None),
        (replace(FREE, yields=True), Wait(Reason.NOT_ITS_TURN, None, FREE.number)),
        (replace(RESTING, yields=True), Wait(Reason.NOT_ITS_TURN, 1001.5, RESTING.number)),
        (replace(FALLEN, yields=True), Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)),
        (replace(FALLEN, locked_until=4600.0), Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)),
        (
            replace(FREE, resting_until=1001.0, resting_code="server_down"),
            Wait(Reason.SERVER_DOWN, 1001.0, FREE.number),
        ),
    ],
)
def test_a_sender_waits_for_the_first_thing_that_keeps_it(lane: LaneView, expected: Wait | None) -> None:
    assert of_lane(lane, NOW) == expected


RUNNING = CampaignView("running", 9)


def test_every_reason_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


def test_a_campaign_with_nothing_pending_waits_for_nothing() -> None:
    assert of_campaign(CampaignView("running", 0), [FALLEN], NOW) == []


def test_a_paused_campaign_waits_for_a_person_whatever_its_senders_do() -> None:
    assert of_campaign(CampaignView("paused", 3, NOW + 5), [FREE, FALLEN], NOW) == [Wait(Reason.PAUSED)]


def test_a_scheduled_campaign_waits_for_its_start() -> None:
    campaign = CampaignView("scheduled", 3, starts_at=NOW + 99, opens_at=NOW + 500)
    assert of_campaign(campaign, [FREE, FALLEN], NOW) == [Wait(Reason.SCHEDULED, NOW + 99)]


def test_one_whose_time_has_come_says_what_it_waits_for_then() -> None:
    due = CampaignView("scheduled", 0, starts_at=NOW - 5)
    assert of_campaign(due, [FREE], NOW) == [Wait(Reason.SCHEDULED, says=BEGINNING)]
    held = replace(due, held="no sender is connected")
    assert of_campaign(held, [], NOW) == [Wait(Reason.SESSION_NOT_CONNECTED, says=held.held)]
    assert of_campaign(held, [FALLEN], NOW) == [Wait(Reason.SESSION_NOT_CONNECTED, says=held.held)]
    down = replace(FREE, server_up=False)
    assert of_campaign(held, [down], NOW) == [Wait(Reason.SERVER_DOWN, says=held.held)]
    assert of_campaign(held, [down, FALLEN], NOW) == [Wait(Reason.SESSION_NOT_CONNECTED, says=held.held)]


def test_outside_of_its_hours_a_campaign_waits_for_its_next_window() -> None:
    closed = replace(RUNNING, opens_at=NOW + 500)
    assert of_campaign(closed, [FREE, FALLEN], NOW) == [Wait(Reason.QUIET_HOURS, NOW + 500)]
    assert of_campaign(replace(closed, opens_at=IDLE), [FREE], NOW) == [Wait(Reason.QUIET_HOURS)]
    assert of_campaign(replace(closed, opens_at=NOW), [FREE], NOW) == []


def test_the_switch_delay_is_a_reason_only_while_somebody_could_send() -> None:
    gate = Wait(Reason.SENDER_SWITCH_DELAY, NOW + 5)
    gated = replace(RUNNING, gate_at=NOW + 5)
    assert gate in of_campaign(gated, [FREE, FALLEN], NOW)
    assert gate not in of_campaign(gated, [FALLEN, LOCKED], NOW)
    assert gate not in of_campaign(gated, [FALLEN, CAPPED], NOW)
    assert gate not in of_campaign(replace(RUNNING, gate_at=NOW - 1), [FREE], NOW)


def wait_of(
    lanes: list[LaneView],
    *,
    campaign: CampaignView = RUNNING,
    is_next: bool = True,
    number: str | None = None,
    one_by_one: bool = False,
) -> Wait | None:
    """What a message waits for in a campaign of these senders."""
    return of_message(
        of_campaign(campaign, lanes, NOW),
        len(lanes),
        not_before=0.0,
        now=NOW,
        is_next=is_next,
        number=number,
        turn_at=NOW + 70.0,
        busy=[lane.number for lane in lanes if lane.busy],
        one_by_one=one_by_one,
    )


def test_a_message_waits_for_its_turn_unless_nobody_can_send_at_all() -> None:
    assert wait_of([RESTING, FALLEN], is_next=False) == Wait(Reason.NOT_ITS_TURN, NOW + 70.0)
    assert wait_of([FALLEN], is_next=False) == Wait(Reason.SESSION_NOT_CONNECTED, None, FALLEN.number)


def test_where_nobody_can_send_it_waits_for_who_can_again_first() -> None:
    lanes = [LOCKED, UNCERTAIN, FALLEN, CAPPED]
    assert wait_of(lanes, is_next=False) == Wait(Reason.UNCONFIRMED, 1060.0, UNCERTAIN.number)
    assert wait_of([LOCKED, CAPPED], is_next=True) == Wait(Reason.HOURLY_CAP, 1900.0, CAPPED.number)


def test_the_next_message_waits_for_the_first_sender_that_is_ready() -> None:
    assert wait_of([RESTING, FALLEN], is_next=True) == Wait(Reason.MESSAGE_DELAY, 1001.5, RESTING.number)
    later = replace(RESTING, number="447700900007", ready_at=1009.0)
    assert wait_of([later, RESTING], is_next=True) == Wait(Reason.MESSAGE_DELAY, 1001.5, RESTING.number)
    assert wait_of([RESTING, FREE], is_next=True) is None


def test_the_next_message_waits_while_all_who_could_send_it_send_another_one() -> None:
    busy, other = replace(FREE, busy=True), replace(FREE, number="447700900008")
    assert wait_of([busy, FALLEN]) == Wait(Reason.NOT_ITS_TURN)
    assert wait_of([busy, other]) is None
    assert wait_of([busy, RESTING]) == Wait(Reason.MESSAGE_DELAY, 1001.5, RESTING.number)
    assert wait_of([busy, other], number=busy.number) == Wait(Reason.NOT_ITS_TURN, None, busy.number)
    assert wait_of([busy, other], number=other.number) is None
    assert wait_of([busy, other], number=other.number, one_by_one=True) == Wait(Reason.NOT_ITS_TURN, None, other.number)
    assert wait_of([busy, other], one_by_one=True) == Wait(Reason.NOT_ITS_TURN)


def test_the_next_message_waits_for_the_later_of_its_sender_and_the_switch() -> None:
    gate = Wait(Reason.SENDER_SWITCH_DELAY, NOW + 5)
    assert wait_of([RESTING, FREE], campaign=replace(RUNNING, gate_at=NOW + 5), is_next=True) == gate
    soon = replace(RUNNING, gate_at=NOW + 1)
    assert wait_of([RESTING], campaign=soon, is_next=True) == Wait(Reason.MESSAGE_DELAY, 1001.5, RESTING.number)


@pytest.mark.parametrize(
    ("campaign", "reason"),
    [
        (CampaignView("paused", 9), Reason.PAUSED),
        (CampaignView("scheduled", 9, starts_at=NOW + 9), Reason.SCHEDULED),
        (CampaignView("queued", 9, opens_at=NOW + 9), Reason.QUIET_HOURS),
    ],
)
def test_what_keeps_a_campaign_keeps_each_of_its_messages(campaign: CampaignView, reason: Reason) -> None:
    for number in (None, FALLEN.number):
        found = wait_of([FALLEN, RESTING], campaign=campaign, is_next=True, number=number)
        assert found is not None
        assert found.reason is reason


def test_a_message_after_a_failed_attempt_waits_for_the_next_one() -> None:
    found = of_message([], 1, not_before=NOW + 30, now=NOW, is_next=True, number=None)
    assert found == Wait(Reason.BACKOFF, NOW + 30)


def test_a_message_that_was_dealt_to_a_sender_waits_for_that_one() -> None:
    lanes = [RESTING, UNCERTAIN]
    assert wait_of(lanes, is_next=False, number=UNCERTAIN.number) == Wait(Reason.UNCONFIRMED, 1060.0, UNCERTAIN.number)
    assert wait_of([*lanes, FREE], is_next=True, number=FREE.number) is None


def test_a_campaign_goes_on_with_the_senders_that_only_rest_or_else_with_what_ends_by_itself() -> None:
    assert earliest_start([RESTING, UNCERTAIN, FALLEN], NOW) == (1001.5, [RESTING])
    assert earliest_start([FREE, LOCKED], NOW) == (NOW, [FREE])
    assert earliest_start([UNCERTAIN, LOCKED, FALLEN], NOW) == (1060.0, [UNCERTAIN, LOCKED])
    assert earliest_start([FALLEN], NOW) is None
    assert earliest_start([CAPPED, LOCKED], NOW) == (1900.0, [CAPPED, LOCKED])

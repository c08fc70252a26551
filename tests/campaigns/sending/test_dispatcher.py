"""The dispatcher in front of a simulated WAHA: pace, turns, stops and restarts, judged by WAHA's ledger."""

import itertools
from typing import Any

import pytest
from sqlalchemy import update

import campaigns.sending.dispatcher
from campaigns.sending.outcomes import QueueSettings, Task, Turn
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import session
from gateway.simulator.server import Boot
from gateway.simulator.stored import Status
from sessions.queries import find_session
from tests.conftest import MakeWorld
from tests.harness.ledger import (
    ROUNDING,
    duplicated,
    gaps,
    lost,
    overlaps,
    recipients_of,
    senders_of,
    short_gaps,
    short_switches,
)
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time


def assert_all_arrived(world: World, count: int) -> None:
    """Each of the first `count` recipients got "hello" once, one at a time from each sender."""
    assert lost(world.ledger, "hello", recipient_numbers(count)) == []
    assert duplicated(world.ledger) == []
    assert overlaps(world.ledger) == []


# --- pace -------------------------------------------------------------------------------------------------------


async def test_gaps_are_the_delay_to_the_microsecond(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(2, message_delay=1.5)
    row = await world.finish(await world.submit(8))
    assert row.state == "completed"
    assert_all_arrived(world, 8)
    for sender in world.senders:
        assert gaps(world.ledger, sender) == pytest.approx([1.5] * 3, abs=ROUNDING)
    await world.check_counters()


async def test_the_gap_is_counted_from_the_answer_however_slow_it_is(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=1.0, waha={"latency_seconds": 7.0})
    await world.finish(await world.submit(3))
    assert gaps(world.ledger, world.senders[0]) == pytest.approx([1.0, 1.0], abs=ROUNDING)


async def test_a_campaign_ends_when_its_forecast_says(make_world: MakeWorld) -> None:
    world = await make_world(3, message_delay=2.0, sender_switch_delay=0.5)
    world.gateway.transmitter.latency_seconds = 0.1
    campaign_id = await world.submit(8)
    row = await world.campaign(campaign_id)
    promised = (await world.gateway.status.of(row))["estimated_finish"].timestamp()
    await world.until_sent(8)
    assert max(one.answered_at or 0 for one in world.ledger.transmissions) == pytest.approx(promised, abs=0.01)


async def test_jitter_only_lengthens_the_gaps(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.5, jitter=1.0)
    await world.finish(await world.submit(8))
    told = gaps(world.ledger, world.senders[0])
    assert all(0.5 - ROUNDING <= gap <= 1.5 + ROUNDING for gap in told)
    assert max(told) - min(told) > 0.1


async def test_a_sender_with_a_delay_of_its_own_keeps_it(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.5)
    await world.gateway.delays.set_for(world.senders[1], 2.0)
    await world.finish(await world.submit(8))
    assert gaps(world.ledger, world.senders[0]) == pytest.approx([0.5] * 3, abs=ROUNDING)
    assert gaps(world.ledger, world.senders[1]) == pytest.approx([2.0] * 3, abs=ROUNDING)


async def test_a_shorter_delay_is_felt_within_a_second_by_a_lane_that_waits(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=3600.0)
    await world.submit(2)
    await world.until_sent(1)
    await world.clock.sleep(5.0)
    await world.gateway.delays.set(0.5, None)
    await world.until_sent(2, within=1.0)


@pytest.mark.parametrize("wait", [3.0, 3.9])
async def test_a_longer_delay_is_felt_by_a_lane_that_waits_even_if_it_is_armed(
    make_world: MakeWorld, wait: float
) -> None:
    world = await make_world(1, message_delay=4.0)
    await world.submit(2)
    await world.until_sent(1)
    await world.clock.sleep(wait)
    await world.gateway.delays.set(8.0, None)
    await world.until_sent(2)
    assert gaps(world.ledger, world.senders[0]) == pytest.approx([8.0], abs=ROUNDING)


async def test_the_switch_delay_holds_and_recipients_are_dealt_in_turn(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(3, message_delay=1.0, sender_switch_delay=0.7)
    await world.finish(await world.submit(9))
    assert_all_arrived(world, 9)
    assert senders_of(world.ledger.transmissions) == world.senders * 3
    assert recipients_of(world.ledger.transmissions) == recipient_numbers(9)
    assert short_switches(world.ledger, 0.7) == []
    assert short_gaps(world.ledger, 1.0) == []


async def test_without_a_switch_delay_senders_work_side_by_side(make_world: MakeWorld) -> None:
    world = await make_world(3, message_delay=1.0)
    await world.finish(await world.submit(9))
    order = senders_of(world.ledger.transmissions)
    assert [sorted(order[start : start + 3]) for start in (0, 3, 6)] == [world.senders] * 3
    assert world.ledger.transmissions[2].received_at - world.ledger.transmissions[0].received_at < 0.1


async def test_the_fastest_rotation_gives_the_next_recipient_to_whoever_is_free(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.5)
    await world.gateway.delays.set_for(world.senders[1], 3600.0)
    await world.finish(await world.submit(6, rotation="fastest"))
    order = senders_of(world.ledger.transmissions)
    assert [order.count(sender) for sender in world.senders] == [5, 1]
    assert_all_arrived(world, 6)


# --- turns that nobody can take ---------------------------------------------------------------------------------


@pytest.mark.parametrize("switch_delay", [0.0, 0.3])
async def test_a_sender_that_falls_is_stepped_over_and_takes_its_turn_when_it_is_back(
    make_world: MakeWorld, switch_delay: float
) -> None:
    world = await make_world(3, message_delay=1.0, sender_switch_delay=switch_delay)
    campaign_id = await world.submit(24)
    await world.until_sent(6)
    fallen = world.senders[1]
    await world.fall(fallen)
    at = world.sent
    await world.until_sent(at + 6)
    assert fallen not in senders_of(world.ledger.transmissions[at:])
    await world.rise(fallen)
    at = world.sent
    await world.finish(campaign_id)
    assert fallen in senders_of(world.ledger.transmissions[at:])
    assert_all_arrived(world, 24)
    assert short_gaps(world.ledger, 1.0) == []
    assert not switch_delay or short_switches(world.ledger, switch_delay) == []


async def share_left_with_a_sender_that_falls(make_world: MakeWorld, switch_delay: float, *, told: bool) -> float:
    """One sender has a message left, which it would send in an hour, and falls; seconds until another one sends it.

    Who is not `told` hears no event, as another replica: it can only look.
    """
    world = await make_world(2, message_delay=0.2, sender_switch_delay=switch_delay)
    slow = world.senders[1]
    await world.gateway.delays.set_for(slow, 3600.0)
    campaign_id = await world.submit(4)
    await world.until_sent(3, within=10.0)
    await world.clock.sleep(5.0)
    assert world.sent == 3
    if told:
        await world.fall(slow)
    else:
        async with world.gateway.db.write() as tx:
            row = await find_session(tx, slow)
            assert row is not None
            await tx.execute(update(session).where(session.c.sender_id == row.sender_id).values(state="FAILED"))
    fell_at = world.clock.now()
    await world.until_sent(4, within=10.0)
    assert_all_arrived(world, 4)
    assert (await world.finish(campaign_id)).state == "completed"
    return world.ledger.transmissions[-1].received_at - fell_at


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("switch_delay", [0.0, 0.3])
async def test_within_a_second_of_a_fall_the_share_of_who_fell_goes_out_through_others(
    make_world: MakeWorld, switch_delay: float, *, told: bool
) -> None:
    poll = 0.0 if told else QueueSettings(replica="").poll_seconds
    assert await share_left_with_a_sender_that_falls(make_world, switch_delay, told=told) < 1.0 + poll / 4


async def test_without_a_look_at_who_has_fallen_its_share_would_stay(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    async def look_away(*_: object) -> None:
        pass

    monkeypatch.setattr("campaigns.sending.queue.look_at_fallen", look_away)
    with pytest.raises(TimeoutError):
        await share_left_with_a_sender_that_falls(make_world, 0.0, told=False)


async def test_without_failover_the_others_wait_for_a_sender_that_falls(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.2, sender_switch_delay=0.2)
    campaign_id = await world.submit(8, failover=False)
    await world.until_sent(3)
    await world.fall(world.senders[1])
    await world.clock.sleep(2.0)
    at = world.sent
    await world.clock.sleep(20.0)
    assert world.sent == at
    told = await world.gateway.status.of(await world.campaign(campaign_id))
    assert ([wait["reason"] for wait in told["waiting"]], told["estimated_finish"]) == (["session_not_connected"], None)
    await world.rise(world.senders[1])
    await world.finish(campaign_id)
    assert senders_of(world.ledger.transmissions) == world.senders * 4


async def test_a_campaign_whose_senders_are_all_down_waits_and_goes_on_by_itself(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.2)
    for sender in world.senders:
        await world.fall(sender)
    campaign_id = await world.submit(4, queue_if_offline=True)
    await world.clock.sleep(10.0)
    assert world.sent == 0
    told = await world.gateway.status.of(await world.campaign(campaign_id))
    assert [wait["reason"] for wait in told["waiting"]] == ["session_not_connected"] * 2
    await world.rise(world.senders[0])
    assert (await world.finish(campaign_id)).state == "completed"
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}


async def test_a_session_that_fell_unnoticed_costs_no_attempt(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1)
    campaign_id = await world.submit(3)
    await world.until_sent(1)
    await world.waha.lifecycle.running[world.senders[0]].force(Status.FAILED)
    await world.clock.sleep(30.0)
    await world.rise(world.senders[0])
    await world.finish(campaign_id)
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}
    assert_all_arrived(world, 3)


async def test_waha_down_at_submit_is_waited_for_and_status_says_why(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1)
    world.faults(down=True)
    campaign_id = await world.submit(3)
    await world.clock.sleep(5.0)
    told = await world.gateway.status.of(await world.campaign(campaign_id))
    assert [wait["reason"] for wait in told["waiting"]] == ["server_down"]
    world.faults()
    assert (await world.finish(campaign_id)).state == "completed"
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}
    assert_all_arrived(world, 3)


async def test_waha_down_in_the_middle_is_waited_for(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(2, message_delay=0.5, hold_seconds=3)
    campaign_id = await world.submit(10)
    await world.until_sent(4)
    await world.waha.restart(Boot(down_seconds=20.0, start_delay_seconds=0.1))
    assert (await world.finish(campaign_id)).state == "completed"
    assert_all_arrived(world, 10)
    assert short_gaps(world.ledger, 0.5) == []
    await world.check_counters()


# --- who goes first ---------------------------------------------------------------------------------------------


async def test_urgent_overtakes_and_equals_share_a_lane(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.5)
    for name in ("one", "two"):
        await world.submit(4, template=name)
    await world.until_sent(2)
    await world.finish(await world.submit(2, template="urgent", priority="urgent"))
    await world.until_sent(10)
    texts = [one.text for one in world.ledger.transmissions]
    first_urgent = texts.index("urgent")
    assert texts[first_urgent : first_urgent + 2] == ["urgent", "urgent"]
    assert first_urgent <= 3
    plain = [text for text in texts if text != "urgent"]
    assert all(one != two for one, two in itertools.pairwise(plain))


async def test_a_gated_campaign_leaves_its_lanes_to_others(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.1, sender_switch_delay=30.0)
    await world.submit(4, template="gated", priority="urgent")
    await world.until_sent(1)
    plain = await world.submit(5, senders=[world.senders[0]], template="plain", priority="low")
    await world.finish(plain, within=20.0)


# --- steering ---------------------------------------------------------------------------------------------------


async def test_nothing_starts_after_the_answer_to_pause_until_it_is_resumed(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.3)
    campaign_id = await world.submit(8)
    await world.until_sent(3)
    await world.gateway.steering.pause(campaign_id, None)
    answered_at = world.clock.now()
    await world.clock.sleep(10.0)
    assert [one for one in world.ledger.transmissions if one.received_at > answered_at] == []
    await world.gateway.steering.resume(campaign_id, None)
    assert (await world.finish(campaign_id)).state == "completed"
    assert_all_arrived(world, 8)
    assert short_gaps(world.ledger, 0.3) == []


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.4])
async def test_nothing_starts_after_the_answer_to_cancel(
    make_world: MakeWorld, database_url: str, moment: float
) -> None:
    world = await make_world(2, message_delay=0.4)
    campaign_id = await world.submit(8)
    await world.until_sent(2)
    await world.clock.sleep(moment)
    await world.gateway.steering.cancel(campaign_id, None)
    answered_at = world.clock.now()
    await world.clock.sleep(5.0)
    assert [one for one in world.ledger.transmissions if one.received_at > answered_at] == []
    states = await world.states(campaign_id)
    assert states.count("cancelled") == 8 - world.sent
    await world.check_counters()


# --- stopping, dying, starting again ----------------------------------------------------------------------------


async def test_a_stop_settles_what_is_in_flight_and_a_start_goes_on(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(3, message_delay=1.0, sender_switch_delay=0.4, waha={"latency_seconds": 2.0})
    campaign_id = await world.submit(9)
    await world.until_sent(3)
    await world.clock.sleep(0.5)
    await world.stop()
    await world.start()
    states = await world.states(campaign_id)
    assert "sending" not in states
    assert (await world.finish(campaign_id)).state == "completed"
    assert_all_arrived(world, 9)
    assert short_gaps(world.ledger, 1.0) == []
    assert short_switches(world.ledger, 0.4) == []


@pytest.mark.parametrize("moment", [0.05, 0.31, 1.05])
async def test_a_killed_gateway_loses_nothing_and_sends_nothing_twice(
    make_world: MakeWorld, database_url: str, moment: float
) -> None:
    world = await make_world(2, message_delay=1.0, hold_seconds=3, waha={"latency_seconds": 0.3})
    campaign_id = await world.submit(6)
    await world.until_sent(2)
    await world.clock.sleep(moment)
    await world.kill()
    await world.start()
    assert (await world.finish(campaign_id)).state == "completed"
    assert_all_arrived(world, 6)
    assert short_gaps(world.ledger, 1.0) == []
    await world.check_counters()


async def test_a_campaign_survives_being_killed_again_and_again(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.3, sender_switch_delay=0.2, hold_seconds=2)
    campaign_id = await world.submit(12)
    for moment in (0.1, 0.25, 0.65, 0.0):
        await world.clock.sleep(moment)
        await world.kill()
        await world.start()
    assert (await world.finish(campaign_id)).state == "completed"
    assert_all_arrived(world, 12)
    assert short_gaps(world.ledger, 0.3) == []


async def test_a_stop_lets_nothing_new_leave_whatever_is_being_claimed(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(1, message_delay=0.2)

    async def claim_while_stopping(*args: Any, **kwargs: Any) -> Turn:
        turn = await take_turn(*args, **kwargs)
        if turn.claims:
            world.gateway.dispatcher.halt()
        return turn

    monkeypatch.setattr(campaigns.sending.dispatcher, "take_turn", claim_while_stopping)
    campaign_id = await world.submit(3)
    await world.clock.sleep(1.0)
    await world.stop()
    assert world.sent == 0
    monkeypatch.undo()
    monkeypatch.setattr("gateway.app.Database", type(world.gateway.db))
    await world.start()
    assert await world.states(campaign_id) == ["queued"] * 3
    await world.finish(campaign_id)
    assert_all_arrived(world, 3)


async def test_a_process_that_froze_before_it_could_look_an_uncertain_message_up_does_not_send_it_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(1, message_delay=0.2, hold_seconds=30)
    world.hears = False
    froze, loop = 0, virtual_loop()

    async def freeze(*args: Any) -> Turn:
        nonlocal froze
        turn = await take_turn(*args)
        if any(claim.task is Task.RECONCILE for claim in turn.claims) and not froze:
            froze += 1
            loop.jump(4.5)
        return turn

    monkeypatch.setattr(campaigns.sending.dispatcher, "take_turn", freeze)
    world.faults(next=["cut_after"])
    campaign_id = await world.submit(2)
    await world.finish(campaign_id)
    assert froze == 1
    assert_all_arrived(world, 2)


async def test_two_replicas_share_the_work_and_keep_the_pace(make_world: MakeWorld, postgres_url: str) -> None:
    world = await make_world(3, url=postgres_url, message_delay=0.5, sender_switch_delay=0.2)
    second = world.build()
    await second.start()
    gated = await world.submit(12)
    await world.finish(gated)
    await second.stop()
    assert_all_arrived(world, 12)
    assert short_gaps(world.ledger, 0.5) == []
    assert short_switches(world.ledger, 0.2) == []


async def test_the_lanes_of_a_dead_replica_go_on_when_its_lease_is_over(
    make_world: MakeWorld, postgres_url: str
) -> None:
    world = await make_world(3, url=postgres_url, message_delay=0.5, hold_seconds=2)
    campaign_id = await world.submit(15)
    await world.until_sent(3)
    await world.clock.sleep(0.52)
    await world.kill()
    killed_at = world.clock.now()
    await world.start()
    sent = world.sent
    await world.until_sent(sent + 1)
    assert world.clock.now() - killed_at < 5.0 + 2.0 + 0.5
    await world.finish(campaign_id)
    assert_all_arrived(world, 15)
    assert short_gaps(world.ledger, 0.5) == []

"""What WAHA and the network can do to a send: nothing is lost, nothing goes out twice, and the pace holds."""

import itertools
import random

import pytest
from sqlalchemy import update

from campaigns.sending import claiming, transmitter
from campaigns.sending.tables import session
from gateway.simulator.faults import parse_faults
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaServerError
from gateway.waha.schemas import FoundMessage, MessageAckEvent
from tests.conftest import MakeWorld
from tests.harness.ledger import ROUNDING, duplicated, knocks, lost, overlaps, short_gaps
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

FAULTS = [
    "error_500",
    "error_500_after",
    "hang",
    "hang_before",
    "hang_then_deliver",
    "cut_before",
    "cut_after",
]


def assert_once(world: World, count: int, delay: float) -> None:
    """Each recipient got "hello" once, and no sender was faster than told."""
    assert lost(world.ledger, "hello", recipient_numbers(count)) == []
    assert duplicated(world.ledger) == []
    assert short_gaps(world.ledger, delay) == []
    assert overlaps(world.ledger) == []


@pytest.mark.parametrize(
    ("fault", "hears"),
    [*((fault, False) for fault in FAULTS), ("hang_then_deliver", True), ("cut_after", True)],
)
async def test_each_fault_of_a_send_ends_well(make_world: MakeWorld, fault: str, hears: bool) -> None:
    world = await make_world(1, message_delay=0.5, hold_seconds=3, timeout_seconds=1)
    world.hears = hears
    world.faults(next=["none", fault], hang_seconds=2.0)
    campaign_id = await world.submit(3)
    assert (await world.finish(campaign_id)).state == "completed"
    assert_once(world, 3, 0.5)
    await world.check_counters()


async def test_all_faults_at_once_on_both_databases(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(
        3, message_delay=0.2, hold_seconds=1.5, timeout_seconds=0.5, max_attempts=20, waha={"seed": 7}
    )
    world.waha.sender.faults = parse_faults({**dict.fromkeys(FAULTS, 0.1), "hang_seconds": 1.0})
    campaign_id = await world.submit(15)
    assert (await world.finish(campaign_id)).state == "completed"
    assert world.ledger.refusals
    assert_once(world, 15, 0.2)
    await world.check_counters()


@pytest.mark.parametrize("fault", ["cut_after", "hang_then_deliver"])
async def test_without_the_hold_a_late_delivery_goes_out_twice(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The control: the judge sees what the hold prevents."""
    monkeypatch.setattr(transmitter, "hold_seconds", lambda *_: 0.0)
    world = await make_world(1, message_delay=0.5, timeout_seconds=3)
    world.hears = False
    world.faults(next=[fault], hang_seconds=10.0)
    campaign_id = await world.submit(3)
    await world.finish(campaign_id)
    await world.clock.sleep(20.0)
    assert bool(duplicated(world.ledger)) is (fault == "hang_then_deliver")


async def test_a_lane_waits_for_its_uncertain_message_and_others_go_on(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.2, hold_seconds=8, timeout_seconds=1)
    stuck = world.senders[0]
    world.faults(session=stuck, next=["hang_before"], hang_seconds=5.0)
    campaign_id = await world.submit(10)
    await world.until_sent(9, within=15.0)
    assert [knock.session for knock in knocks(world.ledger) if knock.session == stuck] == [stuck]
    waits = (await world.gateway.status.of(await world.campaign(campaign_id)))["waiting"]
    assert {"unconfirmed"} == {wait["reason"] for wait in waits if wait["sender_number"] == f"+{stuck}"}
    await world.finish(campaign_id)
    assert_once(world, 10, 0.2)


async def test_a_message_that_cannot_be_looked_up_is_left_to_a_person_and_its_lane_goes_on(
    make_world: MakeWorld,
) -> None:
    """Some engines say with an error that they have no such message: that proves nothing, and it never ends."""
    world = await make_world(1, message_delay=0.5, hold_seconds=3, waha={"missing_is_500": True})
    world.faults(next=["none", "cut_before"])
    campaign_id = await world.submit(4)
    assert (await world.finish(campaign_id)).state == "completed_with_errors"
    rows = await world.messages(campaign_id)
    [left] = [row for row in rows if row.state not in ("sent", "delivered", "read")]
    assert left.state == "unconfirmed"
    assert "could not be looked up" in left.error
    assert duplicated(world.ledger) == []
    await world.check_counters()


@pytest.mark.parametrize(("logged_out", "seconds"), [(True, 300.0), (False, 900.0)])
async def test_what_nobody_comes_back_to_tell_is_left_to_a_person(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, seconds: float, *, logged_out: bool
) -> None:
    """An hour after its login has gone, or when its session has been away for a day; here both come sooner."""
    monkeypatch.setattr(claiming, "GONE_SECONDS", 300.0)
    monkeypatch.setattr(claiming, "AWAY_SECONDS", 900.0)
    world = await make_world(1, hold_seconds=3)
    world.faults(next=["cut_after"])
    world.hears = False
    campaign_id = await world.submit(2, failover=False)
    await world.until_sent(1)
    await world.fall(world.senders[0])
    if logged_out:
        async with world.gateway.db.write() as tx:
            await tx.execute(update(session).values(paired_at=None))
    await world.clock.sleep(seconds - 30.0)
    assert await world.states(campaign_id) == ["sending", "queued"]
    await world.clock.sleep(60.0)
    assert await world.states(campaign_id) == ["unconfirmed", "queued"]
    await world.gateway.steering.cancel(campaign_id, None)
    assert (await world.campaign(campaign_id)).n_sending == 0
    await world.check_counters()


async def test_a_look_up_that_fails_for_a_while_leaves_nothing_to_a_person(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(1, message_delay=0.5, hold_seconds=3)
    find, ends_at = WahaClient.find_message, world.clock.monotonic() + 40.0

    async def fail_for_a_while(client: WahaClient, session: str, chat_id: str, message_id: str) -> FoundMessage | None:
        if world.clock.monotonic() < ends_at:
            raise WahaServerError("INTERNAL", status_code=500)
        return await find(client, session, chat_id, message_id)

    monkeypatch.setattr(WahaClient, "find_message", fail_for_a_while)
    world.hears = False
    world.faults(next=["cut_before"])
    assert (await world.finish(await world.submit(3))).state == "completed"
    assert_once(world, 3, 0.5)
    await world.check_counters()


async def test_waha_is_asked_patiently_about_an_uncertain_message(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(1, hold_seconds=10)
    asked: list[float] = []
    find = WahaClient.find_message

    async def find_and_note(client: WahaClient, session: str, chat_id: str, message_id: str) -> FoundMessage | None:
        asked.append(world.clock.monotonic())
        return await find(client, session, chat_id, message_id)

    monkeypatch.setattr(WahaClient, "find_message", find_and_note)
    world.faults(next=["cut_before"])
    await world.finish(await world.submit(1))
    pauses = [two - one for one, two in itertools.pairwise(asked)]
    assert len(asked) <= 10
    assert all(pause >= 1.0 - ROUNDING for pause in pauses[:-1])


async def test_an_uncertain_message_that_waha_shows_is_settled_at_once(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1)
    world.hears = False
    world.faults(next=["cut_after"])
    await world.finish(await world.submit(3), within=10.0)
    assert_once(world, 3, 0.1)


async def test_an_uncertain_message_that_a_receipt_tells_of_is_settled_at_once(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1, timeout_seconds=3)
    world.faults(next=["hang_then_deliver"], hang_seconds=20.0)
    campaign_id = await world.submit(3)
    await world.until_sent(1)
    delivered_at = world.ledger.transmissions[0].time
    await world.until_sent(2)
    assert world.ledger.transmissions[1].time - delivered_at < 3.0
    await world.finish(campaign_id)
    assert_once(world, 3, 0.1)


@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
async def test_webjs_cannot_tell_and_a_person_decides(make_world: MakeWorld, fault: str) -> None:
    world = await make_world(1, message_delay=0.2, hold_seconds=5, waha={"engine": "WEBJS"})
    world.faults(next=["none", fault])
    campaign_id = await world.submit(4)
    assert (await world.finish(campaign_id)).state == "completed_with_errors"
    row = (await world.messages(campaign_id))[1]
    assert (row.state, row.error_code) == ("unconfirmed", "unconfirmed")
    assert duplicated(world.ledger) == []
    await world.check_counters()


async def test_webjs_receipts_find_their_message_by_the_id_that_the_engine_gave(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.2, waha={"engine": "WEBJS"})
    campaign_id = await world.submit(2)
    await world.finish(campaign_id)
    await world.clock.sleep(15.0)
    assert await world.states(campaign_id) == ["read", "read"]


async def test_noweb_tells_of_a_refusal_by_a_receipt_and_the_message_has_failed(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=2.0, waha={"engine": "NOWEB"})
    world.waha.numbers.unregistered = {recipient_numbers(1)[0]}
    campaign_id = await world.submit(2)
    await world.finish(campaign_id)
    await world.clock.sleep(15.0)
    rows = await world.messages(campaign_id)
    assert [(row.state, row.error_code) for row in rows] == [("failed", "refused_by_whatsapp"), ("read", None)]
    await world.check_counters()


async def test_a_number_that_is_not_on_whatsapp_fails_and_the_rest_goes_on(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1)
    world.waha.numbers.unregistered = {recipient_numbers(2)[1]}
    campaign_id = await world.submit(3)
    assert (await world.finish(campaign_id)).state == "completed_with_errors"
    row = (await world.messages(campaign_id))[1]
    assert (row.state, row.error_code, row.attempts) == ("failed", "not_on_whatsapp", 1)


async def test_a_number_lock_stops_its_sender_and_counts_no_attempt(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=0.2)
    locked = world.senders[0]
    world.faults(session=locked, error_463=1.0)
    campaign_id = await world.submit(6)
    assert (await world.finish(campaign_id)).state == "completed"
    assert [knock.session for knock in knocks(world.ledger)].count(locked) == 1
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}


async def test_a_message_that_never_gets_through_is_given_up_and_the_lane_goes_on(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1, hold_seconds=1, max_attempts=2)
    world.faults(next=["cut_before", "cut_before"])
    campaign_id = await world.submit(2)
    assert (await world.finish(campaign_id)).state == "completed_with_errors"
    row = (await world.messages(campaign_id))[0]
    assert (row.state, row.error_code, row.attempts) == ("failed", "gave_up", 2)
    assert world.sent == 1


async def test_receipts_arrive_in_any_order_and_more_than_once(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=0.1, waha={"receipts": False})
    campaign_id = await world.submit(12)
    await world.finish(campaign_id)
    rng = random.Random(1)
    events = [(row.wa_id, ack) for row in await world.messages(campaign_id) for ack in (1, 2, 3, 1, 2, -1, 3, 2)]
    rng.shuffle(events)
    for wa_id, ack in events:
        event = MessageAckEvent("e", world.senders[0], wa_id, None, ack, from_me=True, timestamp=None)
        world.gateway.receipts.note(event)
        if rng.random() < 0.3:
            await world.clock.sleep(0.01)
    await world.clock.sleep(1.0)
    rows = await world.messages(campaign_id)
    assert {row.state for row in rows} == {"read"}
    assert {row.ack for row in rows} == {3}
    await world.check_counters()


async def test_after_a_sleep_of_the_machine_absence_is_no_proof_until_the_hold_is_over_again(
    make_world: MakeWorld, database_url: str
) -> None:
    """WAHA slept too: what it had taken goes out after both are awake, long after the hold by the time of day."""
    world = await make_world(1, message_delay=0.5, hold_seconds=30, timeout_seconds=25)
    world.hears = False
    world.faults(next=["none", "hang_then_deliver", "cut_before"], hang_seconds=20.0)
    campaign_id = await world.submit(3)
    await world.until_sent(1)
    await world.clock.sleep(2.0)
    world.clock.ahead += 3600.0
    assert (await world.finish(campaign_id)).state == "completed"
    await world.clock.sleep(60.0)  # what WAHA still had would be out by now
    assert_once(world, 3, 0.5)


async def test_a_phone_that_is_paired_anew_while_its_message_is_looked_up_proves_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WAHA answers a look-up only when the session works again, and then from an empty store."""
    world = await make_world(1, message_delay=0.5, hold_seconds=3, timeout_seconds=1)
    world.hears = False

    async def pair_anew(*_: object) -> None:
        if world.clock.now() > world.ledger.transmissions[0].time + 2.5:
            async with world.gateway.db.write() as tx:
                await tx.execute(update(session).values(paired_at=world.clock.now()))

    monkeypatch.setattr(WahaClient, "find_message", pair_anew)
    world.faults(next=["cut_after"])
    campaign_id = await world.submit(2)
    await world.finish(campaign_id)
    assert await world.states(campaign_id) == ["unconfirmed", "sent"]
    assert_once(world, 2, 0.5)

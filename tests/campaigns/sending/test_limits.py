"""WhatsApp locks a sender: it writes to nobody new, others take its share, and people who wrote to it are answered."""

import pytest
from sqlalchemy import select

from campaigns.sending.forecasting import Forecast
from campaigns.sending.schemas import SendRequest
from campaigns.sending.tables import correspondent, sender
from gateway.db import AnyRow
from gateway.waha.ids import make_chat_id
from gateway.waha.schemas import MessageAnyEvent
from sessions import limits
from sessions.history import Diary
from tests.conftest import MakeWorld
from tests.harness.ledger import knocks, lost, recipients_of, senders_of, short_gaps, short_switches
from tests.harness.world import OPEN_CALLER, World, recipient_numbers

pytestmark = pytest.mark.virtual_time


def lock(world: World, number: str, seconds: float, *, told: bool = True, lengthen: float = 600.0) -> None:
    """WhatsApp locks a number for so long, and longer for each try after the first; with `told` WAHA knows."""
    stored = world.waha.lifecycle.running[number].stored
    world.waha.limits.lock(stored, seconds, told=told, enforcement="DEFAULT", lengthen=lengthen)


def refused(world: World, number: str) -> int:
    """How many messages to new contacts WhatsApp has refused this number."""
    return sum(one.session == number and one.reason == "timelock" for one in world.ledger.refusals)


async def write_to(world: World, number: str, person: str) -> None:
    """Somebody writes to one of our numbers, and the gateway hears of it."""
    message = world.waha.incoming(world.waha.lifecycle.running[number], person, "hello, who is this?")
    event = MessageAnyEvent("e", number, message.id, make_chat_id(person), False, "app", 2, None)
    world.gateway.correspondents.note(world.gateway.fleet.members[0], event)

    async def written() -> bool:
        async with world.gateway.db.read() as connection:
            found = await connection.execute(select(correspondent).where(correspondent.c.phone == person))
            return found.first() is not None

    await world.until(written)


async def row_of(world: World, number: str) -> AnyRow:
    """A sender's row."""
    async with world.gateway.db.read() as connection:
        return (await connection.execute(select(sender).where(sender.c.number == number))).one()


async def test_a_locked_sender_gets_no_new_contact_until_the_lock_is_over(make_world: MakeWorld) -> None:
    world = await make_world(3, message_delay=1)
    locked = world.senders[0]
    lock(world, locked, 60.0)
    campaign_id = await world.submit(30)
    assert (await world.finish(campaign_id)).state == "completed"
    assert refused(world, locked) == 1
    assert lost(world.ledger, "hello", recipient_numbers(30)) == []
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}
    assert sorted(senders_of(world.ledger.transmissions)) == sorted(world.senders[1:] * 15)
    await world.clock.sleep(60.0)
    await world.finish(await world.submit(recipient_numbers(6, first=30)))
    assert senders_of(world.ledger.transmissions[30:]).count(locked) == 2
    assert refused(world, locked) == 1


async def test_with_nobody_else_its_messages_wait_and_say_why(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=1)
    lock(world, world.senders[0], 60.0)
    begun = world.clock.now()
    campaign_id = await world.submit(3)
    await world.until(lambda: refused(world, world.senders[0]) == 1)
    await world.clock.sleep(1.0)
    row = await row_of(world, world.senders[0])
    assert row.locked_until == pytest.approx(begun + 60.0 + limits.MARGIN_SECONDS, abs=1.0)
    status = await world.gateway.status.of(await world.campaign(campaign_id))
    assert [wait["reason"] for wait in status["waiting"]] == ["number_lock"]
    assert status["waiting"][0]["until"].timestamp() == pytest.approx(row.locked_until, abs=0.001)
    assert status["estimated_finish"].timestamp() > row.locked_until
    details, _ = await world.gateway.status.messages(await world.campaign(campaign_id), [], 0, 10)
    assert {one["waiting"]["reason"] for one in details} == {"number_lock"}
    assert (await world.finish(campaign_id)).state == "completed"
    assert (refused(world, world.senders[0]), world.sent) == (1, 3)
    assert world.ledger.transmissions[0].received_at >= begun + 60.0
    assert short_gaps(world.ledger, 1.0) == []


async def test_locks_that_are_not_told_double_and_a_success_forgives(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FIRST_LOCK_SECONDS", 60.0)
    world = await make_world(1)
    number = world.senders[0]
    lock(world, number, 150.0, told=False, lengthen=0.0)
    begun = world.clock.now()
    await world.finish(await world.submit(2))
    minutes = [round((knock.received_at - begun) / 60.0) for knock in knocks(world.ledger)]
    assert minutes == [0, 1, 3, 3]
    assert refused(world, number) == 2
    assert (await row_of(world, number)).lock_strikes == 0


async def test_a_lock_outlives_the_process(make_world: MakeWorld) -> None:
    world = await make_world(1)
    lock(world, world.senders[0], 60.0)
    campaign_id = await world.submit(2)
    await world.until(lambda: refused(world, world.senders[0]) == 1)
    await world.clock.sleep(1.0)
    await world.kill()
    await world.start()
    assert (await world.finish(campaign_id)).state == "completed"
    assert refused(world, world.senders[0]) == 1


async def test_people_who_wrote_to_a_locked_sender_are_answered_through_it(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(1, message_delay=2)
    people = recipient_numbers(40)
    for person in people[20:23]:
        await write_to(world, world.senders[0], person)
    lock(world, world.senders[0], 60.0)
    campaign_id = await world.submit(people)
    await world.until_sent(3, within=15.0)
    await world.clock.sleep(40.0)
    assert recipients_of(world.ledger.transmissions) == people[20:23]
    assert refused(world, world.senders[0]) == 1
    assert short_gaps(world.ledger, 2.0) == []
    assert (await world.finish(campaign_id)).state == "completed"
    assert sorted(recipients_of(world.ledger.transmissions)) == people
    assert refused(world, world.senders[0]) == 1
    await world.check_counters()


@pytest.mark.parametrize("failover", [True, False])
@pytest.mark.parametrize("switch", [0, 1])
async def test_also_in_a_pool_each_gets_its_message_once_and_at_the_pace(
    make_world: MakeWorld, failover: bool, switch: int
) -> None:
    world = await make_world(3, message_delay=1, sender_switch_delay=switch)
    locked, people = world.senders[0], recipient_numbers(30)
    for person in people[3:30:3]:
        await write_to(world, locked, person)
    lock(world, locked, 60.0)
    begun = world.clock.now()
    campaign_id = await world.submit(people, failover=failover)
    assert (await world.finish(campaign_id)).state == "completed"
    assert sorted(recipients_of(world.ledger.transmissions)) == people
    early = [
        one.chat_id for one in world.ledger.transmissions if one.session == locked and one.received_at < begun + 55.0
    ]
    assert set(early) <= {make_chat_id(person) for person in people[3:30:3]}
    assert early or (switch and failover)  # there the others are always there to take the campaign's next turn
    assert refused(world, locked) == 1
    assert short_gaps(world.ledger, 1.0) == []
    assert not switch or short_switches(world.ledger, float(switch)) == []
    await world.check_counters()


async def test_without_failover_a_locked_sender_still_answers_people_of_its_own_share(make_world: MakeWorld) -> None:
    world = await make_world(2)
    locked, people = world.senders[0], recipient_numbers(20)
    await write_to(world, locked, people[10])
    lock(world, locked, 60.0)
    campaign_id = await world.submit(people, failover=False)
    await world.until_sent(11, within=35.0)
    await world.clock.sleep(20.0)
    through = [one.chat_id for one in world.ledger.transmissions if one.session == locked]
    assert through == [make_chat_id(people[10])]
    assert world.sent == 11
    assert (await world.finish(campaign_id)).state == "completed"
    assert refused(world, locked) == 1


async def test_somebody_who_wrote_and_is_refused_all_the_same_is_not_tried_again_before_the_end(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FIRST_LOCK_SECONDS", 60.0)
    world = await make_world(1)
    person = recipient_numbers(1)[0]
    await write_to(world, world.senders[0], person)
    world.faults(next=["error_463"])
    begun = world.clock.now()
    await world.finish(await world.submit([person]))
    times = [knock.received_at - begun for knock in knocks(world.ledger)]
    assert len(times) == 2
    assert times[1] >= 60.0


async def test_what_is_armed_when_the_lock_is_told_is_taken_back(make_world: MakeWorld) -> None:
    world = await make_world(1, message_delay=2)
    number = world.senders[0]
    campaign_id = await world.submit(2)
    await world.until_sent(1)
    await world.until(lambda: world.gateway.dispatcher.in_flight == 0, every=0.01)
    await world.until(lambda: world.gateway.dispatcher.in_flight == 1, every=0.01)
    assert world.sent == 1
    diary = Diary()
    async with world.gateway.db.write() as tx:
        now = world.clock.now()
        await limits.lock(tx, (await row_of(world, number)).id, number, now + 60.0, "told", now, diary)
    diary.tell(world.gateway.bus)
    await world.clock.sleep(59.0)
    assert world.sent == 1
    row = (await world.messages(campaign_id))[1]
    assert (row.state, row.attempts) == ("queued", 0)
    await world.finish(campaign_id)
    assert world.sent == 2


async def test_the_share_of_a_sender_that_rests_is_given_to_others_when_it_is_locked(make_world: MakeWorld) -> None:
    world = await make_world(2, message_delay=60)
    await world.submit(6)
    await world.until_sent(2)
    await world.clock.sleep(5.0)
    row = await row_of(world, world.senders[0])
    async with world.gateway.db.write() as tx:
        now = world.clock.now()
        await limits.lock(tx, row.id, row.number, now + 10_000.0, "told", now, Diary())
    await world.until_sent(6, within=400.0)
    assert senders_of(world.ledger.transmissions).count(world.senders[0]) == 1


async def test_a_locked_sender_still_finds_out_what_became_of_its_last_message(make_world: MakeWorld) -> None:
    world = await make_world(1, hold_seconds=20, timeout_seconds=1)
    world.hears = False
    world.faults(next=["hang_then_deliver"], hang_seconds=5.0)
    campaign_id = await world.submit(1)
    await world.clock.sleep(2.0)
    row = await row_of(world, world.senders[0])
    async with world.gateway.db.write() as tx:
        now = world.clock.now()
        await limits.lock(tx, row.id, row.number, now + 10_000.0, "told", now, Diary())
    assert (await world.finish(campaign_id, within=60.0)).state == "completed"


async def test_the_forecast_counts_on_the_senders_that_are_not_locked(make_world: MakeWorld) -> None:
    world = await make_world(2)
    number = world.senders[0]
    row = await row_of(world, number)
    async with world.gateway.db.write() as tx:
        now = world.clock.now()
        await limits.lock(tx, row.id, number, now + 500.0, "told", now, Diary())

    async def preview(*numbers: str) -> Forecast:
        others = [f"+{one}" for one in numbers[1:]]
        request = SendRequest.model_validate(
            {
                "sender_number": f"+{numbers[0]}",
                "sender_numbers": others,
                "template": "hello",
                "recipients": [f"+{one}" for one in recipient_numbers(4)],
            }
        )
        return (await world.gateway.campaigns.preview(OPEN_CALLER, request))[1]

    pooled, alone = await preview(*world.senders), await preview(number)
    assert list(pooled.shares) == [f"+{world.senders[1]}"]
    assert (pooled.not_connected, f"+{number}" in pooled.note) == ([], True)
    assert alone.finish_at >= now + 500.0

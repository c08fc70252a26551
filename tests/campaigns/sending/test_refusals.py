"""An engine that answers well and tells refusals later: those of a locked sender wait, others stay failed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import select, update

from campaigns.sending.tables import campaign, correspondent, message
from gateway.simulator.events import Subscriber
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent, parse_event
from tests.conftest import MakeWorld
from tests.harness.ledger import duplicated, recipients_of, senders_of
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

MakeNoweb = Callable[[int], Awaitable[World]]


@pytest.fixture
async def make_noweb(make_world: MakeWorld) -> AsyncIterator[MakeNoweb]:
    """A world with NOWEB's habits, whose gateway hears of refusals and of people who write."""
    async with AsyncExitStack() as stack:

        async def make(senders: int) -> World:
            world = await make_world(senders, message_delay=1, waha={"engine": "NOWEB"})
            events = Subscriber("*", ["message.ack", "message.any"])
            world.waha.events.subscribe(events)

            async def hear() -> None:
                member = world.gateway.fleet.members[0]
                while (body := await events.queue.get()) is not None:
                    heard = parse_event(body)
                    if isinstance(heard, MessageAckEvent | MessageAnyEvent):
                        world.gateway.refusals.note(member, heard)
                        world.gateway.correspondents.note(member, heard)

            ears = asyncio.create_task(hear())
            stack.callback(ears.cancel)
            return world

        yield make


def lock(world: World, number: str, seconds: float, *, told: bool = True) -> None:
    """WhatsApp locks a number for so long."""
    stored = world.waha.lifecycle.running[number].stored
    world.waha.limits.lock(stored, seconds, told=told, enforcement="DEFAULT", lengthen=0.0)


async def test_what_a_locked_sender_could_not_deliver_goes_through_another_one(
    make_noweb: MakeNoweb, database_url: str
) -> None:
    world = await make_noweb(2)
    locked, other = world.senders
    lock(world, locked, 500.0)
    campaign_id = await world.submit(20)
    assert (await world.finish(campaign_id)).state == "completed"
    assert sorted(recipients_of(world.ledger.transmissions)) == recipient_numbers(20)
    assert set(senders_of(world.ledger.transmissions)) == {other}
    assert duplicated(world.ledger) == []
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}
    assert len(world.ledger.refusals) <= 4  # those that had left before the refusal was told
    await world.check_counters()


async def test_what_a_locked_sender_could_not_deliver_does_not_wait_for_the_time_of_others(
    make_noweb: MakeNoweb,
) -> None:
    world = await make_noweb(1)
    lock(world, world.senders[0], 5.0)
    campaign_id = await world.submit(2)
    await world.until(lambda: bool(world.ledger.refusals))
    now = world.clock.now()
    later = now + 600.0
    async with world.gateway.db.write() as tx:
        for seq, at in enumerate((now - 1.0, later)):
            this = (message.c.campaign_id == campaign_id, message.c.seq == seq)
            await tx.execute(update(message).where(*this).values(not_before=at))
        await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(next_at=later))
    await world.until_sent(1, within=60.0)
    assert recipients_of(world.ledger.transmissions) == recipient_numbers(1)
    await world.finish(campaign_id)
    await world.check_counters()


async def test_a_refusal_without_a_lock_is_the_messages_own(make_noweb: MakeNoweb) -> None:
    world = await make_noweb(1)
    people = recipient_numbers(4)
    world.waha.numbers.unregistered = {people[1]}
    campaign_id = await world.submit(people)
    await world.finish(campaign_id)
    await world.clock.sleep(30.0)
    row = (await world.messages(campaign_id))[1]
    assert (row.state, row.error_code) == ("failed", "refused_by_whatsapp")
    assert (await world.campaign(campaign_id)).state == "completed_with_errors"


async def test_a_lock_that_waha_does_not_tell_stays_unknown(make_noweb: MakeNoweb) -> None:
    world = await make_noweb(1)
    lock(world, world.senders[0], 5.0, told=False)
    campaign_id = await world.submit(2)
    await world.finish(campaign_id)
    await world.clock.sleep(30.0)
    assert {row.error_code for row in await world.messages(campaign_id)} == {"refused_by_whatsapp"}


async def test_the_message_of_a_campaign_that_has_ended_says_why_it_failed(make_noweb: MakeNoweb) -> None:
    world = await make_noweb(1)
    lock(world, world.senders[0], 500.0)
    campaign_id = await world.submit(1)
    await world.finish(campaign_id)
    await world.clock.sleep(30.0)
    row = (await world.messages(campaign_id))[0]
    assert (row.state, row.error_code) == ("failed", "number_lock")
    assert (await world.campaign(campaign_id)).state == "failed"
    assert len(world.ledger.refusals) == 1
    await world.check_counters()


async def test_somebody_who_wrote_to_us_and_was_refused_is_not_tried_again(make_noweb: MakeNoweb) -> None:
    world = await make_noweb(1)
    people = recipient_numbers(8)
    world.waha.incoming(world.waha.lifecycle.running[world.senders[0]], people[0], "hello")

    async def known() -> bool:
        async with world.gateway.db.read() as connection:
            return (await connection.execute(select(correspondent))).first() is not None

    await world.until(known)
    lock(world, world.senders[0], 60.0)
    world.faults(next=["error_463"])
    campaign_id = await world.submit(people)
    assert (await world.finish(campaign_id)).state == "completed_with_errors"
    states = await world.states(campaign_id)
    assert states[0] == "failed"
    assert "failed" not in states[1:]
    assert [one.reason for one in world.ledger.refusals].count("error_463") == 1

"""`gateway process-queue`: what is due is sent once, at the usual pace, and then it ends."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from campaigns.sending.due import Due, read_due
from campaigns.sending.models import MessageState
from gateway import schema
from gateway.cli.process_queue import send_due
from gateway.db import Database
from tests.cli.conftest import Run
from tests.conftest import MakeWorld
from tests.harness.ledger import duplicated
from tests.harness.world import World

IDLE = 60.0
HAVE_LEFT = {MessageState.SENT, MessageState.DELIVERED, MessageState.READ}


async def process(world: World) -> Due:
    """Have what is due sent by a process of its own, and go on with another one."""
    due = await send_due(world.build(), IDLE)
    await world.start()
    return due


async def submit_and_stop(world: World, count: int, **fields: Any) -> str:
    """A campaign of which nothing, or little, is sent before the service ends."""
    campaign_id = await world.submit(count, **fields)
    await world.stop()
    return campaign_id


def seconds_to_send(world: World) -> float:
    """From the first message that WhatsApp took to the last one."""
    times: Sequence[float] = [one.received_at for one in world.ledger.transmissions]
    return max(times) - min(times)


@pytest.mark.virtual_time
async def test_all_that_is_due_is_sent_once_at_the_usual_pace_and_it_ends(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(2, message_delay=5.0)
    campaign_id = await submit_and_stop(world, 12)
    assert not await process(world)
    assert set(await world.states(campaign_id)) <= HAVE_LEFT
    assert len(world.ledger.transmissions) == 12
    assert duplicated(world.ledger) == []
    assert seconds_to_send(world) >= 5 * 5.0, "six through each of two senders"


@pytest.mark.virtual_time
async def test_what_is_for_later_is_left_alone(make_world: MakeWorld) -> None:
    world = await make_world(1)
    later = datetime.fromtimestamp(world.clock.now() + 3600, UTC).isoformat()
    await submit_and_stop(world, 3, start_at=later)
    before = world.clock.now()
    assert await process(world) == Due(0, 0, 0)
    assert world.clock.now() - before < IDLE
    assert world.ledger.transmissions == []


@pytest.mark.virtual_time
async def test_what_cannot_be_sent_is_waited_for_a_while_and_told(make_world: MakeWorld) -> None:
    world = await make_world(1)
    await world.fall(world.senders[0])
    await submit_and_stop(world, 3, queue_if_offline=True)
    before = world.clock.now()
    assert await process(world) == Due(3, 0, 0)
    assert IDLE <= world.clock.now() - before < IDLE + 10


@pytest.mark.virtual_time
async def test_beside_a_running_service_nothing_is_sent_twice(make_world: MakeWorld, postgres_url: str) -> None:
    world = await make_world(3, url=postgres_url, message_delay=2.0)
    campaign_id = await world.submit(30)
    beside = world.build()
    assert not await send_due(beside, IDLE)
    await world.finish(campaign_id)
    assert len(world.ledger.transmissions) == 30
    assert duplicated(world.ledger) == []


def test_a_file_that_a_service_has_is_left_to_it(run: Run, folder: Path) -> None:
    db = Database(f"sqlite:///{folder}/data/gateway.db")
    db.claim_file()
    asyncio.run(schema.prepare(db))
    try:
        ended = run("process-queue")
    finally:
        asyncio.run(db.close())
    assert (ended.status, ended.out.strip()) == (0, "A gateway runs here: it sends what is due by itself.")


def test_where_nothing_is_due_it_says_so(run: Run, folder: Path) -> None:
    ended = run("process-queue")
    assert (ended.status, ended.out.strip().splitlines()[-1]) == (0, "All that was due has been sent.")


async def test_it_reads_what_is_due_of_an_empty_database(database_url: str) -> None:
    db = Database(database_url)
    try:
        async with db.read() as connection:
            assert not await read_due(connection)
    finally:
        await db.close()

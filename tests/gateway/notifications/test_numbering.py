"""Numbering: without gaps, in the order of writing as far as it is committed, by one replica at a time."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.db import Database
from gateway.events import EventBus, EventsNumbered
from gateway.notifications.numbering import BATCH, Numbering
from gateway.notifications.outbox import tell
from tests.gateway.notifications.conftest import listen, sent, told


def numbering(db: Database, *fan_out: Any, bus: EventBus | None = None) -> Numbering:
    """A replica's."""
    return Numbering(db, bus or EventBus(), Clock(), fan_out)


async def numbers(db: Database) -> list[tuple[int | None, Any]]:
    """The number and the index of each event."""
    return [(row.sequence, orjson.loads(row.data)["index"]) for row in await told(db)]


async def write(db: Database, *indexes: int) -> None:
    """Commit some facts."""
    async with db.write() as tx:
        await tell(tx, [sent(index=index) for index in indexes])


async def test_events_are_numbered_without_gaps_in_the_order_of_writing(db: Database) -> None:
    await listen(db)
    await write(db, 0, 1)
    await write(db, 2)
    assert await numbering(db).number()
    await write(db, 3)
    assert await numbering(db).number()
    assert await numbers(db) == [(1, 0), (2, 1), (3, 2), (4, 3)]


async def test_nothing_new_changes_and_tells_nothing(db: Database) -> None:
    bus, heard = EventBus(), list[object]()
    bus.subscribe(EventsNumbered, heard.append)
    assert await numbering(db, bus=bus).number()
    assert heard == []


async def test_more_than_a_batch_is_numbered_in_several_transactions(db: Database) -> None:
    spans = list[tuple[int, int]]()

    async def fan_out(_: AsyncConnection, first: int, last: int) -> None:
        spans.append((first, last))

    await listen(db)
    await write(db, *range(BATCH + 5))
    relay = numbering(db, fan_out)
    assert not await relay.number()
    assert await relay.number()
    assert spans == [(1, BATCH), (BATCH + 1, BATCH + 5)]
    assert await numbers(db) == [(index + 1, index) for index in range(BATCH + 5)]


async def test_where_handing_on_fails_nothing_is_numbered(db: Database) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("not now")

    await listen(db)
    await write(db, 0)
    with pytest.raises(RuntimeError, match="not now"):
        await numbering(db, fail).number()
    assert await numbers(db) == [(None, 0)]
    await numbering(db).number()
    assert await numbers(db) == [(1, 0)]


async def test_a_commit_wakes_the_loop_and_the_bus_is_told(db: Database) -> None:
    bus, numbered = EventBus(), asyncio.Event()
    bus.subscribe(EventsNumbered, lambda _: numbered.set())
    relay = numbering(db, bus=bus)
    relay.start()
    await listen(db)
    await write(db, 0)
    async with asyncio.timeout(10):
        await numbered.wait()
    await relay.stop()
    assert await numbers(db) == [(1, 0)]


async def test_what_commits_late_comes_later_and_nothing_is_left_out(postgres_url: str) -> None:
    db = Database(postgres_url)
    await listen(db)
    relay = numbering(db)
    async with db.write() as slow:
        await tell(slow, [sent(index=0)])
        await write(db, 1)
        await relay.number()
        assert await numbers(db) == [(1, 1)]
    await relay.number()
    assert await numbers(db) == [(1, 1), (2, 0)]
    await db.close()


async def test_one_replica_numbers_at_a_time(postgres_url: str) -> None:
    db, entered, leave = Database(postgres_url), asyncio.Event(), asyncio.Event()

    async def hold(*_: object) -> None:
        entered.set()
        await leave.wait()

    await listen(db)
    await write(db, 0)
    holding = asyncio.create_task(numbering(db, hold).number())
    await entered.wait()
    await write(db, 1)
    assert not await numbering(db).number()
    leave.set()
    await holding
    assert await numbering(db).number()
    assert await numbers(db) == [(1, 0), (2, 1)]
    await db.close()


async def test_two_replicas_that_write_at_once_make_one_dense_order(postgres_url: str) -> None:
    dbs = [Database(postgres_url), Database(postgres_url)]
    relays = [numbering(db) for db in dbs]
    await listen(dbs[0])
    for relay in relays:
        relay.start()

    async def work(place: int) -> None:
        for index in range(100):
            await write(dbs[place], place * 1000 + index)

    await asyncio.gather(work(0), work(1))
    async with asyncio.timeout(20):
        while None in dict(found := await numbers(dbs[0])):
            pass
    for relay in relays:
        await relay.stop()
    assert [sequence for sequence, _ in found] == list(range(1, 201))
    for place in (0, 1):
        own = [index for _, index in found if index // 1000 == place]
        assert own == sorted(own)
    for db in dbs:
        await db.close()

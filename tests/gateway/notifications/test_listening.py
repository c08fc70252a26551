"""Beginning to listen: what is complete from when on, also beside transactions that began before."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from gateway.clock import Clock
from gateway.db import Database, DatabaseAway, read_now
from gateway.events import EventBus
from gateway.ids import first_id
from gateway.notifications import listening, retention
from gateway.notifications.audience import Audience
from gateway.notifications.listening import KEEP_SECONDS, Enrolled, Place, enrol
from gateway.notifications.numbering import Numbering
from gateway.notifications.outbox import Fact, tell
from gateway.notifications.retention import forget_old
from gateway.notifications.tables import event, listener
from tests.gateway.notifications.conftest import ALICE, listen, sent, told

LOCAL = Audience("local")


async def write(db: Database, *facts: Fact) -> None:
    """Commit facts and number them."""
    async with db.write() as tx:
        await tell(tx, facts)
    await Numbering(db, EventBus(), Clock()).number()


async def sequences(db: Database) -> Sequence[Any]:
    """The numbers of the events that are there."""
    return [row.sequence for row in await told(db)]


async def test_who_begins_hears_what_comes_after(db: Database) -> None:
    await listen(db, "other")
    await write(db, sent("other"), sent("local"))
    enrolled = await enrol(db, Clock(), LOCAL)
    assert enrolled == Enrolled(complete_after=1, last=1)
    await write(db, sent("local"))
    assert await enrol(db, Clock(), LOCAL) == Enrolled(complete_after=1, last=2)


async def test_who_is_renewed_stays_complete(db: Database) -> None:
    await enrol(db, Clock(), LOCAL)
    await write(db, sent())
    async with db.write() as tx:  # nearly an hour later
        soon = await read_now(tx) + 60
        await tx.execute(listener.update().values(until=soon))
    assert await enrol(db, Clock(), LOCAL) == Enrolled(complete_after=0, last=1)
    async with db.read() as connection:
        until = (await connection.execute(select(listener.c.until))).scalar_one()
        assert until > await read_now(connection) + KEEP_SECONDS


async def test_who_comes_too_late_begins_anew(db: Database) -> None:
    await enrol(db, Clock(), LOCAL)
    await write(db, sent())
    async with db.write() as tx:
        await tx.execute(listener.update().values(until=await read_now(tx)))
    assert await enrol(db, Clock(), LOCAL) == Enrolled(complete_after=1, last=1)


@pytest.mark.parametrize(
    ("since", "place"),
    [
        (None, Place(9)),
        (9, Place(9)),
        (7, Place(7)),
        (5, Place(5)),
        (4, Place(5, missed=True)),
        (10, Place(9, missed=True)),
    ],
)
def test_where_a_client_begins(since: int | None, place: Place) -> None:
    assert Enrolled(complete_after=5, last=9).place(since) == place


async def test_a_transaction_that_looked_before_is_waited_for(postgres_url: str) -> None:
    db, looked, go_on = Database(postgres_url), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.write() as tx:
            await tell(tx, [sent()])
            looked.set()
            await go_on.wait()

    working = asyncio.create_task(slow())
    await looked.wait()
    enrolling = asyncio.create_task(enrol(db, Clock(), LOCAL))
    done, _ = await asyncio.wait({enrolling}, timeout=0.3)
    assert not done
    go_on.set()
    await working
    await enrolling
    await write(db, sent())
    assert await sequences(db) == [1]
    await db.close()


async def test_who_waits_to_listen_does_not_hold_up_the_others_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "TRIES", 3)
    db, looked, go_on = Database(postgres_url), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.write() as tx:
            await tell(tx, [sent()])
            looked.set()
            await go_on.wait()

    working = asyncio.create_task(slow())
    await looked.wait()
    enrolling = asyncio.create_task(enrol(db, Clock(), LOCAL))
    async with asyncio.timeout(1.5):  # whoever tells waits for the lock no longer than its turn
        async with db.write() as tx:
            await tell(tx, [sent()])
    with pytest.raises(DatabaseAway):
        await enrolling
    go_on.set()
    await working
    await db.close()


async def test_old_events_are_forgotten_and_that_is_told(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    await enrol(db, Clock(), LOCAL)
    await write(db, *(sent(index=index) for index in range(5)))
    async with db.read() as connection:
        now = await read_now(connection)
    needed = event.c.sequence == 2
    await forget_old(db, now + KEEP_SECONDS / 2, [needed])
    assert await sequences(db) == [1, 2, 3, 4, 5]
    await forget_old(db, now + KEEP_SECONDS + 90, [needed])
    assert await sequences(db) == [2]
    await write(db, Fact("session.connected", "local", {}, sender_number=ALICE))
    assert await sequences(db) == [2, 6]
    assert first_id(now) <= (await told(db))[1].id
    await enrol(db, Clock(), LOCAL)
    assert (await enrol(db, Clock(), LOCAL)).complete_after == 5

"""Hints between replicas: heard by the others, never told again, and missed without harm."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.clock import Clock
from gateway.db import Database
from gateway.events import CampaignHalted, DelaysChanged, EventBus, EventsNumbered, WorkAdded
from gateway.hints import CHANNEL, Hint, Hints, read_hint, write_hint
from tests.harness.databases import sqlite_url

HINTS: list[Hint] = [WorkAdded(), DelaysChanged(), CampaignHalted("0190"), EventsNumbered()]
PATIENCE_SECONDS = 20.0


class Ears:
    """One replica: its bus, and what was published on it, by itself or by a hint."""

    def __init__(self, db: Database, name: str) -> None:
        self.db = db
        self.bus = EventBus()
        self.hints = Hints(db, self.bus, Clock(), name)
        self._heard: asyncio.Queue[Hint] = asyncio.Queue()
        self.bus.subscribe(WorkAdded, self._heard.put_nowait)
        self.bus.subscribe(DelaysChanged, self._heard.put_nowait)
        self.bus.subscribe(CampaignHalted, self._heard.put_nowait)
        self.bus.subscribe(EventsNumbered, self._heard.put_nowait)

    async def hear(self) -> Hint:
        """The next event."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._heard.get()

    @property
    def silent(self) -> bool:
        """Whether nothing more was heard."""
        return self._heard.empty()

    async def listening(self) -> None:
        """Wait until it hears the others."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.hints.listening.wait()


MakeEars = Callable[[str], Awaitable[Ears]]


@pytest.fixture
async def make_ears(postgres_url: str) -> AsyncIterator[MakeEars]:
    """Make replicas that listen."""
    async with AsyncExitStack() as stack:

        async def make(name: str) -> Ears:
            ears = Ears(Database(postgres_url), name)
            stack.push_async_callback(ears.db.close)
            stack.push_async_callback(ears.hints.stop)
            ears.hints.start()
            await ears.listening()
            return ears

        yield make


@pytest.mark.parametrize("hint", HINTS)
def test_a_hint_is_read_as_it_was_written(hint: Hint) -> None:
    assert read_hint(write_hint("one", hint)) == ("one", hint)


def test_what_a_newer_version_tells_is_passed_over() -> None:
    assert read_hint('{"replica": "one", "event": "MoonRose", "phase": "full"}') == ("one", None)


@pytest.mark.postgres
@pytest.mark.parametrize("hint", HINTS)
async def test_what_one_replica_publishes_is_heard_by_the_others(make_ears: MakeEars, hint: Hint) -> None:
    one, two, three = await make_ears("one"), await make_ears("two"), await make_ears("three")
    one.bus.publish(hint)
    assert [await two.hear(), await three.hear()] == [hint, hint]


@pytest.mark.postgres
async def test_what_was_heard_is_neither_told_again_nor_heard_by_who_told_it(make_ears: MakeEars) -> None:
    one, two = await make_ears("one"), await make_ears("two")
    one.bus.publish(CampaignHalted("first"))
    assert [await one.hear(), await two.hear()] == [CampaignHalted("first")] * 2
    two.bus.publish(CampaignHalted("second"))  # what two would have told again came before this one
    assert [await one.hear(), await two.hear()] == [CampaignHalted("second")] * 2
    one.bus.publish(CampaignHalted("third"))  # and what one would have heard of itself before this one
    assert [await one.hear(), await two.hear()] == [CampaignHalted("third")] * 2
    assert one.silent
    assert two.silent


@pytest.mark.postgres
async def test_the_same_news_at_the_same_moment_is_told_once(make_ears: MakeEars) -> None:
    one, two = await make_ears("one"), await make_ears("two")
    for _ in range(100):
        one.bus.publish(WorkAdded())
    one.bus.publish(DelaysChanged())
    assert [await two.hear(), await two.hear()] == [WorkAdded(), DelaysChanged()]


@pytest.mark.postgres
async def test_what_nobody_understands_is_passed_over(make_ears: MakeEars) -> None:
    one, two = await make_ears("one"), await make_ears("two")
    async with one.db.write() as tx:
        for payload in ("", "null", "[]", "{}", '{"replica": "one", "event": "CampaignHalted"}'):
            await tx.execute(text(f"SELECT pg_notify('{CHANNEL}', :payload)"), {"payload": payload})
    one.bus.publish(WorkAdded())
    assert await two.hear() == WorkAdded()


@pytest.mark.postgres
async def test_a_connection_that_was_lost_is_made_anew(make_ears: MakeEars) -> None:
    one, two = await make_ears("one"), await make_ears("two")
    async with one.db.read() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while two.silent:  # the first ones may be published before anybody has noticed
            one.bus.publish(DelaysChanged())
            await Clock().wait(asyncio.Event(), 0.05)


async def test_on_sqlite_there_is_nobody_to_tell(tmp_path: Path) -> None:
    ears = Ears(Database(sqlite_url(tmp_path)), "one")
    ears.hints.start()
    ears.bus.publish(WorkAdded())
    assert await ears.hear() == WorkAdded()
    assert not ears.hints.listening.is_set()
    await ears.hints.stop()
    await ears.db.close()

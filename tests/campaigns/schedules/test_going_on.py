"""From one occurrence to the next: exactly once, also after downtime. On both databases."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from campaigns.schedules.going_on import Make, go_on
from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.rules import parse_rule
from campaigns.schedules.series import begin
from campaigns.schedules.series_queries import end_series, insert_series, members
from gateway import schema
from gateway.db import Database
from gateway.ids import make_id

HOUR, DAY = 3600.0, 86_400.0
SERIES, FIRST = make_id(1.0), make_id(2.0)
DAILY = begin(parse_rule("FREQ=DAILY;COUNT=400"), "UTC", datetime.fromisoformat("2026-06-01T09:00:00"))
START = DAILY.last.at


class Maker:
    """Notes which schedules are to be stored; there is no room for those whose numbers are `taken`."""

    def __init__(self, *taken: int) -> None:
        self.made: list[tuple[str, Occurrence]] = []
        self.taken = taken

    async def __call__(self, schedule_id: str, occurrence: Occurrence) -> bool:
        if occurrence.number in self.taken:
            return False
        self.made.append((schedule_id, occurrence))
        return True


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with a daily series whose first occurrence waits."""
    database = Database(database_url)
    await schema.migrate(database)
    async with database.write() as tx:
        await insert_series(tx, SERIES, "local", DAILY, FIRST, 5.0)
    yield database
    await database.close()


async def start(db: Database, schedule_id: str, now: float, maker: Make) -> int:
    """What starting a schedule does for its series."""
    async with db.write() as tx:
        return await go_on(tx, schedule_id, now, HOUR, maker)


async def test_starting_an_occurrence_makes_the_next_one(db: Database) -> None:
    maker = Maker()
    assert await start(db, FIRST, START, maker) == 0
    [(second, occurrence)] = maker.made
    assert (occurrence.number, occurrence.at) == (2, START + DAY)
    assert await start(db, second, START + DAY, maker) == 0
    assert [one.number for _, one in maker.made] == [2, 3]


async def test_two_who_start_the_same_one_make_one_successor(db: Database) -> None:
    maker = Maker()
    await asyncio.gather(*(start(db, FIRST, START, maker) for _ in range(5)))
    assert len(maker.made) == 1
    await start(db, FIRST, START, maker)
    assert len(maker.made) == 1


async def test_after_downtime_one_follows_and_the_missed_ones_are_counted(db: Database) -> None:
    maker = Maker()
    assert await start(db, FIRST, START + 100 * DAY + 2 * HOUR, maker) == 100
    assert [one.number for _, one in maker.made] == [102]


async def test_an_occurrence_whose_minute_is_taken_is_passed_over(db: Database) -> None:
    maker = Maker(2, 3)
    assert await start(db, FIRST, START, maker) == 0
    [(fourth, occurrence)] = maker.made
    assert (occurrence.number, occurrence.at) == (4, START + 3 * DAY)
    assert await start(db, fourth, START + 3 * DAY, maker) == 0
    assert [one.number for _, one in maker.made] == [4, 5]


async def test_where_none_follows_the_series_is_over(db: Database) -> None:
    maker = Maker()
    assert await start(db, FIRST, START + 1000 * DAY, maker) == 399
    assert maker.made == []
    async with db.read() as connection:
        assert (await members(connection, [FIRST]))[FIRST].ended_at == START + 1000 * DAY


async def test_a_series_that_was_ended_and_a_schedule_of_none_lead_to_nothing(db: Database) -> None:
    maker = Maker()
    async with db.write() as tx:
        await end_series(tx, SERIES, START)
    assert await start(db, FIRST, START, maker) == 0
    assert await start(db, make_id(9.0), START, maker) == 0
    assert maker.made == []


async def test_what_fails_in_the_transaction_leaves_the_series_where_it_was(db: Database) -> None:
    async def fail(_schedule_id: str, _occurrence: Occurrence) -> bool:
        raise RuntimeError("it could not be stored")

    with pytest.raises(RuntimeError, match="it could not be stored"):
        await start(db, FIRST, START, fail)
    async with db.read() as connection:
        assert (await members(connection, [FIRST]))[FIRST].is_last

"""Series in the database: each occurrence once, whoever asks. On both databases."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from sqlalchemy import func, select

from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.rules import parse_rule
from campaigns.schedules.series import Series, begin, follow
from campaigns.schedules.series_queries import (
    Member,
    advance,
    end_series,
    forget_occurrence,
    insert_series,
    members,
    occurrence_table,
)
from gateway import schema
from gateway.db import Database
from gateway.ids import make_id

MONDAY = datetime.fromisoformat("2026-06-01T09:00:00")
SERIES, FIRST, SECOND, THIRD = (make_id(at) for at in (1.0, 2.0, 3.0, 4.0))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with one series that has had its first occurrence."""
    database = Database(database_url)
    await schema.migrate(database)
    series = begin(parse_rule("FREQ=DAILY;COUNT=3"), "Europe/Berlin", MONDAY)
    async with database.write() as tx:
        await insert_series(tx, SERIES, "local", series, FIRST, 5.0)
    yield database
    await database.close()


async def member(db: Database, schedule_id: str) -> Member:
    """A schedule's place, as it is stored."""
    async with db.read() as connection:
        return (await members(connection, [schedule_id]))[schedule_id]


def following(series: Series) -> Occurrence:
    """The one after the last one, in time."""
    found = follow(series, series.last.at, 60.0).occurrence
    assert found is not None
    return found


async def go_on(db: Database, at: Member, schedule_id: str) -> bool:
    """Make the next occurrence, as whoever started the one before does it."""
    async with db.write() as tx:
        return await advance(tx, at, following(at.series), schedule_id)


async def test_a_series_is_read_as_it_was_stored(db: Database) -> None:
    found = await member(db, FIRST)
    assert (found.series_id, found.number, found.ended_at, found.is_last) == (SERIES, 1, None, True)
    assert found.series == begin(parse_rule("FREQ=DAILY;COUNT=3"), "Europe/Berlin", MONDAY)


async def test_each_occurrence_leads_to_the_next_one_once(db: Database) -> None:
    first = await member(db, FIRST)
    assert await go_on(db, first, SECOND)
    assert not await go_on(db, first, THIRD)  # somebody else was there before
    async with db.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(occurrence_table))).scalar_one() == 2
    assert not (await member(db, FIRST)).is_last
    second = await member(db, SECOND)
    assert (second.number, second.is_last) == (2, True)
    assert second.series.last.wall == MONDAY.replace(day=2)


async def test_a_series_that_was_ended_goes_on_no_more(db: Database) -> None:
    first = await member(db, FIRST)
    async with db.write() as tx:
        assert await end_series(tx, SERIES, 7.0)
        assert not await end_series(tx, SERIES, 8.0)
    assert not await go_on(db, first, SECOND)
    ended = await member(db, FIRST)
    assert (ended.ended_at, ended.is_last) == (7.0, False)


async def test_a_count_ends_a_series_that_was_stored_in_between(db: Database) -> None:
    assert await go_on(db, await member(db, FIRST), SECOND)
    assert await go_on(db, await member(db, SECOND), THIRD)
    series = (await member(db, THIRD)).series
    assert follow(series, series.last.at, 60.0).occurrence is None


async def test_a_schedule_that_is_deleted_leaves_its_series(db: Database) -> None:
    assert await go_on(db, await member(db, FIRST), SECOND)
    async with db.write() as tx:
        await forget_occurrence(tx, FIRST)
    async with db.read() as connection:
        assert list(await members(connection, [FIRST, SECOND])) == [SECOND]

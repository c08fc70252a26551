"""Rows and lists that travel as one JSON parameter, on both databases."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Integer, String, select

from gateway.batch import among, batch, pack, pack_values
from gateway.db import ID, SECONDS, Database

ROWS = [
    (1, "0190a000-0000-7000-8000-000000000001", 1_800_000_000.123456, 'it\'s "quoted" \\ and 日本'),
    (2, "0190a000-0000-7000-8000-000000000002", None, ""),
]
things = batch("things", number=Integer(), id=ID, at=SECONDS, text=String())


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    database = Database(database_url)
    yield database
    await database.close()


async def test_rows_come_back_as_they_were_given(db: Database) -> None:
    async with db.read() as connection:
        rows = (await connection.execute(select(things).order_by(things.c.number), {"things": pack(ROWS)})).all()
    assert [(row.number, str(row.id), row.at, row.text) for row in rows] == ROWS


async def test_no_rows_are_no_rows(db: Database) -> None:
    async with db.read() as connection:
        assert (await connection.execute(select(things), {"things": pack([])})).all() == []


@pytest.mark.parametrize("wanted", [[], [2], [1, 2, 3]])
async def test_a_list_of_any_length_is_looked_up_in(db: Database, wanted: list[int]) -> None:
    query = select(things.c.number).where(things.c.number.in_(among("wanted", Integer())))
    async with db.read() as connection:
        found = await connection.execute(query, {"things": pack(ROWS), "wanted": pack_values(wanted)})
        assert sorted(found.scalars()) == [number for number in (1, 2) if number in wanted]


async def test_two_batches_of_other_columns_are_not_taken_for_each_other(db: Database) -> None:
    swapped = batch("things", text=String(), number=Integer())
    async with db.read() as connection:
        await connection.execute(select(things), {"things": pack(ROWS)})
        rows = (await connection.execute(select(swapped), {"things": pack([("a", 7)])})).all()
    assert [tuple(row) for row in rows] == [("a", 7)]

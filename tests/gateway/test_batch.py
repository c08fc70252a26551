"""Rows and lists that travel as one JSON parameter, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Dialect, Integer, Select, String, select, text
from sqlalchemy.dialects import postgresql, sqlite

from gateway import schema
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS, Database
from sessions.queries import session
from tests.harness.databases import sqlite_url

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
    query = select(things.c.number).where(is_among(things.c.number, "wanted", Integer()))
    async with db.read() as connection:
        found = await connection.execute(query, {"things": pack(ROWS), "wanted": pack_values(wanted)})
        assert sorted(found.scalars()) == [number for number in (1, 2) if number in wanted]


async def test_what_is_not_in_a_list_is_found_too(db: Database) -> None:
    query = select(things.c.number).where(~is_among(things.c.number, "wanted", Integer()))
    async with db.read() as connection:
        found = await connection.execute(query, {"things": pack(ROWS), "wanted": pack_values([2, 3])})
        assert list(found.scalars()) == [1]


async def test_sqlite_looks_a_list_up_in_an_index(tmp_path: Path) -> None:
    db = Database(sqlite_url(tmp_path))
    await schema.migrate(db)
    query = _in_sql(select(session.c.name).where(is_among(session.c.sender_id, "wanted", Integer())), sqlite.dialect())
    async with db.read() as connection:
        rows = (await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()
    assert rows[0].detail == "SEARCH session USING INTEGER PRIMARY KEY (rowid=?)"
    await db.close()


@pytest.mark.postgres
async def test_postgresql_looks_a_list_up_in_an_index_whatever_it_guesses_of_other_conditions(
    postgres_url: str,
) -> None:
    """With a condition of which PostgreSQL expects one row it would compare each row with each of the list."""
    db = Database(postgres_url)
    found = is_among(session.c.sender_id, "wanted", Integer())
    query = _in_sql(select(session.c.name).where(found, session.c.state == "CONNECTED"), postgresql.dialect())  # type: ignore[no-untyped-call]
    async with db.read() as connection:
        lines = "\n".join((await connection.execute(text(f"EXPLAIN {query}"))).scalars())
    assert "Index Cond: (sender_id = ANY (" in lines
    await db.close()


def _in_sql(query: Select[Any], dialect: Dialect) -> str:
    """A query with its values in it, a list of two numbers among them."""
    filled = query.params(wanted=pack_values([1, 2]))
    return str(filled.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


async def test_two_batches_of_other_columns_are_not_taken_for_each_other(db: Database) -> None:
    swapped = batch("things", text=String(), number=Integer())
    async with db.read() as connection:
        await connection.execute(select(things), {"things": pack(ROWS)})
        rows = (await connection.execute(select(swapped), {"things": pack([("a", 7)])})).all()
    assert [tuple(row) for row in rows] == [("a", 7)]

"""The database: two ways to use it, one clock, and errors that its users know."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.clock import Clock
from gateway.db import Database, DatabaseAway, DatabaseError, async_url, read_now
from tests.harness.databases import sqlite_url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    database = Database(database_url)
    yield database
    await database.close()


COUNT = text("SELECT count(*) FROM setting")
PUT = text("INSERT INTO setting (key, value) VALUES ('KEY', 1)")


async def count(db: Database) -> int:
    """How many settings are stored."""
    async with db.read() as connection:
        return int((await connection.execute(COUNT)).scalar_one())


async def test_what_is_written_is_committed_at_the_end_of_the_block(db: Database) -> None:
    async with db.write() as tx:
        await tx.execute(PUT)
        assert await count(db) == 0
    assert await count(db) == 1


async def test_an_error_in_the_block_takes_everything_back(db: Database) -> None:
    async def fail() -> None:
        async with db.write() as tx:
            await tx.execute(PUT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await count(db) == 0


async def test_what_is_done_while_reading_is_taken_back(db: Database) -> None:
    async with db.read() as connection:
        await connection.execute(PUT)
    assert await count(db) == 0


async def test_writers_come_one_after_the_other(db: Database) -> None:
    async def write(index: int) -> None:
        async with db.write() as tx:
            await tx.execute(text("INSERT INTO setting (key, value) VALUES (:key, 0)"), {"key": str(index)})

    await asyncio.gather(*(write(index) for index in range(20)))
    assert await count(db) == 20


async def test_on_sqlite_rows_obey_the_injected_clock(tmp_path: Path) -> None:
    class Stopped(Clock):
        def now(self) -> float:
            return 1234.5

    db = Database(sqlite_url(tmp_path), Stopped())
    async with db.read() as connection:
        assert await read_now(connection) == 1234.5
    await db.close()


async def test_sqlite_syncs_every_commit_and_checks_foreign_keys(tmp_path: Path) -> None:
    db = Database(sqlite_url(tmp_path))
    async with db.read() as connection:
        told = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    await db.close()


async def test_a_second_gateway_on_one_file_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    first, second = Database(sqlite_url(tmp_path / "new")), Database(sqlite_url(tmp_path / "new"))
    first.claim_file()
    with pytest.raises(DatabaseError, match="in use by another gateway"):
        second.claim_file()
    await first.close()
    second.claim_file()
    await second.close()


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=r"cannot be written.*database.url"):
        Database(sqlite_url(tmp_path / "file")).claim_file()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///./data/gateway.db", "sqlite+aiosqlite"),
        ("postgresql://me:secret@host/name", "postgresql+asyncpg"),
        ("postgres://me@host/name", "postgresql+asyncpg"),
        ("postgresql+psycopg://me@host/name", "postgresql+asyncpg"),
    ],
)
def test_the_asynchronous_driver_is_chosen(given: str, driver: str) -> None:
    assert async_url(given) == driver + given[given.index(":") :]


def test_other_databases_are_refused_by_name() -> None:
    with pytest.raises(DatabaseError, match="mysql is not supported"):
        async_url("mysql://host/name")


@pytest.mark.postgres
async def test_a_postgresql_that_takes_no_connections_is_an_error_that_loops_know(postgres_url: str) -> None:
    """While it starts up or is full, asyncpg raises errors of its own that are neither SQLAlchemy's nor OSError."""
    db = Database(postgres_url)
    connection = await asyncpg.connect(postgres_url.replace(f"/{db.url.database}?", "/postgres?"))
    await connection.execute(f"ALTER DATABASE {db.url.database} ALLOW_CONNECTIONS false")
    with pytest.raises((SQLAlchemyError, OSError)):
        await count(db)
    await connection.execute(f"ALTER DATABASE {db.url.database} ALLOW_CONNECTIONS true")
    await connection.close()
    assert await count(db) == 0
    await db.close()


async def test_a_postgresql_that_cannot_be_reached_is_away(tmp_path: Path) -> None:
    db = Database(f"postgresql://me@/name?host={tmp_path}")
    with pytest.raises(DatabaseAway):
        await count(db)
    await db.close()


@pytest.mark.postgres
async def test_a_postgresql_that_ends_our_connection_in_the_middle_is_away(postgres_url: str) -> None:
    db, other = Database(postgres_url), Database(postgres_url)

    async def be_cut_off() -> None:
        async with db.write() as tx, other.write() as killer:
            pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await killer.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            await tx.execute(PUT)

    with pytest.raises(DatabaseAway):
        await be_cut_off()
    assert await count(db) == 0
    await db.close()
    await other.close()


async def test_a_sqlite_disk_that_is_full_is_away(tmp_path: Path) -> None:
    db = Database(sqlite_url(tmp_path))

    async def fill() -> None:
        async with db.write() as tx:
            await tx.execute(text("PRAGMA max_page_count = 10"))
            await tx.execute(text("CREATE TABLE filled AS SELECT zeroblob(1000000)"))

    with pytest.raises(DatabaseAway, match="full"):
        await fill()
    await db.close()


async def test_a_wrong_statement_is_not_blamed_on_the_database(db: Database) -> None:
    async def ask() -> None:
        async with db.read() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(DBAPIError):
        await ask()


def test_the_lock_file_is_for_its_owner_only(tmp_path: Path) -> None:
    Database(sqlite_url(tmp_path)).claim_file()
    assert stat.S_IMODE(os.stat(tmp_path / "gateway.db.lock").st_mode) == 0o600

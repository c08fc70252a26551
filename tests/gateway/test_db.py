"""The database: two ways to use it, one clock, and errors that its users know."""

import asyncio
import os
import socket
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

import gateway.db.engines
import gateway.db.waits
from gateway.clock import Clock
from gateway.db import Database, DatabaseAway, DatabaseError, LockWaitEnded, async_url, read_now
from tests.harness.databases import sqlite_url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database."""
    database = Database(database_url)
    yield database
    await database.close()


pytestmark = pytest.mark.own_limits

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


async def backend_of(db: Database) -> int:
    """The process of PostgreSQL that answers on the connection that is given out now."""
    async with db.ask() as connection:
        return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


def end_unheard(url: str, pid: int) -> None:
    """End a connection while this event loop stands still, so that the driver cannot have heard of it."""

    async def end() -> None:
        other = await asyncpg.connect(url)
        await other.execute("SELECT pg_terminate_backend($1, 10000)", pid)
        await other.close()

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, end()).result()


@pytest.mark.postgres
async def test_a_connection_that_has_ended_is_not_given_out(postgres_url: str) -> None:
    db = Database(postgres_url)
    before = await backend_of(db)
    async with db.read() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    end_unheard(postgres_url, before)
    for _ in range(1000):
        await asyncio.sleep(0)  # until the driver has heard of it
    assert driver is not None
    assert driver.is_closed()
    assert await backend_of(db) != before
    await db.close()


@pytest.mark.postgres
@pytest.mark.parametrize(("trusted_seconds", "is_noticed"), [(0.0, True), (3600.0, False)])
async def test_a_connection_that_was_idle_for_a_while_is_asked_before_it_is_given_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, trusted_seconds: float, is_noticed: bool
) -> None:
    monkeypatch.setattr(gateway.db.engines, "TRUSTED_SECONDS", trusted_seconds)
    db = Database(postgres_url)
    before = await backend_of(db)
    end_unheard(postgres_url, before)
    if not is_noticed:
        with pytest.raises(DatabaseAway):  # whoever it is tries again, as after an end in the middle
            await backend_of(db)
    assert await backend_of(db) != before
    await db.close()


@pytest.mark.postgres
async def test_what_is_asked_with_one_statement_needs_no_transaction(postgres_url: str) -> None:
    db = Database(postgres_url)
    number = text("SELECT CAST(pg_current_xact_id() AS text)")
    async with db.ask() as connection:
        apart = [(await connection.execute(number)).scalar_one() for _ in range(2)]
    async with db.read() as connection:  # the same connection, as the pool has no other
        together = [(await connection.execute(number)).scalar_one() for _ in range(2)]
    assert len(set(apart)) == 2
    assert len(set(together)) == 1
    await db.close()


MESSAGES = text(
    "INSERT INTO message (id, campaign_id, seq, phone, grade, state, attempts, not_before, created_at)"
    " SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000000', n, '12025550100', 'valid', 'queued', 0, 0, 0"
    " FROM generate_series(1, 12000) AS n"
)
EXPLAIN_A_BATCH = text(
    "EXPLAIN UPDATE message SET attempts = 1"
    " FROM (SELECT CAST(value ->> 0 AS uuid) AS id FROM jsonb_array_elements('[]') AS items(value)) AS sent"
    " WHERE message.id = sent.id"
)


@pytest.mark.postgres
async def test_a_few_rows_are_looked_up_by_their_index_also_in_a_table_of_middle_size(postgres_url: str) -> None:
    db = Database(postgres_url)
    async with db.write() as tx:
        await tx.execute(MESSAGES)
    async with db.write() as tx:
        await tx.execute(text("ANALYZE message"))
        ours = "\n".join((await tx.execute(EXPLAIN_A_BATCH)).scalars())
        await tx.execute(text("SET LOCAL random_page_cost = 4"))
        by_default = "\n".join((await tx.execute(EXPLAIN_A_BATCH)).scalars())
    assert "Seq Scan on message" not in ours
    assert "Seq Scan on message" in by_default
    await db.close()


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Two replicas' databases, with one setting that both may want to change."""
    databases = Database(postgres_url, lease_seconds=1.0), Database(postgres_url)
    async with databases[0].write() as tx:
        await tx.execute(PUT)
    yield databases
    for database in databases:
        await database.close()


CHANGE = text("UPDATE setting SET value = value + 1")
SLEEP = text("SELECT pg_sleep(:seconds)")


@pytest.mark.postgres
async def test_who_waits_for_a_lock_for_too_long_is_told_that_the_database_is_away(
    pair: tuple[Database, Database],
) -> None:
    async with pair[1].write() as holder:
        await holder.execute(CHANGE)
        with pytest.raises(LockWaitEnded, match="lock timeout"):
            await change(pair[0])
    await change(pair[0])


async def change(db: Database) -> None:
    """Change the setting."""
    async with db.write() as tx:
        await tx.execute(CHANGE)


@pytest.mark.postgres
async def test_a_transaction_that_waits_for_its_replica_frees_its_locks_after_a_lease(
    pair: tuple[Database, Database],
) -> None:
    async def freeze() -> None:
        async with pair[0].write() as frozen:
            await frozen.execute(CHANGE)
            await change(pair[1])
            await frozen.execute(CHANGE)

    with pytest.raises(DatabaseAway):
        await freeze()
    async with pair[1].read() as connection:
        assert (await connection.execute(text("SELECT value FROM setting"))).scalar_one() == 2


@pytest.mark.postgres
async def test_of_two_transactions_that_wait_for_each_other_one_may_try_again(postgres_url: str) -> None:
    first, second = Database(postgres_url), Database(postgres_url)
    locked = asyncio.Barrier(2)

    async def lock(db: Database, one: int, other: int) -> None:
        async with db.write() as tx:
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": one})
            await locked.wait()
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": other})

    ends = await asyncio.gather(lock(first, 1, 2), lock(second, 2, 1), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [DatabaseAway]
    await first.close()
    await second.close()


@pytest.mark.postgres
async def test_a_transaction_that_takes_too_long_is_ended_and_one_of_many_rows_has_longer(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.db.waits, "ANSWER_SECONDS", 0.05)
    db = Database(postgres_url)

    async def sleep(opened: AbstractAsyncContextManager[AsyncConnection], seconds: float) -> None:
        async with opened as connection:
            await connection.execute(SLEEP, {"seconds": seconds})

    with pytest.raises(DatabaseAway):
        await sleep(db.read(), 60)
    with pytest.raises(DatabaseAway):
        await sleep(db.write(), 60)
    await sleep(db.write(bulk=True), 0.1)
    monkeypatch.setattr(gateway.db.waits, "BULK_SECONDS", 0.05)
    with pytest.raises(DatabaseAway):
        await sleep(db.write(bulk=True), 60)
    await sleep(db.alter(), 0.1)
    await db.close()


async def test_who_gets_no_connection_in_time_is_told_that_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway.db.waits, "ACQUIRE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and nobody says a word
        db = Database(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/name")
        with pytest.raises(DatabaseAway, match="in time"):
            await count(db)
        await db.close()


async def test_a_sqlite_disk_that_is_full_is_away(tmp_path: Path) -> None:
    db = Database(sqlite_url(tmp_path))

    async def fill() -> None:
        async with db.write() as tx:
            await tx.execute(text("PRAGMA max_page_count = 10"))
            await tx.execute(text("CREATE TABLE filled AS SELECT zeroblob(1000000)"))

    with pytest.raises(DatabaseAway, match="full"):
        await fill()
    await db.close()


async def test_a_database_that_takes_no_writes_is_away(db: Database) -> None:
    """A PostgreSQL that has become a standby, or whose provider has stopped writes; a file that is read-only."""
    forbid = "PRAGMA query_only = ON" if db.is_sqlite else "SET TRANSACTION READ ONLY"

    async def store() -> None:
        async with db.write() as tx:
            await tx.execute(text(forbid))
            await tx.execute(text("CREATE TABLE more (id integer)"))

    with pytest.raises(DatabaseAway, match=r"readonly|read-only"):
        await store()


async def test_a_postgresql_that_does_not_let_us_in_is_away(postgres_url: str) -> None:
    url = make_url(postgres_url)
    for changed, told in ((url.set(database="nosuch"), "does not exist"), (url.set(username="nobody"), "nobody")):
        elsewhere = Database(changed.render_as_string(hide_password=False))
        with pytest.raises(DatabaseAway, match=told):
            await count(elsewhere)
        await elsewhere.close()


async def test_a_wrong_statement_is_not_blamed_on_the_database(db: Database) -> None:
    async def ask() -> None:
        async with db.read() as connection:
            await connection.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(DBAPIError):
        await ask()


def test_the_lock_file_is_for_its_owner_only(tmp_path: Path) -> None:
    Database(sqlite_url(tmp_path)).claim_file()
    assert stat.S_IMODE(os.stat(tmp_path / "gateway.db.lock").st_mode) == 0o600


async def test_a_write_waits_for_another_program_that_holds_the_file(
    sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_url(sqlite_folder))
    assert database.path is not None
    holder = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(time, "sleep", lambda _seconds: holder.rollback())  # it lets go while we wait
    async with database.write() as tx:
        await tx.execute(PUT)
    async with database.read() as connection:
        assert (await connection.execute(COUNT)).scalar_one() == 1
    holder.close()
    await database.close()

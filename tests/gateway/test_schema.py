"""Migrating from nothing gives the tables that the models describe, on both databases."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

import gateway.schema
from campaigns.sending.models import Campaign
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import Database, DatabaseError, read_now, table_of
from gateway.ids import make_id
from gateway.schema import current_revision, metadata, migrate, newest_revision, prepare, require_newest
from sessions.models import Sender, Server, Session
from tests.faults.harness.waiting import until
from tests.harness.databases import PostgresServer


@pytest.fixture
async def db(empty_database_url: str) -> AsyncIterator[Database]:
    """A database without any table."""
    database = Database(empty_database_url)
    yield database
    await database.close()


Facts = dict[str, dict[str, Any]]


def plain(sql: str | None) -> str:
    """A condition without what a database adds when it repeats it: brackets, casts, quotes, its own words for IN."""
    words = re.sub(r"::[a-z ]+(\[\])?|[()\[\]\"]", "", sql or "").lower()
    return re.sub(r"\s+", " ", words.replace("= any array", "in ")).strip()


def facts(connection: Connection) -> Facts:
    """What autogenerate does not compare: checks, conditions of indexes, foreign and unique keys."""
    look = inspect(connection)
    told: Facts = {}
    for table in sorted(set(look.get_table_names()) - {"alembic_version"}):
        told[table] = {
            "checks": {check["name"]: plain(check["sqltext"]) for check in look.get_check_constraints(table)},
            "indexes": {
                index["name"]: (
                    tuple(index["column_names"]),
                    bool(index["unique"]),
                    plain(str(index.get("dialect_options", {}).get(f"{connection.dialect.name}_where", ""))),
                )
                for index in look.get_indexes(table)
            },
            "foreign": sorted(
                (tuple(key["constrained_columns"]), key["referred_table"]) for key in look.get_foreign_keys(table)
            ),
            "unique": sorted(tuple(key["column_names"]) for key in look.get_unique_constraints(table)),
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"]) for column in look.get_columns(table)
            },
            "primary": tuple(look.get_pk_constraint(table)["constrained_columns"]),
        }
    return told


async def facts_of(db: Database) -> Facts:
    """The facts of a whole database."""
    async with db.read() as connection:
        return await connection.run_sync(facts)


async def downgrade(tx: AsyncConnection) -> None:
    """Take every migration back."""
    await tx.run_sync(lambda sync: command.downgrade(gateway.schema._config(sync), "base"))


async def test_migrating_from_nothing_gives_the_tables_of_the_models(db: Database) -> None:
    await migrate(db)
    async with db.read() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), metadata())
        )
    assert differences == []
    migrated = await facts_of(db)
    async with db.write() as tx:
        await downgrade(tx)
        await tx.run_sync(metadata().create_all)
    assert await facts_of(db) == migrated


async def test_checks_and_conditions_are_there_to_be_compared(db: Database) -> None:
    """The control: the comparison above compares something."""
    await migrate(db)
    told = await facts_of(db)
    assert "'unconfirmed'" in told["message"]["checks"]["state"]
    assert "'queued'" in told["message"]["indexes"]["ix_message_queued"][2]
    assert told["lane"]["foreign"] == [(("sender_id",), "sender")]


async def test_the_database_refuses_a_lane_of_nobody(db: Database) -> None:
    await migrate(db)
    new_lane = text(
        "INSERT INTO lane (sender_id, due_at, epoch, extra_delay, sent_today, sent_total, resting_until, "
        "resting_code) VALUES (7, 0, 0, 0, 0, 0, 0, '')"
    )
    with pytest.raises(IntegrityError):
        async with db.write() as tx:
            await tx.execute(new_lane)


async def test_migrating_again_does_nothing(db: Database) -> None:
    await migrate(db)
    before = await facts_of(db)
    await migrate(db)
    assert await facts_of(db) == before
    async with db.read() as connection:
        assert await current_revision(connection) == newest_revision()


async def test_every_migration_can_be_taken_back(db: Database) -> None:
    await migrate(db)
    async with db.write() as tx:
        await downgrade(tx)
    assert await facts_of(db) == {}
    await migrate(db)
    assert set(await facts_of(db)) == set(metadata().tables)


async def test_a_number_that_was_paired_before_there_were_users_is_proven_to_be_its_accounts(db: Database) -> None:
    await migrate(db)
    sender, session = table_of(Sender), table_of(Session)
    whose = {"account_id": LOCAL_ACCOUNT, "created_at": 1.0}
    async with db.write() as tx:
        server = {"id": "s", "name": "waha1", "url": "http://127.0.0.1:3000", "created_at": 1.0}
        await tx.execute(insert(table_of(Server)).values(**server))
        for sender_id, paired_at in ((1, 5.0), (2, None)):
            await tx.execute(insert(sender).values(id=sender_id, number=f"44770090000{sender_id}", **whose))
            values = {"sender_id": sender_id, "server_id": "s", "name": str(sender_id), "paired_at": paired_at}
            await tx.execute(insert(session).values(**values, state_at=1.0, created_at=1.0))
        await tx.run_sync(lambda sync: command.downgrade(gateway.schema._config(sync), before_users()))
    await migrate(db)
    async with db.read() as connection:
        rows = await connection.execute(select(sender.c.id, sender.c.proven).order_by(sender.c.id))
    assert [tuple(row) for row in rows] == [(1, True), (2, False)]


def before_users() -> str:
    """The revision before the one that made users."""
    revision = ScriptDirectory.from_config(gateway.schema._config()).get_revision("0005").down_revision
    assert isinstance(revision, str)
    return revision


async def test_an_open_campaign_that_has_nothing_left_is_looked_at_after_the_update(db: Database) -> None:
    """Its time came after everything was cancelled, and an earlier version did not end it."""
    await migrate(db)
    campaign = table_of(Campaign)
    stuck, waiting, ended = (make_id(at) for at in (1.0, 2.0, 3.0))
    states = {stuck: ("queued", 0), waiting: ("queued", 3), ended: ("completed", 0)}
    common = {"account_id": LOCAL_ACCOUNT, "sender_number": "447700900001", "template": "hello", "created_at": 1.0}
    async with db.write() as tx:
        for campaign_id, (state, queued) in states.items():
            await tx.execute(insert(campaign).values(id=campaign_id, state=state, n_queued=queued, **common))
        await tx.run_sync(lambda sync: command.downgrade(gateway.schema._config(sync), "0021"))
    await migrate(db)
    async with db.read() as connection:
        rows = (await connection.execute(select(campaign.c.id, campaign.c.alarm_at))).all()
    assert {row.id: row.alarm_at for row in rows} == {stuck: 0.0, waiting: None, ended: None}


async def test_a_database_of_another_version_is_refused(db: Database) -> None:
    with pytest.raises(DatabaseError, match="gateway migrate"):
        await require_newest(db)
    await migrate(db)
    await require_newest(db)
    async with db.write() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(DatabaseError, match="gateway migrate"):
        await require_newest(db)


@pytest.mark.postgres
@pytest.mark.parametrize("setting", ["synchronous_commit"])
async def test_a_postgresql_that_forgets_commits_is_refused(postgres_url: str, setting: str) -> None:
    db = Database(postgres_url)
    await prepare(db)
    name = db.url.database
    async with db.write() as tx:
        await tx.execute(text(f"ALTER DATABASE {name} SET {setting} = off"))
    await db.engine.dispose()
    with pytest.raises(DatabaseError, match=f"{setting} = off"):
        await prepare(db)
    await db.close()


@pytest.mark.postgres
async def test_a_postgresql_that_does_not_write_to_its_disk_is_refused(postgres_of_its_own: PostgresServer) -> None:
    """The setting holds for all databases of a server, so this one has a server of its own."""
    db = Database(postgres_of_its_own.url("migrated"))
    await prepare(db)
    await postgres_of_its_own.execute("ALTER SYSTEM SET fsync = off")
    await postgres_of_its_own.execute("SELECT pg_reload_conf()")

    async def off() -> bool:
        async with db.read() as connection:
            return bool((await connection.execute(text("SHOW fsync"))).scalar_one() == "off")

    await until(off)
    with pytest.raises(DatabaseError, match="fsync = off"):
        await prepare(db)
    await db.close()


@pytest.mark.postgres
async def test_the_database_tells_its_own_time(empty_database_url: str) -> None:
    db = Database(empty_database_url)
    await migrate(db)
    async with db.read() as connection:
        first = await read_now(connection)
        assert first <= await read_now(connection)
        assert abs(first - db.clock.now()) < 60
    await db.close()


@pytest.mark.postgres
async def test_postgresql_is_told_which_tables_are_hot(postgres_url: str) -> None:
    db = Database(postgres_url)
    query = text("SELECT relname FROM pg_class WHERE 'fillfactor=50' = ANY(reloptions) ORDER BY relname")
    async with db.read() as connection:
        hot = (await connection.execute(query)).scalars().all()
    assert hot == ["campaign", "campaign_sender", "lane"]
    await db.close()

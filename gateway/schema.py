"""The schema: every table of the product in one place, and the migrations that make it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

import admin.actions.models
import admin.console.models
import campaigns.audience.importing.models
import campaigns.audience.models
import campaigns.audience.optouts.models
import campaigns.inbox.models
import campaigns.schedules.models
import campaigns.schedules.series_models
import campaigns.sending.models
import campaigns.templates.models
import gateway.auth.clients.models
import gateway.auth.models
import gateway.idempotency.models
import gateway.limits.models
import gateway.notifications.models
import gateway.notifications.webhooks.models
import sessions.models
from gateway.db import Database, DatabaseError

_TABLES = (
    admin.actions.models,
    admin.console.models,
    campaigns.audience.importing.models,
    campaigns.audience.models,
    campaigns.inbox.models,
    campaigns.audience.optouts.models,
    campaigns.schedules.models,
    campaigns.schedules.series_models,
    campaigns.sending.models,
    campaigns.templates.models,
    gateway.auth.clients.models,
    gateway.auth.models,
    gateway.idempotency.models,
    gateway.limits.models,
    gateway.notifications.models,
    gateway.notifications.webhooks.models,
    sessions.models,
)


def metadata() -> MetaData:
    """Every table that the models describe."""
    return SQLModel.metadata


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this version of the gateway needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


async def current_revision(connection: AsyncConnection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def migrate(db: Database) -> None:
    """Bring the database to `newest_revision()`; does nothing where it is there already."""
    async with db.alter() as tx:
        await tx.run_sync(lambda sync: command.upgrade(_config(sync), "head"))


async def require_newest(db: Database) -> None:
    """Refuse to work on a database of another version.

    Raises:
        DatabaseError: it has to be migrated first.
    """
    async with db.read() as connection:
        current = await current_revision(connection)
    if current != newest_revision():
        raise DatabaseError("the database is of another version; run `gateway migrate` first")


async def prepare(db: Database) -> None:
    """Migrate SQLite by itself; refuse a PostgreSQL that is of another version or that forgets commits.

    Raises:
        DatabaseError: in one line, why it cannot be used.
    """
    if db.is_sqlite:
        await migrate(db)
        return
    await require_newest(db)
    async with db.read() as connection:
        for name in ("fsync", "synchronous_commit"):
            value = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            if value == "off":
                raise DatabaseError(
                    f"PostgreSQL runs with {name} = off: a crash could send a message twice; turn it on"
                )

"""The schema: every table of the product in one place, and the migrations that make it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

import campaigns.audience.models
import campaigns.sending.models
import gateway.auth.models
import sessions.models
from gateway.db import Database, DatabaseError

_TABLES = (campaigns.audience.models, campaigns.sending.models, gateway.auth.models, sessions.models)


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
    async with db.write() as tx:
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

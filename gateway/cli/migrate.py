"""`gateway migrate`: bring the database to this version."""

import asyncio

import typer

from gateway import schema
from gateway.cli.failures import database_failures
from gateway.cli.options import ConfigOption, read_settings, start_logging
from gateway.db import Database


def migrate(config: ConfigOption = None) -> None:
    """Bring the database to this version (serve does it by itself for SQLite)."""
    settings = read_settings(config)
    start_logging(settings.logging)
    with database_failures(settings.database.url):
        before, after = asyncio.run(_migrate(settings.database.url))
    if before == after:
        typer.echo(f"The database is at version {after} already: nothing to do")
    else:
        typer.echo(f"The database is at version {after} now; it was {f'at {before}' if before else 'empty'}")


async def _migrate(url: str) -> tuple[str | None, str | None]:
    """The versions before and after."""
    db = Database(url)
    db.claim_file()
    try:
        before = await _revision(db)
        await schema.migrate(db)
        return before, await _revision(db)
    finally:
        await db.close()


async def _revision(db: Database) -> str | None:
    async with db.read() as connection:
        return await schema.current_revision(connection)

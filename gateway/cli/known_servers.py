"""Which WAHA servers `gateway check` looks at: those in the database, and those that only the settings know yet."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway import schema
from gateway.db import Database, DatabaseError, table_of
from gateway.settings import Settings, WahaServerSettings
from gateway.vault import Vault, VaultError, key_file
from sessions.models import Session
from sessions.servers import queries

session = table_of(Session)


@dataclass(frozen=True, slots=True)
class KnownServer:
    """One server. `api_key` None: it is stored, and cannot be read here.

    `stored` tells whether the database has it; then `placed` sessions of ours are on it. `ours` are the names of all
    our sessions, on whatever server.
    """

    name: str
    url: str
    api_key: str | None = field(repr=False)
    capacity: int
    stored: bool = False
    draining: bool = False
    placed: int = 0
    ours: Collection[str] = frozenset()


def from_settings(server: WahaServerSettings) -> KnownServer:
    """An entry of the settings that no gateway has taken over yet."""
    return KnownServer(server.name, server.url, server.api_key.get_secret_value(), server.capacity)


async def known_servers(settings: Settings) -> tuple[list[KnownServer], list[str]]:
    """The servers, and the names of those of the settings that the operator has removed since.

    A database that cannot be used is told elsewhere; without it the settings are all that is known.
    """
    with suppress(DatabaseError, SQLAlchemyError, OSError):
        db = Database(settings.database.url)
        try:
            if db.path is None or db.path.exists():
                return await _read(db, settings)
        finally:
            await db.close()
    return [from_settings(entry) for entry in settings.waha.servers], []


async def _read(db: Database, settings: Settings) -> tuple[list[KnownServer], list[str]]:
    entries = settings.waha.servers
    async with db.read() as connection:
        if await schema.current_revision(connection) != schema.newest_revision():
            return [from_settings(entry) for entry in entries], []
        rows = await queries.all_servers(connection)
        placed = {row.id: await queries.count_placed(connection, row.id) for row in rows}
        ours = frozenset((await connection.execute(select(session.c.name))).scalars())
        seeds = await queries.seeds(connection)
    stored = [
        KnownServer(
            name=row.name,
            url=row.url,
            api_key=_decrypt(settings, row.api_key_encrypted),
            capacity=row.capacity,
            stored=True,
            draining=row.draining,
            placed=placed[row.id],
            ours=ours,
        )
        for row in sorted(rows, key=lambda row: str(row.name))
    ]
    there = {server.name for server in stored}
    new = [from_settings(entry) for entry in entries if entry.name not in there and entry.name not in seeds]
    return [*stored, *new], [entry.name for entry in entries if entry.name not in there and entry.name in seeds]


def _decrypt(settings: Settings, encrypted: str) -> str | None:
    folder = settings.database.data_folder
    if not encrypted:
        return ""
    if not key_file(folder).exists():  # looking makes none
        return None
    try:
        return Vault(folder).decrypt(encrypted)
    except VaultError:
        return None

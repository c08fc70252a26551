"""The database: one SQLAlchemy Core path for SQLite and PostgreSQL.

`read()` gives a connection for looking. `write()` gives one for changing: it begins, and commits at the end
or rolls back on an error. On SQLite writers queue up in this process (fairly, instead of by SQLite's polling)
and begin IMMEDIATE; on PostgreSQL row locks do the same work. Nobody holds a transaction across a network call.

Times in tables are epoch seconds as doubles, the same on both databases. `gateway_now()` in SQL is the only
clock that rows obey: on SQLite it is this process's clock (one process owns the file), on PostgreSQL it is the
server's, so that replicas need not agree on the time.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from filelock import FileLock, Timeout
from sqlalchemy import Row, String, Table, event, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InternalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from gateway.clock import Clock

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of whatever columns: their names are in the query beside it."""


ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""The type of our identifiers: 36 characters to us and to SQLite, a native UUID on PostgreSQL."""


class DatabaseError(Exception):
    """The database cannot be used; the message is one line saying why and what to do."""


class DatabaseAway(SQLAlchemyError):
    """The database cannot be reached, or went away in the middle; nothing is wrong with what it was asked."""


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model, for Core statements."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def async_url(url: str) -> str:
    """`sqlite:///...` or `postgresql://...` with the asynchronous driver named."""
    parsed = make_url(url)
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    backend = parsed.drivername.split("+", maxsplit=1)[0]
    if backend not in drivers:
        raise DatabaseError(f"database.url: {backend} is not supported; use sqlite:/// or postgresql://")
    return parsed.set(drivername=drivers[backend]).render_as_string(hide_password=False)


class Database:
    """The engine, and the two ways to use it."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = make_url(async_url(url))
        self.clock = clock or Clock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(self.url.render_as_string(hide_password=False), self.is_sqlite)
        self._writing = asyncio.Lock() if self.is_sqlite else None
        self._file_lock: FileLock | None = None
        if self.is_sqlite:
            _prepare_sqlite(self.engine, self.clock)

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None on PostgreSQL and in memory."""
        if not self.is_sqlite or not self.url.database or self.url.database == ":memory:":
            return None
        return Path(self.url.database)

    def claim_file(self) -> None:
        """Own the SQLite file, so that a second process is refused. PostgreSQL takes any number of replicas.

        Raises:
            DatabaseError: another process owns it, or its folder cannot be written.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file_lock = FileLock(f"{self.path}.lock", mode=0o600)
            self._file_lock.acquire(timeout=0)
            # numbers and texts are in it; SQLite gives its other files the mode of this one
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except Timeout:
            raise DatabaseError(f"{self.path} is in use by another gateway; stop it, or use PostgreSQL") from None
        except OSError as error:
            raise DatabaseError(f"{self.path} cannot be written ({error.strerror}); see database.url") from None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, in a transaction that is rolled back at the end."""
        async with self._connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits when the block ends without an error."""
        async with self._writing or nullcontext(), self._connect() as plain:
            connection = await plain.execution_options(gateway_write=True)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with AsyncExitStack() as stack:
                try:
                    connection = await stack.enter_async_context(self.engine.connect())
                except (OSError, PoolTimeout) as error:  # asyncpg passes on what the network says
                    raise DatabaseAway(str(error)) from error
                yield connection
        except DBAPIError as error:
            if not _went_away(error):
                raise
            raise DatabaseAway(str(error.orig)) from error

    async def close(self) -> None:
        """Close all connections and give the file back."""
        await self.engine.dispose()
        if self._file_lock is not None:
            self._file_lock.release()


_AWAY_STATES = ("08", "53", "57P0")
"""How SQLSTATE begins where PostgreSQL is gone, full, stopping or starting."""
_AWAY_ERRORS = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR")


def _went_away(error: DBAPIError) -> bool:
    """Whether it was the database that failed, not the statement."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, InternalError) and state is None:
        return True  # asyncpg lost its connection between two steps of the protocol
    name = getattr(error.orig, "sqlite_errorname", None)
    told = (state or "").startswith(_AWAY_STATES) or (name or "").startswith(_AWAY_ERRORS)
    return told or error.connection_invalidated


async def read_now(connection: AsyncConnection) -> float:
    """The database's time in epoch seconds: the one clock that rows obey."""
    return float((await connection.execute(_NOW)).scalar_one())


_NOW = select(func.gateway_now())


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _create_engine(url: str, is_sqlite: bool) -> AsyncEngine:
    if is_sqlite:
        return create_async_engine(url, hide_parameters=True, json_serializer=_dumps, json_deserializer=orjson.loads)
    return create_async_engine(
        url,
        hide_parameters=True,  # errors are logged, and the parameters are people's numbers and texts
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_size=10,
        max_overflow=10,
        pool_pre_ping=True,
        # asyncpg waits for ever by default: on a frozen link that is how long a lane would wait
        connect_args={
            "timeout": 10,
            "command_timeout": 30,
            "server_settings": {"idle_in_transaction_session_timeout": "60000"},
        },
    )


def _prepare_sqlite(engine: AsyncEngine, clock: Clock) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.isolation_level = None  # we begin transactions ourselves, see below
        dbapi_connection.create_function("gateway_now", 0, clock.now)
        cursor = dbapi_connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("gateway_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

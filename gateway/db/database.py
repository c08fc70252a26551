"""The database: `Database`, and its clock."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

from gateway.clock import Clock
from gateway.db import inline, waits
from gateway.db.endings import telling_ends, was_announced
from gateway.db.engines import async_url, create_postgresql, create_sqlite
from gateway.db.errors import DatabaseAway, DatabaseError, DatabaseInUse, telling_away
from gateway.turnstile import Turnstile

LOOKING_CONNECTIONS, CHANGING_CONNECTIONS = 5, 8
"""How many connections to PostgreSQL requests have at once, that look and that change something: the rest is for
messages under way."""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Connections to the database: kept for good at most, idle, in use, and those beyond `size` in a rush."""

    size: int
    checked_in: int
    checked_out: int
    overflow: int


class Database:
    """The engine, and the two ways to use it."""

    def __init__(
        self, url: str, clock: Clock | None = None, *, lease_seconds: float = waits.IDLE_SECONDS, replica: str = ""
    ) -> None:
        """`lease_seconds` is how long a replica keeps a lane that it does not renew.

        `replica` is the replica's id, by which the others see on PostgreSQL that it is there; empty for a command.
        """
        self.url = make_url(async_url(url))
        self.clock = clock or Clock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer: Engine | None = None
        if self.is_sqlite:
            self.engine, self._writer = create_sqlite(self.url, self.clock)
        else:
            self.engine = create_postgresql(self.url, lease_seconds, replica)
        self.told = asyncio.Event()
        """Set whenever a transaction of this process that was marked by `announce` has been committed."""
        self._writing = asyncio.Lock() if self.is_sqlite else None
        self._requests = None if self.is_sqlite else Turnstile(looks=LOOKING_CONNECTIONS, changes=CHANGING_CONNECTIONS)
        self._file_lock: FileLock | None = None

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
            raise DatabaseInUse(f"{self.path} is in use by another gateway; stop it, or use PostgreSQL") from None
        except OSError as error:
            raise DatabaseError(f"{self.path} cannot be written ({error.strerror}); see database.url") from None

    @asynccontextmanager
    async def read(self, *, bulk: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, in a transaction that is rolled back at the end.

        With `bulk` it is for statements that look at very many rows: PostgreSQL has longer until it counts as away.
        """
        async with self._connect(waits.BULK_SECONDS if bulk else waits.ANSWER_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def ask(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that only looks: outside of a transaction, PostgreSQL is asked but once.

        Several statements belong into `read`.
        """
        async with self._connect(waits.ANSWER_SECONDS) as plain:
            yield plain if self.is_sqlite else await plain.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def write(self, *, bulk: bool = False, aside: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits when the block ends without an error.

        With `aside` it is for statements that take some milliseconds each: on SQLite they get a thread. With `bulk` it
        is for those that take seconds: PostgreSQL has longer, too, until it counts as away.
        """
        async with self._writing or nullcontext():
            if self._writer is not None and not (bulk or aside):
                async with self._write_here(self._writer) as connection:
                    yield connection
            else:
                async with self._write_there(waits.BULK_SECONDS if bulk else waits.ANSWER_SECONDS) as connection:
                    yield connection

    @asynccontextmanager
    async def alter(self) -> AsyncIterator[AsyncConnection]:
        """As `write`, for a change of the schema: it takes as long as it takes, but waits for no lock longer."""
        async with self.write(bulk=True) if self.is_sqlite else self._write_there(None) as connection:
            yield connection

    @asynccontextmanager
    async def _write_there(self, seconds: float | None) -> AsyncIterator[AsyncConnection]:
        async with self._connect(seconds) as plain:
            connection = await plain.execution_options(gateway_write=True)
            with telling_ends(connection) as ending:
                async with connection.begin():
                    yield connection
                    ending.kept = True
            self._tell_of(connection)

    @asynccontextmanager
    async def _write_here(self, writer: Engine) -> AsyncIterator[AsyncConnection]:
        with telling_away(), ExitStack() as stack:
            connection, transaction = await inline.begin(writer, stack)
            written = inline.Inline(connection)
            with telling_ends(written) as ending:
                yield written
                ending.kept = True
                await inline.commit(transaction)
            self._tell_of(written)

    def _tell_of(self, committed: AsyncConnection) -> None:
        if was_announced(committed):
            self.told.set()

    @asynccontextmanager
    async def _connect(self, seconds: float | None) -> AsyncIterator[AsyncConnection]:
        """A connection, which on PostgreSQL is ended if it is not given back within `seconds`."""
        timer: asyncio.TimerHandle | None = None
        try:
            with telling_away():
                async with AsyncExitStack() as stack:
                    try:
                        if self._requests is not None:
                            await stack.enter_async_context(self._requests.turn())
                        async with asyncio.timeout(None if self.is_sqlite else waits.ACQUIRE_SECONDS):
                            connection = await stack.enter_async_context(self.engine.connect())
                    except (OSError, PoolTimeout) as error:  # asyncpg passes on what the network says
                        raise DatabaseAway(str(error) or "there was no connection in time") from error
                    if seconds is not None and not self.is_sqlite:
                        driver: Any = (await connection.get_raw_connection()).driver_connection
                        timer = asyncio.get_running_loop().call_later(seconds, driver.terminate)
                    yield connection
        finally:
            if timer is not None:
                timer.cancel()

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Any]:
        """One of the driver's own connections, which the pool forgets, outside of any transaction. PostgreSQL only.

        Nothing watches over it: each call takes a `timeout` of its own, and the driver raises errors of its own.
        """
        async with self._connect(None) as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            raw.detach()
            try:
                yield driver
            finally:
                driver.terminate()

    @property
    def pool(self) -> PoolFigures:
        """The connections of this process, as SQLAlchemy counts them; on SQLite with the one that writes."""
        engines = [self.engine.sync_engine] + ([self._writer] if self._writer is not None else [])
        pools = [engine.pool for engine in engines if isinstance(engine.pool, QueuePool)]
        return PoolFigures(
            size=sum(pool.size() for pool in pools),
            checked_in=sum(pool.checkedin() for pool in pools),
            checked_out=sum(pool.checkedout() for pool in pools),
            overflow=sum(max(0, pool.overflow()) for pool in pools),
        )

    async def close(self) -> None:
        """Close all connections and give the file back."""
        await self.engine.dispose()
        if self._writer is not None:
            self._writer.dispose()
        if self._file_lock is not None:
            self._file_lock.release()


async def read_now(connection: AsyncConnection) -> float:
    """The database's time in epoch seconds: the one clock that rows obey."""
    return float((await connection.execute(_NOW)).scalar_one())


_NOW = select(func.gateway_now())

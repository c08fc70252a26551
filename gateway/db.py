"""The database: one SQLAlchemy Core path for SQLite and PostgreSQL.

`read()` gives a connection for looking. `write()` gives one for changing: it begins, and commits at the end
or rolls back on an error. Nobody holds a transaction across a network call.

On SQLite writers queue up in this process (fairly, instead of by SQLite's polling) and begin IMMEDIATE; on PostgreSQL
row locks do the same work. What is written to SQLite is executed where it is called: a change of threads takes longer
than most statements, and on a busy event loop hundreds of times as long, with everybody else waiting for the writer.
Only the commit, which waits for the disk, is left to a thread; and so is what is read, which may be much, and what is
written `aside`, by those who would rather wait longer themselves than hold up the event loop.

Times in tables are epoch seconds as doubles, the same on both databases. `gateway_now()` in SQL is the only
clock that rows obey: on SQLite it is this process's clock (one process owns the file), on PostgreSQL it is the
server's, so that replicas need not agree on the time.

Nothing here waits for ever. PostgreSQL ends a transaction whose replica has frozen, and a wait for a lock; a link that
has frozen is given up by a timer, which ends the connection without asking: to be polite would mean to wait again.
"""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from filelock import FileLock, Timeout
from sqlalchemy import (
    Connection,
    Double,
    Engine,
    RootTransaction,
    Row,
    String,
    Table,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlmodel import SQLModel

from gateway.clock import Clock
from gateway.turnstile import Turnstile

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of whatever columns: their names are in the query beside it."""


ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""The type of our identifiers: 36 characters to us and to SQLite, a native UUID on PostgreSQL."""
SECONDS: Double[float] = Double()
"""The type of times and durations."""

ACQUIRE_SECONDS = 2.0
"""How long to wait for a connection. Where a link has frozen it takes SQLAlchemy two more to give the connection up."""
ANSWER_SECONDS = 4.0
"""How long a transaction may take: whoever asked is told within five seconds that the database is away."""
BULK_SECONDS = 30.0
IDLE_SECONDS = 5.0
"""How long a transaction may wait for its replica, which may have frozen and holds locks: a lease, and no longer."""
LOCK_SECONDS = 2.0
"""How long a statement waits for a lock: then its replica tries again, and does other things before."""


KEPT_CONNECTIONS, MORE_CONNECTIONS = 15, 5
"""A replica's connections to PostgreSQL: those that are kept, and those beyond them that are closed after use."""
LOOKING_CONNECTIONS, CHANGING_CONNECTIONS = 5, 8
"""How many of them requests have at once, that look and that change something: the rest is for messages under way."""

TRUSTED_SECONDS = 1.0
"""How long a connection to PostgreSQL may have been idle that is given out without being asked whether it answers."""

APPLICATION = "waha-gateway "
"""How the name begins that PostgreSQL knows a replica's connections by; the replica's id follows."""

BUSY_SECONDS = 10
"""How long another program that holds the SQLite file is waited for."""
BUSY_POLL_SECONDS = 0.01
POLITE_SECONDS = 0.002
"""How long a transaction keeps the event loop to itself."""


class DatabaseError(Exception):
    """The database cannot be used; the message is one line saying why and what to do."""


class DatabaseInUse(DatabaseError):
    """Another process has the file."""


class DatabaseAway(SQLAlchemyError):
    """The database cannot be reached, or went away in the middle; nothing is wrong with what it was asked."""


class LockWaitEnded(DatabaseAway):
    """Another transaction has kept a lock for longer than `LOCK_SECONDS`; it may be asked for again."""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Connections to the database: kept for good at most, idle, in use, and those beyond `size` in a rush."""

    size: int
    checked_in: int
    checked_out: int
    overflow: int


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

    def __init__(
        self, url: str, clock: Clock | None = None, *, lease_seconds: float = IDLE_SECONDS, replica: str = ""
    ) -> None:
        """`lease_seconds` is how long a replica keeps a lane that it does not renew.

        `replica` is the replica's id, by which the others see on PostgreSQL that it is there; empty for a command.
        """
        self.url = make_url(async_url(url))
        self.clock = clock or Clock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(
            self.url.render_as_string(hide_password=False), self.is_sqlite, _server_settings(lease_seconds, replica)
        )
        self.told = asyncio.Event()
        """Set whenever a transaction of this process that was marked by `announce` has been committed."""
        self._writing = asyncio.Lock() if self.is_sqlite else None
        if not self.is_sqlite:
            _watch_connections(self.engine.sync_engine)
        self._requests = None if self.is_sqlite else Turnstile(looks=LOOKING_CONNECTIONS, changes=CHANGING_CONNECTIONS)
        self._file_lock: FileLock | None = None
        self._writer: Engine | None = None
        if self.is_sqlite:
            self._writer = create_engine(self.url.set(drivername="sqlite"), hide_parameters=True)
            _prepare_sqlite(self.engine.sync_engine, self.clock, busy_seconds=BUSY_SECONDS)
            # another program that holds the file must not hold up the event loop: see `_begin`
            _prepare_sqlite(self._writer, self.clock, busy_seconds=0)

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
        async with self._connect(BULK_SECONDS if bulk else ANSWER_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def ask(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that only looks: outside of a transaction, PostgreSQL is asked but once.

        Several statements belong into `read`.
        """
        async with self._connect(ANSWER_SECONDS) as plain:
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
                async with self._write_there(BULK_SECONDS if bulk else ANSWER_SECONDS) as connection:
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
            connection.info.pop(_ANNOUNCED, None)
            with _telling_ends(connection) as ending:
                async with connection.begin():
                    yield connection
                    ending.kept = True
            self._tell_of(connection)

    @asynccontextmanager
    async def _write_here(self, writer: Engine) -> AsyncIterator[AsyncConnection]:
        with _telling_away(), ExitStack() as stack:
            connection, transaction = await _begin(writer, stack)
            connection.info.pop(_ANNOUNCED, None)
            inline = _Inline(connection)
            with _telling_ends(inline) as ending:
                yield inline
                ending.kept = True
                await self._commit(transaction)
            self._tell_of(inline)

    def _tell_of(self, committed: AsyncConnection) -> None:
        if committed.info.pop(_ANNOUNCED, False):
            self.told.set()

    async def _commit(self, transaction: RootTransaction) -> None:
        """Commit in a thread: this is what waits for the disk. Nobody else may write until it is done."""
        done = asyncio.get_running_loop().run_in_executor(None, transaction.commit)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    @asynccontextmanager
    async def _connect(self, seconds: float | None) -> AsyncIterator[AsyncConnection]:
        """A connection, which on PostgreSQL is ended if it is not given back within `seconds`."""
        timer: asyncio.TimerHandle | None = None
        try:
            with _telling_away():
                async with AsyncExitStack() as stack:
                    try:
                        if self._requests is not None:
                            await stack.enter_async_context(self._requests.turn())
                        async with asyncio.timeout(None if self.is_sqlite else ACQUIRE_SECONDS):
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


class _Inline(AsyncConnection):
    """A connection whose statements are executed at once, where they are called."""

    def __init__(self, connection: Connection) -> None:
        self.sync_connection = connection
        self._execute = connection.execute
        self._since = time.perf_counter()

    async def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """As SQLAlchemy's, in this thread; now and then others get their turn."""
        if time.perf_counter() - self._since > POLITE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
        return self._execute(statement, parameters, execution_options=execution_options)

    async def run_sync(self, fn: Any, *arg: Any, **kw: Any) -> Any:
        """As SQLAlchemy's, without waiting."""
        return fn(self.sync_connection, *arg, **kw)


async def _begin(writer: Engine, stack: ExitStack) -> tuple[Connection, RootTransaction]:
    """A transaction that may write to SQLite; another program that holds the file is waited for in a thread."""
    ends_at = time.monotonic() + BUSY_SECONDS
    while True:
        with ExitStack() as attempt:
            connection = attempt.enter_context(writer.connect()).execution_options(gateway_write=True)
            try:
                transaction = attempt.enter_context(connection.begin())
            except OperationalError as error:
                busy = getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not busy or time.monotonic() > ends_at:
                    raise
            else:
                stack.push(attempt.pop_all())
                return connection, transaction
        await asyncio.to_thread(time.sleep, BUSY_POLL_SECONDS)


@contextmanager
def _telling_away() -> Iterator[None]:
    """Tell where it was the database that failed."""
    try:
        yield
    except DBAPIError as error:
        if not _went_away(error):
            raise
        waited = getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE
        raise (LockWaitEnded if waited else DatabaseAway)(str(error.orig)) from error


_LOCK_NOT_AVAILABLE = "55P03"
_AWAY_STATES = ("08", "53", "57P0", "57014", _LOCK_NOT_AVAILABLE, "25P03", "40001", "40P01")
"""How SQLSTATE begins where PostgreSQL is gone, full, stopping or starting, and where it has given up: a statement that
took too long, a wait for a lock, a transaction that was idle or in the way of another. Each may be tried again."""
_AWAY_ERRORS = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR")


def _went_away(error: DBAPIError) -> bool:
    """Whether it was the database that failed, not the statement."""
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, InternalError) and state is None:
        return True  # asyncpg lost its connection between two steps of the protocol
    name = getattr(error.orig, "sqlite_errorname", None)
    told = (state or "").startswith(_AWAY_STATES) or (name or "").startswith(_AWAY_ERRORS)
    return told or error.connection_invalidated


_ANNOUNCED = "gateway_announced"
"""In `info`, which belongs to the driver's connection and outlives the transaction."""


def announce(tx: AsyncConnection) -> None:
    """Have `Database.told` set when this transaction has been committed."""
    tx.info[_ANNOUNCED] = True


_USED_AT = "gateway_used_at"
"""As `_ANNOUNCED`: when the connection was given back, on this process's own clock."""
_ENDINGS = "gateway_endings"
"""As `_ANNOUNCED`: whom to tell of the transaction's end."""


def after(tx: AsyncConnection, tell: Callable[[bool], None]) -> None:
    """Have `tell` called as soon as this transaction has ended: with False where it surely changed nothing.

    What a commit that failed has done is not known, so that is told as one that has changed something.
    """
    tx.info.setdefault(_ENDINGS, []).append(tell)


@dataclass(slots=True)
class _Ending:
    """How a transaction ends; `kept` where it was committed, or may have been."""

    kept: bool = False


@contextmanager
def _telling_ends(tx: AsyncConnection) -> Iterator[_Ending]:
    info, ending = tx.info, _Ending()
    info.pop(_ENDINGS, None)
    try:
        yield ending
    finally:
        for tell in info.pop(_ENDINGS, ()):
            tell(ending.kept)


async def read_now(connection: AsyncConnection) -> float:
    """The database's time in epoch seconds: the one clock that rows obey."""
    return float((await connection.execute(_NOW)).scalar_one())


_NOW = select(func.gateway_now())


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _create_engine(url: str, is_sqlite: bool, server_settings: dict[str, str]) -> AsyncEngine:
    if is_sqlite:
        return create_async_engine(url, hide_parameters=True, json_serializer=_dumps, json_deserializer=orjson.loads)
    return create_async_engine(
        url,
        hide_parameters=True,  # errors are logged, and the parameters are people's numbers and texts
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        connect_args={"server_settings": server_settings},
    )


def _watch_connections(engine: Engine) -> None:
    """Give out only connections to PostgreSQL that are alive.

    SQLAlchemy would ask each of them each time, which takes three round trips: of those that were used just now it is
    enough that the driver has heard of no end.
    """

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError
        if time.monotonic() - record.info.get(_USED_AT, -math.inf) > TRUSTED_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error


def _server_settings(lease_seconds: float, replica: str) -> dict[str, str]:
    """What PostgreSQL is told of each connection: in milliseconds, and in seconds for TCP."""
    idle = max(1.0, min(lease_seconds, IDLE_SECONDS))
    return {
        "application_name": f"{APPLICATION}{replica}" if replica else "waha-gateway",
        "idle_in_transaction_session_timeout": str(round(idle * 1000)),
        "lock_timeout": str(round(LOCK_SECONDS * 1000)),
        # our statements look up a few rows each, which are in memory: as if from a slow disk, tables are read whole
        "random_page_cost": "1.1",
        # so that it notices a replica that has gone without a word; on a Unix socket it ignores them
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


def _prepare_sqlite(engine: Engine, clock: Clock, *, busy_seconds: int) -> None:
    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _: object) -> None:
        dbapi_connection.isolation_level = None  # we begin transactions ourselves, see below
        dbapi_connection.create_function("gateway_now", 0, clock.now)
        cursor = dbapi_connection.cursor()
        pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={busy_seconds * 1000}")
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("gateway_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

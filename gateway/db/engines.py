"""Engines: how SQLAlchemy reaches SQLite and PostgreSQL, and what each connection is told."""

import math
import time
from typing import Any

import orjson
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.clock import Clock
from gateway.db import waits
from gateway.db.errors import DatabaseError
from gateway.db.inline import BUSY_SECONDS

KEPT_CONNECTIONS, MORE_CONNECTIONS = 15, 5
"""A replica's connections to PostgreSQL: those that are kept, and those beyond them that are closed after use."""
TRUSTED_SECONDS = 1.0
"""How long a connection to PostgreSQL may have been idle that is given out without being asked whether it answers."""
APPLICATION = "waha-gateway "
"""How the name begins that PostgreSQL knows a replica's connections by; the replica's id follows."""
_USED_AT = "gateway_used_at"
"""In a connection's `info`: when it was given back, on this process's own clock."""


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


def create_sqlite(url: URL, clock: Clock) -> tuple[AsyncEngine, Engine]:
    """The engine for all threads, and the one that writes in place."""
    engine = create_async_engine(url, hide_parameters=True, json_serializer=_dumps, json_deserializer=orjson.loads)
    writer = create_engine(url.set(drivername="sqlite"), hide_parameters=True)
    _prepare_sqlite(engine.sync_engine, clock, busy_seconds=BUSY_SECONDS)
    # another program that holds the file must not hold up the event loop: see `inline.begin`
    _prepare_sqlite(writer, clock, busy_seconds=0)
    return engine, writer


def create_postgresql(url: URL, lease_seconds: float, replica: str) -> AsyncEngine:
    """The engine of one replica, or of a command (`replica` is empty)."""
    engine = create_async_engine(
        url,
        hide_parameters=True,  # errors are logged, and the parameters are people's numbers and texts
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        connect_args={"server_settings": _server_settings(lease_seconds, replica)},
    )
    _watch_connections(engine.sync_engine)
    return engine


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


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
    idle = max(1.0, min(lease_seconds, waits.IDLE_SECONDS))
    return {
        "application_name": f"{APPLICATION}{replica}" if replica else "waha-gateway",
        "idle_in_transaction_session_timeout": str(round(idle * 1000)),
        "lock_timeout": str(round(waits.LOCK_SECONDS * 1000)),
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

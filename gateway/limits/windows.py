"""Counting requests by the minute: a caller's window begins with their first request and ends a minute later.

Three ways to count, for one replica and for several. They may fail, and take their time: `Meter` copes with that.
"""

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from limits.aio.storage import RedisStorage
from sqlalchemy import ColumnElement, Insert, Integer, String, case, delete, func, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.batch import batch, pack
from gateway.clock import Clock
from gateway.db import Database, table_of
from gateway.limits.models import RateLimit

WINDOW_SECONDS = 60
MOST_WINDOWS = 50_000
"""In memory: about 20 MB. Beyond that the oldest are forgotten, so a flood of addresses costs nothing but that."""
REDIS_SECONDS = 1.0

rate_limit = table_of(RateLimit)


@dataclass(frozen=True, slots=True)
class Window:
    """How many requests there were with this one, and in how many seconds counting begins anew."""

    count: int
    seconds_left: float


class Windows(Protocol):
    """Where windows are kept."""

    shared: bool
    """Whether asking may take time and fail: it is somewhere else."""
    faults: tuple[type[Exception], ...]
    """How it fails."""

    async def count(self, key: str) -> Window:
        """Count one request of whoever is behind `key`."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryWindows:
    """In this process. The `limits` library's own memory looks through all its keys at each request, by the machine's
    clock; here the oldest window is always the first one."""

    shared = False
    faults: tuple[type[Exception], ...] = ()

    def __init__(self, clock: Clock, *, most: int = MOST_WINDOWS) -> None:
        self._clock = clock
        self._most = most
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    async def count(self, key: str) -> Window:
        """Count one request."""
        now = self._clock.monotonic()
        count, ends_at = self._windows.get(key, (0, 0.0))
        if ends_at <= now:
            self._windows.pop(key, None)
            self._forget(now)
            count, ends_at = 0, now + WINDOW_SECONDS
        self._windows[key] = (count + 1, ends_at)
        return Window(count + 1, ends_at - now)

    def _forget(self, now: float) -> None:
        """Make room for one more: what has ended goes, and the oldest if there are too many all the same."""
        while self._windows:
            key, (_, ends_at) = next(iter(self._windows.items()))
            if ends_at > now and len(self._windows) < self._most:
                return
            del self._windows[key]

    async def close(self) -> None:
        """Nothing to let go of."""


class DatabaseWindows:
    """In the database, by its clock. All requests that come while a statement is under way share the next one, so that
    a flood takes one connection and no more; nobody waits for the disk."""

    shared = True
    faults: tuple[type[Exception], ...] = (OSError, SQLAlchemyError)

    def __init__(self, db: Database) -> None:
        self._db = db
        self._statement = _count_all(is_sqlite=db.is_sqlite)
        self._waiting: list[tuple[str, asyncio.Future[Window]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def count(self, key: str) -> Window:
        """Count one request."""
        window: asyncio.Future[Window] = asyncio.get_running_loop().create_future()
        self._waiting.append((_hashed(key), window))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="count requests")
        return await window

    async def _write_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                after = await self._write(Counter(key for key, _ in waiting))
            except Exception as error:  # whoever waits is told, and decides what it means
                _tell(waiting, error)
            else:
                _share(waiting, after)

    async def _write(self, counts: Mapping[str, int]) -> dict[str, Window]:
        """Count so many requests of each; the windows with all of them in."""
        async with self._db.write() as tx:
            rows = await tx.execute(self._statement, {"new": pack(counts.items())})
            return {row[0]: Window(row[1], max(0.0, row[2])) for row in rows}

    async def close(self) -> None:
        """End what is being counted."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait({self._writing})


def _count_all(*, is_sqlite: bool) -> Insert:
    """Counts a batch `new` of keys and how many requests each has, in the order of the keys as every replica does."""
    new = batch("new", key=String(), count=Integer())
    now = func.gateway_now()
    rows = select(new.c.key, new.c.count, now + WINDOW_SECONDS).where(true()).order_by(new.c.key)
    dialect = sqlite if is_sqlite else postgresql
    insert = dialect.insert(rate_limit).from_select(["key", "count", "ends_at"], rows)
    over = rate_limit.c.ends_at <= now
    changed = {
        "count": insert.excluded.count + case((over, 0), else_=rate_limit.c.count),
        "ends_at": case((over, insert.excluded.ends_at), else_=rate_limit.c.ends_at),
    }
    told: list[ColumnElement[Any]] = [rate_limit.c.key, rate_limit.c.count, rate_limit.c.ends_at - now]
    if not is_sqlite:
        told.append(func.set_config("synchronous_commit", "off", True))  # counts may be lost with the machine
    statement: Insert = insert.on_conflict_do_update(index_elements=["key"], set_=changed).returning(*told)
    return statement


def _share(waiting: Sequence[tuple[str, asyncio.Future[Window]]], after: Mapping[str, Window]) -> None:
    """Tell each of them its place in its window, in the order in which they came."""
    still = Counter(key for key, _ in waiting)
    for key, window in waiting:
        still[key] -= 1
        if not window.done():
            window.set_result(Window(after[key].count - still[key], after[key].seconds_left))


def _tell(waiting: Sequence[tuple[str, asyncio.Future[Window]]], error: Exception) -> None:
    for _, window in waiting:
        if not window.done():
            window.set_exception(error)


class RedisWindows:
    """In a Redis, by the `limits` library."""

    shared = True

    def __init__(self, url: str) -> None:
        self._storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="waha-gateway",
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        )
        faults = self._storage.base_exceptions
        self.faults: tuple[type[Exception], ...] = (OSError, *(faults if isinstance(faults, tuple) else (faults,)))

    async def count(self, key: str) -> Window:
        """Count one request."""
        hashed = _hashed(key)
        count = await self._storage.incr(hashed, WINDOW_SECONDS)
        ends_at = await self._storage.get_expiry(hashed)
        return Window(count, max(0.0, ends_at - time.time()))  # the library makes it a time of this machine

    async def info(self) -> dict[str, Any]:
        """What the Redis says about itself: the answer to its INFO."""
        told: dict[str, Any] = await self._client.info()
        return told

    @property
    def _client(self) -> Any:
        return cast(Any, self._storage.bridge).storage

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _hashed(key: str) -> str:
    """So that nobody's number or address is stored, and every key is equally long."""
    return hashlib.blake2b(key.encode(), digest_size=20).hexdigest()


async def forget_old(db: Database, now: float) -> None:
    """Remove windows that have ended by `now` (epoch seconds, by the database's clock)."""
    async with db.write(bulk=True) as tx:
        await tx.execute(delete(rate_limit).where(rate_limit.c.ends_at <= now))

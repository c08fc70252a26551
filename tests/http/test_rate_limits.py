"""Counting requests: by kind and caller, in memory, in the database, in a Redis; and going on where counting fails."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from gateway.clock import Clock
from gateway.db import Database, DatabaseAway
from gateway.errors import RateLimited
from gateway.limits import windows
from gateway.limits.meter import READS, SCHEDULES, WRITES, Meter, RateLimitHeaders, site_of
from gateway.limits.windows import DatabaseWindows, MemoryWindows, RedisWindows, Window, Windows, forget_old


class Stopped(Clock):
    """Time passes only by hand."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.5

    def now(self) -> float:
        """As set."""
        return self.at

    def monotonic(self) -> float:
        """As set."""
        return self.at


class Away:
    """Somewhere else that fails, or never answers."""

    shared = True
    faults: tuple[type[Exception], ...] = (ConnectionError,)

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.asked = 0
        self.closed = False

    async def count(self, key: str) -> Window:
        """Fail."""
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        raise ConnectionError

    async def close(self) -> None:
        """Be closed."""
        self.closed = True


# --- windows


async def counted(places: Windows, key: str, times: int) -> list[int]:
    """The counts of so many requests."""
    return [(await places.count(key)).count for _ in range(times)]


async def test_a_window_in_memory_begins_with_the_first_request_and_ends_a_minute_later() -> None:
    clock = Stopped()
    memory = MemoryWindows(clock)
    assert await memory.count("a") == Window(1, 60.0)
    clock.at += 59
    assert await memory.count("a") == Window(2, 1.0)
    assert await memory.count("b") == Window(1, 60.0)
    clock.at += 1
    assert await memory.count("a") == Window(1, 60.0)


async def test_memory_is_bounded_however_many_addresses_come() -> None:
    clock = Stopped()
    memory = MemoryWindows(clock, most=100)
    for number in range(10_000):
        await memory.count(f"address {number}")
    assert len(memory) == 100
    assert (await memory.count("address 9999")).count == 2
    assert (await memory.count("address 1")).count == 1  # forgotten
    clock.at += 60
    await memory.count("address 9999")
    assert len(memory) == 1


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A migrated database of each kind."""
    database = Database(database_url)
    yield database
    await database.close()


async def test_replicas_count_together_in_the_database(db: Database, database_url: str) -> None:
    one, other = DatabaseWindows(db), DatabaseWindows(db)
    counts = await asyncio.gather(*(place.count("sender 447700900001") for place in (one, other) * 10))
    assert sorted(window.count for window in counts) == list(range(1, 21))
    assert all(58 < window.seconds_left <= 60 for window in counts)
    assert (await other.count("another")).count == 1


async def test_requests_that_come_at_once_share_a_statement_and_each_is_told_its_place(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0
    write = db.write

    def counted_write() -> AbstractAsyncContextManager[AsyncConnection]:
        nonlocal writes
        writes += 1
        return write()

    monkeypatch.setattr(db, "write", counted_write)
    place = DatabaseWindows(db)
    found = await asyncio.gather(*(place.count("ab"[number % 2]) for number in range(1000)))
    assert [window.count for window in found] == [number // 2 + 1 for number in range(1000)]
    assert writes <= 2


async def test_a_statement_that_fails_is_told_to_all_who_wait_and_the_next_one_is_tried(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> AbstractAsyncContextManager[AsyncConnection]:
        raise DatabaseAway("gone")

    place = DatabaseWindows(db)
    with monkeypatch.context() as patch:
        patch.setattr(db, "write", gone)
        told = await asyncio.gather(*(place.count("a") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [DatabaseAway] * 3
    assert (await place.count("a")).count == 1
    await place.close()


async def test_a_window_of_the_database_that_has_ended_begins_anew_and_is_forgotten_in_the_end(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_SECONDS", -1)  # each has ended when the next request comes
    assert await counted(DatabaseWindows(db), "a", 3) == [1, 1, 1]
    monkeypatch.undo()
    assert await counted(DatabaseWindows(db), "b", 2) == [1, 2]
    await forget_old(db, time.time())
    async with db.read() as connection:
        rows = (await connection.execute(select(func.count()).select_from(windows.rate_limit))).scalar_one()
        (stored,) = (await connection.execute(select(windows.rate_limit))).all()
    assert rows == 1
    assert stored.key.isalnum()


async def test_replicas_count_together_in_a_redis(redis_url: str) -> None:
    one, other = RedisWindows(redis_url), RedisWindows(redis_url)
    assert await counted(one, "a", 2) == [1, 2]
    window = await other.count("a")
    assert window.count == 3
    assert 50 < window.seconds_left <= 60
    assert await counted(other, "b", 1) == [1]
    for place in (one, other):
        await place.close()


async def test_a_redis_that_is_away_lets_requests_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    meter = Meter(RedisWindows(f"redis://127.0.0.1:{free}"), Clock(), {READS: 1})
    for _ in range(3):
        await meter.hit("pairings", "192.0.2.1", 1)
    await meter.close()


# --- the meter


@pytest.mark.parametrize("silent", [False, True])
async def test_where_counting_fails_requests_go_on_and_it_is_not_tried_for_some_seconds(
    monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr("gateway.limits.meter.PATIENCE_SECONDS", 0.01)
    clock, away = Stopped(), Away(silent=silent)
    meter = Meter(away, clock, {})
    for _ in range(5):
        await meter.hit("pairings", "192.0.2.1", 1)
    assert away.asked == 1
    clock.at += 5
    await meter.hit("pairings", "192.0.2.1", 1)
    assert away.asked == 2
    await meter.close()
    assert away.closed


async def test_that_counting_fails_is_logged_once_a_minute() -> None:
    clock = Stopped()
    meter = Meter(Away(), clock, {})
    with capture_logs() as logs:
        for _ in range(24):  # two minutes, every five seconds
            await meter.hit("pairings", "192.0.2.1", 1)
            clock.at += 5
    assert [line["event"] for line in logs] == ["requests_not_counted"] * 2


async def test_what_is_used_up_is_not_asked_for_again_elsewhere() -> None:
    clock = Stopped()

    class Counting(MemoryWindows):
        shared = True
        asked = 0

        async def count(self, key: str) -> Window:
            self.asked += 1
            return await super().count(key)

    places = Counting(clock)
    meter = Meter(places, clock, {})
    for _ in range(2):
        await meter.hit("pairings", "192.0.2.1", 2)
    for _ in range(5):
        with pytest.raises(RateLimited):
            await meter.hit("pairings", "192.0.2.1", 2)
    assert places.asked == 2
    clock.at += 60
    await meter.hit("pairings", "192.0.2.1", 2)
    assert places.asked == 3


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/messages", READS),
        ("HEAD", "/api/messages", READS),
        ("PUT", "/api/messages/1", WRITES),
        ("PATCH", "/api/admin/senders/1", WRITES),
        ("DELETE", "/api/sessions/1", WRITES),
        ("POST", "/api/schedules", SCHEDULES),
        ("POST", "/api/send", None),
        ("POST", "/api/webhook/waha", None),
        ("GET", "/health/detailed", None),
        ("GET", "/docs", None),
        ("OPTIONS", "/api/messages", None),
    ],
)
def test_a_request_is_limited_by_its_row_of_the_table(method: str, path: str, kind: str | None) -> None:
    meter = Meter(MemoryWindows(Clock()), Clock(), {READS: 1, WRITES: 1, SCHEDULES: 1})
    assert meter.kind_of(method, path) == kind
    assert Meter(MemoryWindows(Clock()), Clock(), {}).kind_of(method, path) is None


def test_an_address_of_ipv6_stands_for_its_network() -> None:
    assert site_of("192.0.2.1") == "192.0.2.1"
    assert site_of("2001:db8:1:2::1") == site_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert site_of("2001:db8:1:3::1") != site_of("2001:db8:1:2::1")
    assert site_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert site_of("fe80::1%eth0") == "fe80::/64"
    assert site_of("a:name") == "a:name"


async def test_the_headers_come_with_every_counted_answer_and_counting_twice_counts_once() -> None:
    clock = Stopped()
    meter = Meter(MemoryWindows(clock), clock, {READS: 3})

    async def endpoint(request: Request) -> JSONResponse:
        for _ in range(2):
            await meter.count("somebody" if "who" in request.query_params else None)
        return JSONResponse({}, 404)

    async def uncounted(_: Request) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Route("/api/x", endpoint), Route("/api/y", uncounted)])
    app.add_middleware(RateLimitHeaders, meter=meter, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        first = (await client.get("/api/x?who=1")).headers
        clock.at += 10
        second = (await client.get("/api/x?who=1")).headers
        other = (await client.get("/api/x")).headers
        assert "x-ratelimit-limit" not in (await client.get("/api/y")).headers
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    assert [first[name] for name in names] == ["3", "2", "1700000061"]
    assert [second[name] for name in names] == ["3", "1", "1700000061"]
    assert other["x-ratelimit-remaining"] == "2"


async def test_a_request_costs_less_than_a_tenth_of_a_millisecond() -> None:
    meter = Meter(MemoryWindows(Clock()), Clock(), {READS: 10_000_000})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await meter.count(None)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        raise AssertionError("nobody answers")

    layer = RateLimitHeaders(app, meter=meter, clock=Clock())
    scope = {"type": "http", "method": "GET", "path": "/api/x", "client": ("192.0.2.1", 1)}
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(1000):
            await layer(scope, receive, send)
        best = min(best, (time.perf_counter() - began) / 1000)
    assert best < 0.0001

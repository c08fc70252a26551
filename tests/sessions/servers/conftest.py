"""Fleets in virtual time, on SQLite or on whatever `database_url` the test asks for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import gateway.app
from gateway.simulator.stored import SessionStore
from tests.harness.databases import sqlite_url
from tests.harness.virtual_time import VirtualDatabase
from tests.sessions.servers.fleet_world import FleetWorld

MakeFleet = Callable[..., Awaitable[FleetWorld]]


@pytest.fixture
async def make_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[MakeFleet]:
    """Make a fleet with servers of these capacities, and so many replicas that run. Needs `virtual_time`."""
    monkeypatch.setattr(gateway.app, "Database", VirtualDatabase)
    if "database_url" in request.fixturenames:
        url = request.getfixturevalue("database_url")
    elif "postgres_url" in request.fixturenames:
        url = request.getfixturevalue("postgres_url")
    else:
        url = sqlite_url(request.getfixturevalue("sqlite_folder"))
    async with AsyncExitStack() as stack:

        async def make(
            *capacities: int, replicas: int = 1, shared: bool = False, settings: Any = None, **simulator: Any
        ) -> FleetWorld:
            """`shared`: the servers share a store. `settings` are sections over the usual ones."""
            world = FleetWorld(url, tmp_path, stack)
            world.extra = settings or {}
            store = SessionStore() if shared else None
            for capacity in capacities or (100,):
                world.add_waha(capacity=capacity, store=store, **simulator)
            for _ in range(replicas):
                await world.start()
            return world

        yield make

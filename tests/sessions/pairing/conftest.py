"""Worlds in which numbers are paired."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import gateway.app
from tests.harness.databases import sqlite_url
from tests.harness.virtual_time import VirtualDatabase
from tests.sessions.pairing.world import PairingWorld

MakePairingWorld = Callable[..., Awaitable[PairingWorld]]


@pytest.fixture
async def make_pairing_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[MakePairingWorld]:
    """Make a `PairingWorld`: on SQLite, or on whatever `database_url` the test asks for. Needs `virtual_time`."""
    monkeypatch.setattr(gateway.app, "Database", VirtualDatabase)
    if "database_url" in request.fixturenames:
        url = request.getfixturevalue("database_url")
    elif "postgres_url" in request.fixturenames:
        url = request.getfixturevalue("postgres_url")
    else:
        url = sqlite_url(request.getfixturevalue("sqlite_folder"))
    async with AsyncExitStack() as stack:

        async def make(*, replicas: int = 1, token_mode: bool = False, **waha: Any) -> PairingWorld:
            """`waha` are the simulator's settings."""
            world = PairingWorld(url, tmp_path, token_mode=token_mode, waha=waha)
            await world.open(stack, replicas)
            return world

        yield make


@pytest.fixture
async def world(make_pairing_world: MakePairingWorld) -> PairingWorld:
    """One gateway in open mode."""
    return await make_pairing_world()


@pytest.fixture
async def token_world(make_pairing_world: MakePairingWorld) -> PairingWorld:
    """One gateway that wants credentials."""
    return await make_pairing_world(token_mode=True)

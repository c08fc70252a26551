"""Stages for the fault tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.harness.stage import Stage
from tests.harness.databases import sqlite_url

MakeStage = Callable[..., Awaitable[Stage]]


@pytest.fixture(autouse=True)
def database_patience() -> None:
    """The product's own limits: they are what is tested here."""


@pytest.fixture
async def make_stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[MakeStage]:
    """Make a `Stage`, with simulated servers: on SQLite, or on PostgreSQL where the test asks for `postgres_url`."""
    if "postgres_url" in request.fixturenames:
        url = request.getfixturevalue("postgres_url")
    else:
        url = sqlite_url(request.getfixturevalue("sqlite_folder"))
    async with AsyncExitStack() as stack:

        async def make(*, servers: int = 1, simulator: dict[str, object] | None = None, **dispatch: float) -> Stage:
            """`simulator` is what the simulated servers are told, `dispatch` what the gateway is."""
            stage = Stage(stack, tmp_path, url, **dispatch)
            await stage.simulate(servers, **(simulator or {}))
            return stage

        yield make

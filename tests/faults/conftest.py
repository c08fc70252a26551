"""Stages for the fault tests, and a place where each writes down what it measured."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.harness.stage import Stage
from tests.harness.databases import sqlite_url

MakeStage = Callable[..., Awaitable[Stage]]
Record = Callable[..., None]


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

"""Fleets in virtual time, whose database works on the event loop's own thread."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.fleet import MakeFleet, fleets


@pytest.fixture
async def make_fleet(tmp_path: Path, sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeFleet]:
    """Make a gateway with one simulated server for each engine that is named. Needs `virtual_time`."""
    async with fleets(sqlite_folder, tmp_path, monkeypatch) as make:
        yield make

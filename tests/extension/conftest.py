"""The extension in a real browser, in front of a real gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from gateway.http.origins import OWN_EXTENSION
from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.browser.chromium import chromium_with_extension, find_chromium
from tests.browser.watch import Watch
from tests.extension.desk import Desk, open_desk, unpack

__all__ = ["empty_database", "make_world"]

CALM = {"speed": 5.0}
"""Codes last long enough to be looked at."""
NO_LIMITS = {"sends_per_hour": 0, "reads_per_minute": 0, "writes_per_minute": 0}


@pytest.fixture(params=["open", "token"])
async def desk(request: pytest.FixtureRequest, make_world: MakeWorld, tmp_path: Path) -> AsyncIterator[Desk]:
    """A browser that knows nothing yet, before a gateway in open mode and before one in token mode."""
    find_chromium()
    world = await make_world(auth={"user_access": request.param}, limits=NO_LIMITS, simulator=CALM)
    async with open_desk(world, tmp_path) as opened:
        yield opened


@pytest.fixture
async def open_mode_desk(make_world: MakeWorld, tmp_path: Path) -> AsyncIterator[Desk]:
    """The same, in open mode only: for what has nothing to do with credentials."""
    find_chromium()
    async with open_desk(await make_world(limits=NO_LIMITS, simulator=CALM), tmp_path) as opened:
        yield opened


@pytest.fixture
async def extension_page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page of the extension without any gateway: its modules can be imported there."""
    async with chromium_with_extension(unpack(tmp_path), tmp_path / "profile") as context:
        watch = Watch(context, [f"{OWN_EXTENSION}/"])
        page = await context.new_page()
        await page.goto(f"{OWN_EXTENSION}/options.html")
        yield page
        watch.check()

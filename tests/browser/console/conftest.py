"""The console of a real gateway on a real port, in a real browser."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page

from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.browser.console.operator import Operator
from tests.browser.watch import Watch
from tests.harness.live import serving

__all__ = ["empty_database", "make_world"]

CALM = {"speed": 5.0}
"""Codes last long enough to be looked at."""
NO_LIMITS = {"sends_per_hour": 0, "reads_per_minute": 0, "writes_per_minute": 0}


@pytest.fixture
async def operator(page: Page, watch: Watch, make_world: MakeWorld) -> AsyncIterator[Operator]:
    """Somebody who has not logged in yet, before a gateway with one WAHA server."""
    world = await make_world(limits=NO_LIMITS, simulator=CALM)
    async with serving(world.gateway) as url:
        address = url.replace("ws://", "http://").removesuffix("/ws")
        watch.allow(f"{address}/")
        yield Operator(page, world, address, watch)
        await page.close()

"""A gateway with its console, and browsers without a screen that visit it.

What pages show and do goes through the API, which has its own tests on each kind of database.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.admin.console.visitors import open_visitor
from tests.api.conftest import MakeWorld, any_world, empty_database, make_world
from tests.api.world import World

__all__ = ["any_world", "empty_database", "make_world"]


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A gateway with one WAHA server, no delays."""
    return await make_world()


@pytest.fixture
async def visitor(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has not logged in."""
    async with open_visitor(world) as client:
        yield client

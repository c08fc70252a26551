"""A gateway without any WAHA server on each kind of database: what an account owns needs none."""

import pytest

from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.api.world import World

__all__ = ["empty_database", "make_world", "world"]


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API in open mode."""
    return await make_world(database_url=database_url, capacities=())

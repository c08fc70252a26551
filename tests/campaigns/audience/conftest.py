"""A gateway without any WAHA server on each kind of database: what an account owns needs none."""

import pytest

from tests.api.conftest import MakeWorld, empty_database
from tests.api.conftest import make_world as make_api_world  # `make_world` is the harness's, which others here use
from tests.api.world import World

__all__ = ["empty_database", "make_api_world", "world"]


@pytest.fixture
async def world(database_url: str, make_api_world: MakeWorld) -> World:
    """The gateway's API in open mode."""
    return await make_api_world(database_url=database_url, capacities=())

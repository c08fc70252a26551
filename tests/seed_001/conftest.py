"""What every section of the walk through the document needs: the document, and a client with a connected number."""

import pytest

from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.api.test_clients import make_client
from tests.api.world import ALICE, Body, World
from tests.seed_002.seed import SEEDS, Seed, read_seed

__all__ = ["client", "empty_database", "make_world", "seed", "world"]


@pytest.fixture(scope="session")
def seed() -> Seed:
    """The document, or the test is skipped."""
    return read_seed(SEEDS / "001_799a1da46595099a.txt")


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API, with Alice connected."""
    world = await make_world(database_url=database_url)
    await world.pair(ALICE)
    return world


@pytest.fixture
async def client(world: World) -> Body:
    """The document's client, with Alice as its number; it has its key."""
    return await make_client(world, "infinity", senders=[ALICE], balance="10.00", price="0.05", currency="USD")

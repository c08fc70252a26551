"""What every section of the walk through the document needs: the document, and a client whose number is connected."""

import pytest

from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.api.world import ADMIN_TOKEN, ALICE, World
from tests.seed_002.seed import SEEDS, Seed, read_seed

__all__ = ["empty_database", "make_world", "seed", "world"]


@pytest.fixture(scope="session")
def seed() -> Seed:
    """The document, or the test is skipped."""
    return read_seed(SEEDS / "000_42cb48f5227ef97d.txt")


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API in token mode, as a client with a key sees it. Alice is connected, and the client's."""
    auth = {"admin_token": ADMIN_TOKEN, "user_access": "token"}
    world = await make_world(database_url=database_url, auth=auth)
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    await world.pair(ALICE)
    client = {"name": "infinity", "senders": [ALICE], "balance": "1000.60", "price": "0.10", "daily_limit": 1000}
    made = await world.post("/api/admin/clients", client)
    del world.client.headers["X-Admin-Token"]
    world.client.headers["Authorization"] = f"Bearer {made['api_key']}"
    return world

"""What every section of the walk through the document needs: the document, and a gateway in open mode."""

import pytest

from tests.api.conftest import MakeWorld, empty_database, make_world
from tests.api.world import ALICE, World
from tests.seed_002.seed import SEEDS, Seed, read_seed

__all__ = ["empty_database", "make_world", "seed", "world"]


@pytest.fixture(scope="session")
def seed() -> Seed:
    """The document, or the test is skipped."""
    return read_seed(SEEDS / "004_f8955f1e95a0e851.txt")


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway's API in open mode, as the document has it: without any credential. Alice is connected."""
    world = await make_world(database_url=database_url)
    await world.pair(ALICE)
    return world

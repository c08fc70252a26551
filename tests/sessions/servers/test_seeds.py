"""What the settings say about servers, against what the operator has changed since."""

from typing import Any

import pytest

from gateway.settings import Settings
from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import KEY, FleetWorld, Replica

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]


async def restart(world: FleetWorld, **entry: Any) -> None:
    """Stop the gateway and start it again, with the first server's entry changed."""
    await stop(world)
    settings = world.settings().model_dump()
    settings["waha"]["servers"][0] |= {"api_key": KEY} | entry
    settings["waha"]["webhook_secret"], settings["auth"]["admin_token"] = "", "canary-admin-token-4242"
    await world.start(Settings.model_validate(settings))


async def stop(world: FleetWorld) -> None:
    """Stop the gateway in an orderly way."""
    replica: Replica = world.replicas.pop()
    await replica.gateway.stop()


async def names(world: FleetWorld) -> list[str]:
    """The servers that there are."""
    return [item["name"] for item in (await world.call("GET", "/api/admin/servers"))["items"]]


async def test_the_first_start_takes_the_settings_over(make_fleet: MakeFleet) -> None:
    world = await make_fleet(7, 9)
    told = (await world.call("GET", "/api/admin/servers"))["items"]
    assert [(one["name"], one["url"], one["capacity"]) for one in told] == [
        ("waha1", "http://waha1.test", 7),
        ("waha2", "http://waha2.test", 9),
    ]


async def test_what_the_operator_changed_stays_over_a_restart(make_fleet: MakeFleet) -> None:
    world = await make_fleet(7)
    await world.call("PATCH", "/api/admin/servers/waha1", {"capacity": 70})
    await world.call("POST", "/api/admin/servers/waha1/drain")
    await restart(world, capacity=7)
    told = await world.server()
    assert (told["capacity"], told["draining"]) == (70, True)


async def test_an_entry_that_was_changed_wins_at_the_next_start(make_fleet: MakeFleet) -> None:
    world = await make_fleet(7)
    await world.call("PATCH", "/api/admin/servers/waha1", {"capacity": 70})
    await restart(world, capacity=8)
    assert (await world.server())["capacity"] == 8


async def test_a_server_that_was_removed_comes_back_only_when_its_entry_changes(make_fleet: MakeFleet) -> None:
    world = await make_fleet(7, 9)
    await world.call("DELETE", "/api/admin/servers/waha1")
    await restart(world, capacity=7)
    assert await names(world) == ["waha2"]
    await restart(world, capacity=8)
    assert await names(world) == ["waha1", "waha2"]


async def test_a_server_that_left_the_settings_stays(make_fleet: MakeFleet) -> None:
    world = await make_fleet(7, 9)
    world.wahas.pop()
    world.capacities.pop()
    await restart(world, capacity=7)
    assert await names(world) == ["waha1", "waha2"]


async def test_replicas_that_start_together_add_no_server_twice(make_fleet: MakeFleet, postgres_url: str) -> None:
    world = await make_fleet(7, 9, replicas=2)
    assert await names(world) == ["waha1", "waha2"]


async def test_keys_are_encrypted_at_rest(make_fleet: MakeFleet) -> None:
    world = await make_fleet()
    path = world.db.path
    assert path is not None
    await stop(world)
    stored = b"".join(file.read_bytes() for file in path.parent.glob("gateway.db*"))
    assert KEY.encode() not in stored

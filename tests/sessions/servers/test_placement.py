"""Where a new session goes: to the reachable server with the most room, and never beyond its capacity."""

import asyncio
from collections import Counter

import pytest

from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import Replica, number_of

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(120)]


async def create(replica: Replica, index: int) -> tuple[int, str]:
    """Create a session; the HTTP status, and its server or the error's code."""
    answer = await replica.client.post("/api/sessions", json={"phone_number": number_of(index)})
    told = answer.json()
    return answer.status_code, told.get("server") or told["error_code"]


async def test_a_session_goes_where_most_places_are_free(make_fleet: MakeFleet, database_url: str) -> None:
    world = await make_fleet(2, 4)
    placed = [(await create(world.replicas[0], index))[1] for index in range(6)]
    assert placed == ["waha2", "waha2", "waha1", "waha2", "waha1", "waha2"]


async def test_of_twenty_one_at_once_for_twenty_places_one_finds_no_room(
    make_fleet: MakeFleet, database_url: str
) -> None:
    replicas = 2 if database_url.startswith("postgresql") else 1
    world = await make_fleet(6, 7, 7, replicas=replicas)
    answers = await asyncio.gather(*(create(world.replicas[index % replicas], index) for index in range(21)))
    assert Counter(answers) == {(201, "waha1"): 6, (201, "waha2"): 7, (201, "waha3"): 7, (503, "NO_CAPACITY"): 1}
    assert [len(waha.server.lifecycle.stored) for waha in world.wahas] == [6, 7, 7]


async def test_a_server_that_is_down_gets_none(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 1)
    world.wahas[0].way.refuses = True
    await world.until_up("waha1", up=False)
    assert await create(world.replicas[0], 1) == (201, "waha2")
    assert await create(world.replicas[0], 2) == (503, "NO_CAPACITY")


async def test_a_server_that_has_gone_meanwhile_is_passed_over(make_fleet: MakeFleet) -> None:
    world = await make_fleet(100, 1)
    await world.until_up("waha1")
    world.wahas[0].way.refuses = True
    assert await create(world.replicas[0], 1) == (201, "waha2")
    assert (await world.row("waha1")).up is False
    assert (await world.server("waha1"))["sessions"] == 0


async def test_a_session_that_is_moving_takes_a_place_on_either_server(make_fleet: MakeFleet) -> None:
    world = await make_fleet(1, 1)
    [home] = await world.pair(number_of(1))
    assert home == "waha1"
    world.wahas[1].way.slow = 5.0
    moving = asyncio.create_task(world.call("POST", f"/api/admin/sessions/{number_of(1)}/move"))

    async def reserved() -> bool:
        return bool((await world.server("waha2"))["sessions"])

    await world.until(reserved)
    assert [(await world.server(name))["free"] for name in ("waha1", "waha2")] == [0, 0]
    assert await create(world.replicas[0], 2) == (503, "NO_CAPACITY")
    await moving
    assert [(await world.server(name))["free"] for name in ("waha1", "waha2")] == [1, 0]

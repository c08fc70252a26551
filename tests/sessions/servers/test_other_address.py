"""A server gets another address while nobody knows what became of a message that was handed to the old one."""

import pytest

from gateway.simulator.faults import parse_faults
from gateway.simulator.stored import Status
from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import FleetWorld, Waha, number_of

pytestmark = pytest.mark.virtual_time

ALICE = number_of(1)


async def log_in_at(world: FleetWorld, waha: Waha) -> None:
    """Somebody has paired the number there, under the same name, before the address is changed."""
    await waha.server.lifecycle.create(ALICE[1:], {}, apps=None, start=True)
    await world.until(lambda: waha.status(ALICE) == Status.SCAN_QR_CODE)
    waha.server.lifecycle.running[ALICE[1:]].scan(ALICE[1:])
    await world.until(lambda: waha.status(ALICE) == Status.WORKING)


@pytest.mark.parametrize("way", ["the API", "the settings"])
async def test_a_message_that_the_old_address_took_is_not_sent_again_through_the_new_one(
    make_fleet: MakeFleet, way: str
) -> None:
    """It is not in the new store, whether it was sent or not."""
    world = await make_fleet(100, settings={"waha": {"timeout_seconds": 10, "sweep_seconds": 2}})
    await world.pair(ALICE)
    [old] = world.wahas
    new = world.simulate("new")
    await log_in_at(world, new)
    old.server.sender.faults = parse_faults({"next": ["hang_then_deliver"], "hang_seconds": 12.0})
    campaign_id = await world.submit([ALICE], 1)
    await world.pass_time(3)
    if way == "the API":
        await world.call("PATCH", f"/api/admin/servers/{old.name}", {"url": new.url})
    else:
        await world.replicas[0].gateway.stop()
        world.replicas.clear()
        old.url = new.url
        await world.start()
    await world.finish(campaign_id, within=600)
    assert [row.state for row in await world.messages(campaign_id)] == ["unconfirmed"]
    assert (old.sent, new.sent) == (1, 0)

"""A campaign over two servers of which one dies for ten minutes."""

import pytest

from tests.sessions.servers.conftest import MakeFleet
from tests.sessions.servers.fleet_world import number_of

pytestmark = [pytest.mark.virtual_time, pytest.mark.slow, pytest.mark.timeout(300)]
SETTINGS = {"dispatch": {"message_delay": 15}, "waha": {"sweep_seconds": 10}}


@pytest.mark.parametrize("failover", [True, False])
async def test_while_a_server_is_down_nothing_fails_and_nothing_is_counted(
    make_fleet: MakeFleet, failover: bool
) -> None:
    world = await make_fleet(1, 1, settings=SETTINGS)
    senders = [number_of(1), number_of(2)]
    assert sorted(await world.pair(*senders)) == ["waha1", "waha2"]
    dead, alive = world.wahas
    campaign_id = await world.submit(senders, 54, failover=failover)
    await world.until(lambda: dead.sent >= 3, within=600, every=1)
    dead.way.refuses = True
    await world.until_up(dead.name, up=False)
    before, began = dead.sent, alive.sent
    await world.pass_time(300)
    status = await world.call("GET", f"/api/status/{campaign_id}")
    assert "server_down" in [wait["reason"] for wait in status["waiting"]]
    assert status["failed"] == 0
    await world.pass_time(300)
    assert dead.sent == before
    assert alive.sent - began >= (35 if failover else 20)  # without failover half of them are the dead one's
    dead.way.refuses = False
    await world.until(lambda: dead.sent > before, within=100, every=1)
    row = await world.finish(campaign_id)
    assert (row.state, row.n_failed, row.n_skipped, row.n_unconfirmed) == ("completed", 0, 0, 0)
    assert {message.attempts for message in await world.messages(campaign_id)} == {1}
    assert dead.sent + alive.sent == 54

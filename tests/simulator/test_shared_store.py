"""Two servers with one disk, and one login on both."""

import pytest

from gateway.simulator.stored import SessionStore
from tests.simulator.conftest import CHAT, MESSAGE_ID, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time


async def two_servers(simulate: Simulate, engine: str = "GOWS") -> tuple[Simulated, Simulated]:
    """Two servers that share their disk; a session works on the first."""
    store = SessionStore()
    first = await simulate(store, engine=engine, worker_id="a")
    second = await simulate(store, engine=engine, worker_id="b")
    await first.pair()
    first.watch.heard()
    return first, second


async def test_each_server_lists_the_others_sessions_as_stopped(simulate: Simulate) -> None:
    _, second = await two_servers(simulate)
    assert await second.listed() == {SENDER: "STOPPED"}
    assert await second.listed("") == {}


async def test_a_session_moves_without_a_new_pairing(simulate: Simulate) -> None:
    first, second = await two_servers(simulate)
    await first.act("stop")
    await second.act("start")
    assert await second.statuses("WORKING") == ["STARTING", "WORKING"]
    assert await first.listed() == {SENDER: "STOPPED"}
    info = (await first.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (info["assignedWorker"], info["me"]["id"]) == ("b", f"{SENDER}@c.us")


async def test_gows_started_on_a_second_server_leaves_the_first_starting_for_good(simulate: Simulate) -> None:
    first, second = await two_servers(simulate)
    await second.act("start")
    assert await first.statuses("STARTING") == ["STARTING"]
    await first.server.clock.sleep(3600)
    assert (await first.status(), await second.status()) == ("STARTING", "WORKING")
    assert first.watch.heard() == []


async def test_gows_restarted_on_the_first_takes_the_login_back(simulate: Simulate) -> None:
    first, second = await two_servers(simulate)
    await second.act("start")
    await second.statuses("WORKING")
    await first.act("restart")
    await first.statuses("WORKING")
    assert await second.status() == "STARTING"


@pytest.mark.parametrize(
    ("engine", "flap"),
    [("NOWEB", ["STARTING", "WORKING"]), ("WEBJS", ["FAILED", "STARTING", "WORKING"])],
)
async def test_others_take_the_login_from_each_other_for_ever(simulate: Simulate, engine: str, flap: list[str]) -> None:
    first, second = await two_servers(simulate, engine)
    await second.act("start")
    assert await second.statuses("WORKING", count=5) == ["STARTING", "WORKING"] + flap * 4
    assert await first.statuses("WORKING", count=4) == flap * 4


async def test_the_loop_ends_when_one_of_them_stops(simulate: Simulate) -> None:
    first, second = await two_servers(simulate, "NOWEB")
    await second.act("start")
    await second.statuses("WORKING", count=2)
    await first.act("stop")
    await second.server.clock.sleep(10)
    second.watch.heard()
    await second.server.clock.sleep(3600)
    assert (await second.status(), second.watch.heard()) == ("WORKING", [])


async def test_receipts_come_to_the_server_that_has_the_login_now(simulate: Simulate) -> None:
    first, second = await two_servers(simulate)
    await first.send()
    await first.act("stop")
    await second.act("start")
    receipt = await second.watch.next("message.ack", ack=3)
    assert receipt["environment"]["worker"] == {"id": "b"}
    assert not [event for event in first.watch.heard() if event["event"] == "message.ack"]
    assert (await second.call("GET", f"/api/{SENDER}/chats/{CHAT}/messages/{MESSAGE_ID}")).status_code == 200


async def test_each_server_starts_its_own_sessions_after_a_restart(simulate: Simulate) -> None:
    first, second = await two_servers(simulate)
    for server in (first, second):
        await server.tell("restart")
        await server.server.clock.sleep(60)
    assert (await first.listed(), await second.listed()) == ({SENDER: "WORKING"}, {SENDER: "STOPPED"})


async def test_servers_without_a_common_store_know_nothing_of_each_other(simulate: Simulate) -> None:
    first, second = await simulate(), await simulate()
    await first.pair()
    assert await second.listed() == {}

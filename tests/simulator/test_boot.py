"""Servers that die and come back, with fewer sessions than before, and what older versions do."""

import httpx
import pytest

from gateway.simulator.versions import habits_of
from tests.simulator.conftest import SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time
NUMBERS = ("447700900100", "447700900101", "447700900102")


async def three_sessions(simulate: Simulate, **settings: object) -> Simulated:
    """A server with three sessions that work."""
    waha = await simulate(**settings)
    for number in NUMBERS:
        await waha.pair(number, number)
    return waha


async def listen_again(waha: Simulated) -> None:
    """A new watch, for the old one ended with the server."""
    waha.watch = type(waha.watch)(waha.server)


async def test_during_boot_only_the_list_of_all_is_complete(simulate: Simulate) -> None:
    waha = await three_sessions(simulate)
    await waha.tell("restart", {"start_delay_seconds": 30})
    await waha.server.clock.sleep(40)
    first, second, third = NUMBERS
    assert await waha.listed("") == {first: "WORKING", second: "WORKING"}
    assert await waha.listed() == {first: "WORKING", second: "WORKING", third: "STOPPED"}


async def test_a_session_that_hangs_at_boot_leaves_the_rest_stopped(simulate: Simulate) -> None:
    waha = await three_sessions(simulate)
    await waha.tell("restart", {"hang_session": NUMBERS[1]})
    await waha.server.clock.sleep(3600)
    assert list((await waha.listed()).values()) == ["WORKING", "WORKING", "STOPPED"]
    assert await waha.act("start", NUMBERS[2]) == 201


async def test_a_session_that_hangs_is_locked_meanwhile_and_stopped_in_the_list(simulate: Simulate) -> None:
    waha = await three_sessions(simulate)
    await waha.tell("restart", {"hang_session": NUMBERS[0]})
    await waha.server.clock.sleep(10)
    assert await waha.status(NUMBERS[0]) == "STOPPED"
    answer = await waha.call("POST", f"/api/sessions/{NUMBERS[0]}/start")
    assert answer.json()["exception"]["message"] == f"async-lock timed out in queue {NUMBERS[0]}"


async def test_later_versions_start_the_rest_too(simulate: Simulate) -> None:
    waha = await three_sessions(simulate, version="2026.7.2")
    await waha.tell("restart", {"hang_session": NUMBERS[0]})
    await waha.server.clock.sleep(3600)
    assert set((await waha.listed()).values()) == {"WORKING"}


async def test_a_session_to_hang_must_be_known(simulate: Simulate) -> None:
    waha = await simulate()
    assert (await waha.call("POST", "/sim/restart", {"hang_session": SENDER})).status_code == 404


async def test_an_old_core_forgets_sessions_and_configs_but_finds_the_login_by_name(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(metadata={"tenant": "a"})
    await waha.tell("restart", {"forget_config": True})
    await waha.server.clock.sleep(60)
    assert await waha.listed() == {}
    await listen_again(waha)
    await waha.create()
    assert await waha.statuses("WORKING") == ["STARTING", "WORKING"]
    assert (await waha.call("GET", f"/api/sessions/{SENDER}")).json()["config"] == {}


async def test_a_server_without_a_disk_forgets_the_logins_too(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell("restart", {"forget_config": True, "forget_logins": True})
    await waha.server.clock.sleep(60)
    await listen_again(waha)
    await waha.create()
    assert await waha.statuses("SCAN_QR_CODE") == ["STARTING", "SCAN_QR_CODE"]


async def test_deleting_a_forgotten_session_wipes_what_was_left_of_it(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell("restart", {"forget_config": True})
    await waha.server.clock.sleep(60)
    await listen_again(waha)
    await waha.call("DELETE", f"/api/sessions/{SENDER}")
    await waha.create()
    assert await waha.statuses("SCAN_QR_CODE") == ["STARTING", "SCAN_QR_CODE"]


async def test_a_restarted_container_may_leave_all_sessions_stopped(simulate: Simulate) -> None:
    waha = await three_sessions(simulate)
    await waha.tell("restart", {"keep_sessions_stopped": True})
    await waha.server.clock.sleep(3600)
    assert set((await waha.listed()).values()) == {"STOPPED"}
    await waha.act("start", NUMBERS[0])
    await waha.server.clock.sleep(5)
    assert await waha.status(NUMBERS[0]) == "WORKING"


async def test_receipts_are_told_after_a_restart_of_the_server(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell("restart")
    await waha.server.clock.sleep(10)
    await listen_again(waha)
    await waha.send()
    await waha.watch.next("message.any")
    await waha.watch.next("message.ack", ack=3)


@pytest.mark.parametrize("status", ["WORKING", "FAILED"])
async def test_before_2026_6_1_starting_a_running_session_is_422(simulate: Simulate, status: str) -> None:
    waha = await simulate(version="2026.5.1")
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/status", {"status": status})
    answer = await waha.call("POST", f"/api/sessions/{SENDER}/start")
    assert answer.json() == {
        "statusCode": 422,
        "message": f"Session '{SENDER}' is already started.",
        "error": "Unprocessable Entity",
    }
    await waha.act("stop")
    assert await waha.act("start") == 201


async def test_before_2026_1_1_deleting_a_failed_session_of_gows_ends_the_server(simulate: Simulate) -> None:
    waha = await simulate(version="2025.12.3")
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/status", {"status": "FAILED"})
    with pytest.raises(httpx.ReadError):
        await waha.call("DELETE", f"/api/sessions/{SENDER}")
    assert waha.server.dead
    await waha.server.clock.sleep(10)
    assert await waha.listed() == {SENDER: "WORKING"}


@pytest.mark.parametrize(("version", "engine"), [("2026.1.1", "GOWS"), ("2025.12.3", "NOWEB")])
async def test_deleting_a_failed_session_is_harmless_elsewhere(simulate: Simulate, version: str, engine: str) -> None:
    waha = await simulate(version=version, engine=engine)
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/status", {"status": "FAILED"})
    assert (await waha.call("DELETE", f"/api/sessions/{SENDER}")).status_code == 200
    assert await waha.listed() == {}


def test_versions_are_compared_by_number_and_not_as_text() -> None:
    assert habits_of("2026.10.1") == habits_of("2026.7.2")
    with pytest.raises(ValueError, match="latest"):
        habits_of("latest")

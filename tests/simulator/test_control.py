"""What can be told to the simulator under /sim/, and restarts of the whole server."""

import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Watch


async def test_a_status_can_be_forced(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    for status in ("FAILED", "STARTING", "WORKING", "SCAN_QR_CODE", "STOPPED"):
        await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": status})
        await waha.watch.next("session.status", status=status)
        assert await waha.status() == status


async def test_a_session_that_was_never_paired_cannot_be_forced_to_work(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    answer = await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "WORKING"})
    assert answer.status_code == 422


async def test_an_unknown_status_is_422_and_an_unknown_session_404(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    path = f"/sim/sessions/{SENDER}/status"
    assert (await waha.call("POST", path, {"status": "HAPPY"})).status_code == 422
    assert (await waha.call("POST", "/sim/sessions/nobody/status", {"status": "FAILED"})).status_code == 404


async def test_nobody_can_write_to_a_session_that_does_not_work(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    body = {"from": RECIPIENT, "text": "hi"}
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", body)).status_code == 422


async def test_a_receipt_can_be_given_by_hand(simulate: Simulate) -> None:
    waha = await simulate(receipts=False)
    await waha.pair()
    await waha.send()
    body = {"chat_id": CHAT, "id": MESSAGE_ID, "ack": 4}
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/ack", body)).json() == {
        "id": MESSAGE_ID,
        "ack": 4,
    }
    assert (await waha.watch.next("message.ack"))["payload"]["ackName"] == "PLAYED"


async def test_receipts_can_be_switched_on_and_off(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("PUT", "/sim/receipts", {"enabled": False})
    await waha.send()
    await waha.call("PUT", "/sim/receipts", {"enabled": True})
    await waha.send(id="3EB0BBBBBBBBBBBBBBBBBB")
    first = await waha.watch.next("message.ack")
    assert first["payload"]["id"].endswith("3EB0BBBBBBBBBBBBBBBBBB")


@pytest.mark.parametrize("speed", [0, -1, "fast", None])
async def test_a_wrong_speed_is_422(simulate: Simulate, speed: object) -> None:
    waha = await simulate()
    assert (await waha.call("PUT", "/sim/clock", {"speed": speed})).status_code == 422
    assert (await waha.call("GET", "/sim/clock")).json() == {"speed": 1000}


async def test_a_restarted_server_brings_back_the_sessions_that_ran_one_by_one(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    for number in range(3):
        await waha.pair(f"44770090010{number}", f"44770090010{number}")
    await waha.call("POST", "/api/sessions/447700900101/stop")
    before = (await waha.call("GET", "/api/server/status")).json()["startTimestamp"]
    await waha.call("POST", "/sim/restart", {"start_delay_seconds": 30})
    waha.watch = Watch(waha.server)
    first = await waha.watch.next("session.status", status="WORKING")
    second = await waha.watch.next("session.status", status="WORKING")
    assert [first["session"], second["session"]] == ["447700900100", "447700900102"]
    assert second["timestamp"] - first["timestamp"] >= 250
    assert (await waha.call("GET", "/api/server/status")).json()["startTimestamp"] > before
    everything = {one["name"]: one["status"] for one in (await waha.call("GET", "/api/sessions?all=true")).json()}
    assert everything["447700900101"] == "STOPPED"


async def test_a_restarting_server_is_dead_for_as_long_as_told(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    await waha.call("POST", "/sim/restart", {"down_seconds": 3600})
    assert waha.server.dead
    waha.server.clock.set_speed(1e6)
    await waha.server.clock.sleep(7200)
    assert (await waha.call("GET", "/ping")).status_code == 200

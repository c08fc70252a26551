"""WhatsApp out of reach, and how each engine comes back."""

import asyncio
from itertools import pairwise

import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time
HOUR = 3600
OTHER = "447700900124"


async def lose_whatsapp(waha: Simulated, seconds: float, **more: object) -> list[str]:
    """Pair a session, and cut the way to WhatsApp; who is hit."""
    await waha.pair()
    waha.watch.heard()
    told = await waha.tell("disconnect", {"seconds": seconds, **more})
    hit: list[str] = told["sessions"]
    return hit


@pytest.mark.parametrize(
    ("engine", "path"),
    [
        ("GOWS", ["STARTING", "WORKING"]),
        ("NOWEB", ["STARTING", "WORKING"]),
        ("WEBJS", ["FAILED", "STARTING", "WORKING"]),
    ],
)
async def test_a_lost_connection_is_seen_as_flapping(simulate: Simulate, engine: str, path: list[str]) -> None:
    waha = await simulate(engine=engine)
    assert await lose_whatsapp(waha, 0) == [SENDER]
    assert await waha.statuses("WORKING") == path


async def test_gows_says_starting_once_and_comes_back_at_the_attempt_after_the_end(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, HOUR)
    before = waha.server.clock.elapsed()
    assert await waha.statuses("WORKING") == ["STARTING", "WORKING"]
    attempts = [0.5 + sum(2.0 * step for step in range(1, failures + 1)) for failures in range(100)]
    assert waha.server.clock.elapsed() - before == pytest.approx(next(moment for moment in attempts if moment >= HOUR))


async def test_noweb_starts_anew_every_2_s_and_comes_back(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await lose_whatsapp(waha, 20)
    events = [await waha.watch.next("session.status", status="STARTING") for _ in range(8)]
    moments = [event["timestamp"] for event in events]
    assert {later - earlier for earlier, later in pairwise(moments[1:])} == {2000}
    assert await waha.statuses("WORKING") == ["STARTING", "STARTING", "WORKING"]


async def test_noweb_gives_up_after_60_startings_in_a_row_for_good(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await lose_whatsapp(waha, 300)
    assert await waha.statuses("FAILED") == ["STARTING"] * 60 + ["FAILED"]
    await waha.server.clock.sleep(HOUR)
    assert (await waha.act("start"), await waha.status()) == (201, "FAILED")
    await waha.act("restart")
    assert (await waha.statuses("WORKING"))[-2:] == ["STARTING", "WORKING"]


async def test_a_noweb_session_restarted_during_the_outage_strikes_from_one_again(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await lose_whatsapp(waha, HOUR)
    await waha.statuses("FAILED")
    await waha.act("restart")
    assert await waha.statuses("FAILED") == ["STOPPED"] + ["STARTING"] * 60 + ["FAILED"]


async def test_webjs_fails_and_starts_by_itself_until_whatsapp_is_back(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await lose_whatsapp(waha, 90)
    told = await waha.statuses("WORKING")
    assert told == ["FAILED", "STARTING"] * (len(told) // 2) + ["WORKING"]
    assert 3 <= told.count("FAILED") <= 5


async def test_a_long_outage_of_many_gows_sessions_tells_two_events_each(simulate: Simulate) -> None:
    waha = await simulate()
    for number in (SENDER, OTHER):
        await waha.pair(number, number)
    waha.watch.heard()
    await waha.tell("disconnect", {"seconds": 24 * HOUR})
    await waha.server.clock.sleep(25 * HOUR)
    assert len(waha.watch.heard()) == 4


async def test_only_the_sessions_named_lose_whatsapp(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(OTHER, OTHER)
    assert await lose_whatsapp(waha, HOUR, sessions=[SENDER]) == [SENDER]
    assert await waha.listed() == {OTHER: "WORKING", SENDER: "STARTING"}


async def test_a_send_in_flight_meets_a_closed_socket(simulate: Simulate) -> None:
    waha = await simulate(latency_seconds=2.0, latency_jitter=False)
    await waha.pair()
    sending = asyncio.create_task(waha.send())
    await waha.server.clock.sleep(1)
    await waha.tell("disconnect", {"seconds": 60})
    answer = await sending
    assert answer.status_code == 500
    assert answer.json()["exception"]["message"] == "2 UNKNOWN: websocket not connected"
    assert await waha.ledger() == []


async def test_a_send_to_a_starting_session_waits_10_s_and_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, HOUR)
    answer = await waha.send()
    assert (answer.status_code, answer.json()["status"]) == (422, "STARTING")


async def test_an_outage_that_nobody_noticed_yet_says_working_and_fails_sends(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, HOUR, unnoticed_seconds=30)
    answer = await waha.send()
    assert (await waha.status(), answer.status_code) == ("WORKING", 500)
    assert answer.json()["exception"]["message"] == "2 UNKNOWN: websocket not connected"
    await waha.server.clock.sleep(31)
    assert await waha.status() == "STARTING"


async def test_an_outage_that_ends_unnoticed_tells_nothing(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, 20, unnoticed_seconds=30)
    await waha.server.clock.sleep(60)
    assert (waha.watch.heard(), (await waha.send()).status_code) == ([], 201)


@pytest.mark.parametrize("unnoticed_seconds", [0, 60])
async def test_receipts_of_the_outage_come_when_the_session_works_again(
    simulate: Simulate, unnoticed_seconds: float
) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    await waha.tell("disconnect", {"seconds": 60, "unnoticed_seconds": unnoticed_seconds})
    waha.watch.heard()
    await waha.server.clock.sleep(50)
    assert not any(event["event"] == "message.ack" for event in waha.watch.heard())
    if unnoticed_seconds:
        await waha.act("restart")
    await waha.watch.next("message.ack", ack=3)
    assert (await waha.call("GET", f"/api/{SENDER}/chats/{CHAT}/messages/{MESSAGE_ID}")).json()["ack"] == 3


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_who_shows_a_code_when_whatsapp_is_lost_fails_for_good(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.show_qr()
    await waha.tell("disconnect", {"seconds": 10})
    await waha.server.clock.sleep(HOUR)
    assert await waha.statuses("FAILED") == ["FAILED"]
    assert (waha.watch.heard(), (await waha.scan()).status_code) == ([], 422)


async def test_webjs_shows_another_code_when_whatsapp_is_back(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await waha.show_qr()
    await waha.tell("disconnect", {"seconds": 10})
    assert await waha.statuses("SCAN_QR_CODE") == ["FAILED", "STARTING", "SCAN_QR_CODE"]


async def test_a_session_that_is_started_during_an_outage_waits_for_its_end(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.act("stop")
    await waha.tell("disconnect", {"seconds": HOUR})
    await waha.act("start")
    await waha.server.clock.sleep(HOUR - 60)
    assert await waha.status() == "STARTING"
    await waha.statuses("WORKING")


async def test_a_second_outage_during_the_first_makes_it_longer(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, 60)
    await waha.server.clock.sleep(50)
    await waha.tell("disconnect", {"seconds": HOUR})
    await waha.server.clock.sleep(HOUR - 60)
    assert await waha.status() == "STARTING"


async def test_an_outage_does_not_wake_a_failed_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/status", {"status": "FAILED"})
    await waha.tell("disconnect", {"seconds": 5})
    await waha.server.clock.sleep(HOUR)
    assert await waha.status() == "FAILED"


@pytest.mark.parametrize(
    "body", [{}, {"seconds": -1}, {"seconds": 1, "sessions": SENDER}, {"seconds": 1, "unnoticed_seconds": "soon"}]
)
async def test_a_disconnect_needs_seconds_and_a_list_of_names(simulate: Simulate, body: dict[str, object]) -> None:
    waha = await simulate()
    assert (await waha.call("POST", "/sim/disconnect", body)).status_code == 422


async def test_nobody_can_write_to_a_session_in_an_outage(simulate: Simulate) -> None:
    waha = await simulate()
    await lose_whatsapp(waha, HOUR)
    body = {"from": RECIPIENT, "text": "hi"}
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", body)).status_code == 422

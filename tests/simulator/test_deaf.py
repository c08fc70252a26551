"""Sessions that work and hear nothing."""

import pytest

from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time
TRUTH = f"/api/{SENDER}/chats/{CHAT}/messages/{MESSAGE_ID}"


async def deafen(waha: Simulated, **wish: bool) -> None:
    """Pair a session, and make it deaf."""
    await waha.pair()
    await waha.tell(f"sessions/{SENDER}/deaf", {"deaf": True, **wish})
    waha.watch.heard()


async def test_a_deaf_session_takes_a_send_and_tells_neither_message_nor_receipt(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha)
    assert (await waha.send()).status_code == 201
    await waha.tell(f"sessions/{SENDER}/incoming", {"from": RECIPIENT, "text": "are you there?"})
    await waha.server.clock.sleep(3600)
    assert waha.watch.heard() == []
    assert len(await waha.ledger()) == 1


async def test_a_deaf_session_says_that_it_works(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha)
    info = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (info["status"], info["engine"]["gows"]["connected"]) == ("WORKING", True)


async def test_the_history_of_a_deaf_session_knows_what_was_not_told(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha)
    await waha.send()
    await waha.server.clock.sleep(60)
    assert (await waha.call("GET", TRUTH)).json()["ackName"] == "READ"


async def test_a_restart_cures_a_deaf_session_and_what_it_missed_stays_lost(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha)
    await waha.send()
    await waha.server.clock.sleep(60)
    await waha.act("restart")
    assert await waha.statuses("WORKING") == ["STOPPED", "STARTING", "WORKING"]
    assert waha.watch.heard() == []
    await waha.send(id="3EB0BBBBBBBBBBBBBBBBBB")
    assert (await waha.watch.next("message.ack"))["payload"]["id"].endswith("3EB0BBBBBBBBBBBBBBBBBB")


async def test_losing_whatsapp_for_a_moment_does_not_cure(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha)
    await waha.tell("disconnect", {"seconds": 1})
    assert await waha.statuses("WORKING") == ["STARTING", "WORKING"]
    await waha.send()
    await waha.server.clock.sleep(60)
    assert waha.watch.heard() == []


async def test_an_incurable_session_stays_deaf_after_a_restart(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha, incurable=True)
    await waha.act("restart")
    await waha.statuses("WORKING")
    await waha.send()
    await waha.server.clock.sleep(60)
    assert waha.watch.heard() == []


async def test_a_session_can_be_told_to_hear_again(simulate: Simulate) -> None:
    waha = await simulate()
    await deafen(waha, incurable=True)
    told = await waha.tell(f"sessions/{SENDER}/deaf", {"deaf": False})
    assert told == {"name": SENDER, "deaf": False, "incurable": False}
    await waha.send()
    await waha.watch.next("message.ack", ack=3)


@pytest.mark.parametrize("body", [{}, {"deaf": 1}, {"deaf": True, "incurable": "yes"}])
async def test_deafness_must_be_true_or_false(simulate: Simulate, body: dict[str, object]) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/deaf", body)).status_code == 422

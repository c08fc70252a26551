"""Faults: what the client sees, and what WhatsApp has then."""

import asyncio
from collections import Counter

import httpx
import pytest

from gateway.simulator.chance import seeded
from gateway.simulator.faults import Fault, Faults, parse_faults
from tests.simulator.conftest import CHAT, RECIPIENT, SENDER, Simulate


@pytest.mark.parametrize(
    ("fault", "status", "accepted"),
    [
        ("error_500", 500, False),
        ("error_463", 500, False),
        ("error_500_after", 500, True),
        ("hang", 500, True),
        ("hang_before", 500, False),
        ("hang_then_deliver", 201, True),
        ("no_receipts", 201, True),
        ("no_trace", 201, True),
    ],
)
async def test_a_fault_answers_so_and_whatsapp_has_the_message_or_not(
    simulate: Simulate, fault: str, status: int, accepted: bool
) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(**{fault: 1})
    assert (await waha.send()).status_code == status
    assert [one["answer_status"] for one in await waha.ledger()] == ([status] if accepted else [])
    assert await waha.refusals() == ([] if accepted else [fault])


@pytest.mark.parametrize(("fault", "accepted"), [("cut_before", 0), ("cut_after", 1)])
async def test_a_cut_connection_is_a_read_error_on_an_asgi_transport(
    simulate: Simulate, fault: str, accepted: int
) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(**{fault: 1})
    with pytest.raises(httpx.ReadError):
        await waha.send()
    assert [one["answered_at"] for one in await waha.ledger()] == [None] * accepted


@pytest.mark.parametrize("fault", ["hang", "hang_before", "hang_then_deliver"])
async def test_a_hang_lasts_as_long_as_it_was_told(simulate: Simulate, fault: str) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(**{fault: 1, "hang_seconds": 30})
    before = waha.server.clock.elapsed()
    await waha.send()
    assert waha.server.clock.elapsed() - before >= 30


async def test_a_hung_message_is_in_the_ledger_before_anybody_is_answered(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    waha.server.clock.set_speed(1)
    await waha.faults(hang=1, hang_seconds=3600)
    sending = asyncio.create_task(waha.send())
    await waha.watch.next("message.any")
    assert [one["answered_at"] for one in await waha.ledger()] == [None]
    assert not sending.done()
    waha.server.clock.set_speed(1e6)
    assert (await sending).status_code == 500


async def test_a_late_message_is_in_the_ledger_only_when_the_hang_is_over(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(hang_then_deliver=1, hang_seconds=30)
    await waha.send()
    [sent] = await waha.ledger()
    assert sent["time"] - sent["received_at"] >= 0.0299


async def test_the_timeout_of_gows_says_so(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(hang=1)
    message = (await waha.send()).json()["exception"]["message"]
    assert message == "2 UNKNOWN: timed out waiting for message send response"


async def test_a_new_contact_restriction_is_463_on_gows_and_ack_minus_one_on_noweb(
    simulate: Simulate,
) -> None:
    gows = await simulate()
    await gows.pair()
    await gows.faults(error_463=1)
    message = (await gows.send()).json()["exception"]["message"]
    assert message == "2 UNKNOWN: server returned error 463"
    noweb = await simulate(engine="NOWEB")
    await noweb.pair()
    await noweb.faults(error_463=1)
    assert (await noweb.send()).status_code == 201
    await noweb.watch.next("message.ack", ack=-1)
    assert await noweb.ledger() == []


async def test_next_names_the_fate_of_the_next_sends_in_order(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(next=["none", "error_500", "error_500_after"])
    codes = [(await waha.send(id=None)).status_code for _ in range(4)]
    assert codes == [201, 500, 500, 201]
    assert [one["answer_status"] for one in await waha.ledger()] == [201, 500, 201]


async def test_faults_of_one_session_leave_the_others_alone(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.pair("other", "447700900124")
    await waha.call("PUT", f"/sim/faults?session={SENDER}", {"error_500": 1})
    assert (await waha.send()).status_code == 500
    assert (await waha.send(session="other")).status_code == 201
    assert (await waha.call("GET", "/sim/faults")).json()["error_500"] == 0
    assert (await waha.call("GET", f"/sim/faults?session={SENDER}")).json()["error_500"] == 1


async def test_slow_is_added_to_every_send(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(slow=40)
    before = waha.server.clock.elapsed()
    assert (await waha.send()).status_code == 201
    assert waha.server.clock.elapsed() - before >= 40


async def test_a_dead_server_cuts_every_call_but_those_of_sim(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(down=True)
    for path in ("/ping", "/api/sessions", "/nowhere"):
        with pytest.raises(httpx.ReadError):
            await waha.call("GET", path)
    assert (await waha.call("GET", "/sim/faults")).json()["down"] is True
    await waha.faults()
    assert await waha.status() == "WORKING"


async def test_a_server_that_dies_during_a_send_answers_nobody_though_whatsapp_has_it(
    simulate: Simulate,
) -> None:
    waha = await simulate(latency_seconds=300, latency_jitter=False)
    await waha.pair()
    sending = await waha.begin_sending()
    await waha.faults(down=True)
    with pytest.raises(httpx.ReadError):
        await sending
    assert [one["answered_at"] for one in await waha.ledger()] == [None]


async def test_putting_faults_replaces_all_of_them(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.faults(error_500=0.5, down=True)
    await waha.faults(slow=2)
    told = (await waha.call("GET", "/sim/faults")).json()
    assert told == {**Faults().to_json(), "slow": 2}


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"error_500": -0.1},
        {"error_500": "often"},
        {"error_500": True},
        {"down": 1},
        {"error_500": 0.6, "hang": 0.6},
        {"next": ["explode"]},
        {"next": "hang"},
    ],
)
async def test_a_wrong_fault_is_422_and_changes_nothing(simulate: Simulate, body: dict[str, object]) -> None:
    waha = await simulate()
    assert (await waha.call("PUT", "/sim/faults", body)).status_code == 422
    assert (await waha.call("GET", "/sim/faults")).json() == Faults().to_json()


def test_faults_come_as_often_as_their_probability_says() -> None:
    faults = parse_faults({"error_500": 0.1, "cut_after": 0.2})
    rng = seeded(1)
    drawn = Counter(faults.draw(rng) for _ in range(10_000))
    assert 900 < drawn[Fault.ERROR_500] < 1100
    assert 1850 < drawn[Fault.CUT_AFTER] < 2150
    assert drawn[None] == 10_000 - drawn[Fault.ERROR_500] - drawn[Fault.CUT_AFTER]


async def test_a_refused_number_stays_refused_under_a_fault_that_would_accept(simulate: Simulate) -> None:
    waha = await simulate(unregistered=frozenset({RECIPIENT}))
    await waha.pair()
    await waha.faults(cut_after=1)
    assert (await waha.send()).status_code == 500
    assert await waha.ledger() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(("engine", "ack"), [("GOWS", 1), ("NOWEB", 0), ("WEBJS", 0)])
async def test_a_message_without_receipts_is_told_and_found_and_reaches_nobody(
    simulate: Simulate, engine: str, ack: int
) -> None:
    waha = await simulate(engine=engine)
    await waha.pair(noweb={"store": {"enabled": True, "fullSync": False}})
    await waha.faults(no_receipts=1)
    assert (await waha.send()).status_code == 201
    await waha.server.clock.sleep(3600)
    assert [event["event"] for event in waha.watch.heard()] == ["message.any"]
    [sent] = await waha.ledger()
    assert (sent["shown"], sent["answer_status"]) == (False, 201)
    found = await waha.call("GET", f"/api/{SENDER}/chats/{CHAT}/messages")
    assert [(one["id"].split("_")[2], one["ack"]) for one in found.json()] == [(sent["id"], ack)]


@pytest.mark.virtual_time
@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_a_message_without_a_trace_is_neither_told_nor_found(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.pair(noweb={"store": {"enabled": True, "fullSync": False}})
    await waha.faults(next=["no_trace"])
    assert (await waha.send()).status_code == 201
    await waha.server.clock.sleep(3600)
    assert waha.watch.heard() == []
    [sent] = await waha.ledger()
    assert sent["shown"] is False
    lookup = f"/api/{SENDER}/chats/{CHAT}/messages/true_{CHAT}_{sent['id']}"
    assert (await waha.call("GET", lookup)).json()["message"] == "Message not found"

"""Events that are lost, doubled, late, out of order, or about nothing: each receiver, and what stays true."""

from typing import Any

import httpx
import orjson
import pytest

from gateway.simulator.event_faults import EventFaults
from gateway.simulator.webhooks import WebhookFaults
from tests.simulator.conftest import CHAT, MESSAGE_ID, RECIPIENT, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time

HOUR = 3600
MESSAGES = f"/api/{SENDER}/chats/{CHAT}/messages"


async def events(waha: Simulated, **faults: float) -> None:
    """Let this go wrong with events."""
    answer = await waha.call("PUT", "/sim/events", faults)
    assert answer.status_code == 200, answer.text


async def send_and_wait(waha: Simulated) -> list[dict[str, Any]]:
    """Send one text; all that was told of it within the hour, in order."""
    assert (await waha.send()).status_code == 201
    await waha.server.clock.sleep(HOUR)
    return waha.watch.heard()


def acks(told: list[dict[str, Any]], message_id: str = MESSAGE_ID) -> list[int]:
    """The receipts of one message in the order in which they were told."""
    payloads = [event["payload"] for event in told if event["event"] == "message.ack"]
    return [payload["ack"] for payload in payloads if payload["id"].split("_")[2] == message_id]


class Inbox:
    """A webhook endpoint that takes everything."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(orjson.loads(request.content))
        return httpx.Response(200)


async def with_inbox(simulate: Simulate, **settings: Any) -> tuple[Simulated, Inbox]:
    """A working session whose messages and receipts go to a webhook too."""
    inbox = Inbox()
    waha = await simulate(transport=httpx.MockTransport(inbox), **settings)
    await waha.pair(webhooks=[{"url": "http://gateway.test/hook", "events": ["message.any", "message.ack"]}])
    return waha, inbox


async def test_a_repeated_event_has_the_same_id_and_bytes_on_sockets_and_webhooks(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate)
    await events(waha, repeat=1)
    told = await send_and_wait(waha)
    assert [event["event"] for event in told] == ["message.any"] * 2 + ["message.ack"] * 4
    assert told[0::2] == told[1::2]
    ids = [event["id"] for event in inbox.got]
    assert sorted(ids) == sorted(event["id"] for event in told)


async def test_a_lost_event_reaches_nobody_and_the_look_up_knows_better(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate)
    await events(waha, lose=1)
    assert await send_and_wait(waha) == []
    assert inbox.got == []
    assert (await waha.call("GET", f"{MESSAGES}/{MESSAGE_ID}")).json()["ack"] == 3


async def test_each_receiver_has_its_own_luck(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate, receipts=False)
    await events(waha, lose=0.5)
    for number in range(40):
        await waha.send(id=None, text=str(number))
    await waha.server.webhooks.drained()
    streamed = {event["id"] for event in waha.watch.heard()}
    posted = {event["id"] for event in inbox.got}
    assert streamed - posted
    assert posted - streamed
    assert len(streamed | posted) < 40


async def test_events_that_are_held_back_overtake_each_other(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await events(waha, reorder_seconds=600)
    orders = set()
    for number in range(10):
        await waha.send(id=f"3EB0{number:018X}")
        await waha.server.clock.sleep(HOUR)
        told = waha.watch.heard()
        assert sorted(acks(told, f"3EB0{number:018X}")) == [2, 3]
        orders.add(tuple(event["payload"].get("ack") for event in told))
        assert max(event["timestamp"] for event in told) < waha.server.clock.now_ms() - 600_000
    assert any(order.index(3) < order.index(2) for order in orders)


async def test_what_is_held_back_is_lost_when_the_server_restarts(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate, receipts=False)
    await events(waha, reorder_seconds=600)
    await waha.send()
    await waha.call("POST", "/sim/restart")
    await events(waha)
    await waha.server.clock.sleep(HOUR)
    assert inbox.got == []


async def test_a_variant_tells_a_message_under_both_names_of_its_chat(simulate: Simulate) -> None:
    waha = await simulate(receipts=False)
    await waha.pair()
    await events(waha, lid_variant=1)
    told = await send_and_wait(waha)
    lid = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()["lid"]
    assert [event["event"] for event in told] == ["message.any"] * 2
    assert [event["payload"]["id"] for event in told] == [f"true_{lid}_{MESSAGE_ID}", f"true_{CHAT}_{MESSAGE_ID}"]
    assert [event["payload"]["from"] for event in told] == [lid, CHAT]
    assert told[0]["id"] != told[1]["id"]


async def test_what_comes_in_has_variants_too_and_a_group_has_none(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await events(waha, lid_variant=1)
    for sender in (RECIPIENT, "120363000000000000@g.us"):
        await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", {"from": sender, "text": "hello"})
    told = [(event["event"], event["payload"]["from"].split("@")[1]) for event in waha.watch.heard()]
    both = [("message", "lid"), ("message.any", "lid"), ("message", "c.us"), ("message.any", "c.us")]
    assert told == [*both, ("message", "g.us"), ("message.any", "g.us")]


@pytest.mark.parametrize(("engine", "expected"), [("GOWS", [3]), ("NOWEB", [1, 3])])
async def test_a_skipped_device_receipt_goes_straight_to_read(
    simulate: Simulate, engine: str, expected: list[int]
) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    await events(waha, skip_device_ack=1)
    assert acks(await send_and_wait(waha)) == expected


async def test_foreign_receipts_are_about_an_id_that_nobody_sent(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await events(waha, foreign_acks=1)
    told = await send_and_wait(waha)
    assert acks(told) == [2, 3]
    ids = {event["payload"]["id"].split("_")[2] for event in told if event["event"] == "message.ack"}
    [foreign] = ids - {MESSAGE_ID}
    assert acks(told, foreign) == [2]
    assert (await waha.call("GET", f"{MESSAGES}/{foreign}")).status_code == 404


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_an_early_receipt_is_heard_before_the_answer_to_the_send(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    await events(waha, early_acks=1)
    await waha.send()
    [sent] = await waha.ledger()
    early, *later = [event for event in waha.watch.heard() if event["event"] == "message.ack"]
    assert early["payload"]["ack"] == 2
    assert [event["payload"]["ack"] for event in later] == ([] if engine == "GOWS" else [1]), "it overtakes receipt 1"
    assert sent["answered_at"] - early["timestamp"] / 1000 == pytest.approx(0.5, abs=0.01)


async def test_what_is_not_named_goes_well_again(simulate: Simulate) -> None:
    waha = await simulate()
    await events(waha, repeat=0.5, reorder_seconds=3)
    await events(waha, lose=0.25)
    told = {**EventFaults().to_json(), "lose": 0.25}
    assert (await waha.call("GET", "/sim/events")).json() == told


@pytest.mark.parametrize(
    "body", [{"unknown": 1}, {"lose": 1.5}, {"lose": -1}, {"lose": True}, {"repeat": "x"}, {"reorder_seconds": 90_000}]
)
@pytest.mark.parametrize("route", ["events", "webhooks"])
async def test_a_wrong_fault_is_422_and_changes_nothing(simulate: Simulate, route: str, body: dict[str, Any]) -> None:
    waha = await simulate()
    before = (await waha.call("GET", f"/sim/{route}")).json()
    assert (await waha.call("PUT", f"/sim/{route}", body)).status_code == 422
    assert (await waha.call("GET", f"/sim/{route}")).json() == before


async def test_runs_without_event_faults_are_the_same_as_ever(simulate: Simulate) -> None:
    ids = []
    for faults in ({}, {"lose": 0.5, "repeat": 0.5}):
        waha = await simulate()
        await waha.pair()
        await events(waha, **faults)
        for _ in range(5):
            await waha.send(id=None)
        ids.append([one["id"] for one in await waha.ledger()])
    assert ids[0] == ids[1]


async def test_webhooks_alone_can_be_lost(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate)
    assert (await waha.call("PUT", "/sim/webhooks", {"lose": 1})).status_code == 200
    assert acks(await send_and_wait(waha)) == [2, 3]
    assert inbox.got == []


async def test_webhooks_alone_can_be_late(simulate: Simulate) -> None:
    waha, inbox = await with_inbox(simulate)
    told = {**WebhookFaults().to_json(), "delay_seconds": 1800}
    assert (await waha.call("PUT", "/sim/webhooks", {"delay_seconds": 1800})).json() == told
    before = waha.server.clock.elapsed()
    await waha.send()
    await waha.watch.next("message.ack", ack=3)
    assert inbox.got == []
    await waha.server.webhooks.drained()
    assert waha.server.clock.elapsed() - before >= 1800
    assert len(inbox.got) == 3

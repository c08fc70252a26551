"""The event stream over a real WebSocket, and the envelope of an event."""

import asyncio
import re
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.simulator.app import create_app
from gateway.simulator.events import Subscriber
from gateway.simulator.serve import build_server
from tests.simulator.conftest import CHAT, RECIPIENT, SENDER, Simulate, Simulated


def stream(waha: Simulated, query: str = "session=*&events=*", **options: Any) -> connect:
    """A WebSocket to the simulated server."""
    base = httpx.URL(waha.client.base_url)
    return connect(f"ws://{base.host}:{base.port}/ws?{query}", proxy=None, **options)


async def read(socket: ClientConnection) -> dict[str, Any]:
    """The next event."""
    event: dict[str, Any] = orjson.loads(await socket.recv())
    return event


async def test_an_envelope_says_what_happened_where_and_when(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(metadata={"tenant": "a"})
    await waha.send()
    event = await waha.watch.next("message.any")
    assert re.fullmatch(r"evt_[0-9a-hjkmnp-tv-z]{26}", event["id"])
    assert abs(event["timestamp"] / 1000 - waha.server.clock.now()) < 10
    assert (event["session"], event["engine"], event["metadata"]) == (SENDER, "GOWS", {"tenant": "a"})
    assert event["me"]["id"] == f"{SENDER}@c.us"
    assert event["environment"]["worker"] == {"id": "waha"}
    assert (event["environment"]["version"], event["environment"]["tier"]) == ("2026.7.1", "CORE")


async def test_a_status_event_carries_the_last_three_statuses(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB", auto_scan_seconds=1)
    await waha.create()
    payload = (await waha.watch.next("session.status", status="WORKING"))["payload"]
    assert [point["status"] for point in payload["statuses"]] == ["SCAN_QR_CODE", "STARTING", "WORKING"]
    assert payload["name"] == SENDER


async def test_an_incoming_message_is_told_as_message_and_as_message_any(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    body = {"from": RECIPIENT, "text": "STOP"}
    told = (await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", body)).json()
    for event in ("message", "message.any"):
        payload = (await waha.watch.next(event))["payload"]
        assert payload["id"] == f"false_{CHAT}_{told['id']}"
        assert (payload["from"], payload["fromMe"], payload["body"]) == (CHAT, False, "STOP")


async def test_a_message_typed_on_the_phone_is_told_with_source_app(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/phone-message", {"to": RECIPIENT, "text": "hi"})
    [event] = waha.watch.heard()
    assert event["event"] == "message.any"
    assert (event["payload"]["fromMe"], event["payload"]["source"]) == (True, "app")
    assert await waha.ledger() == [], "it was not sent through the server"


async def test_a_socket_gets_every_event_of_every_session(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(auto_scan_seconds=1)
    async with stream(waha) as socket:
        await waha.create("one")
        await waha.create("two")
        working: set[str] = set()
        while working != {"one", "two"}:
            event = await read(socket)
            if event["payload"]["status"] == "WORKING":
                working.add(event["session"])


async def test_a_socket_can_ask_for_one_session_and_some_events(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    await waha.pair("other", "447700900124")
    async with stream(waha, f"session={SENDER}&events=message.any&events=message,message.ack") as socket:
        await waha.send(session="other")
        await waha.send()
        events = [await read(socket) for _ in range(3)]
    assert {event["session"] for event in events} == {SENDER}
    assert [event["event"] for event in events] == ["message.any", "message.ack", "message.ack"]


async def test_a_socket_outlives_a_restart_of_its_session(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    async with stream(waha) as socket:
        await waha.call("POST", f"/api/sessions/{SENDER}/restart")
        told = [(await read(socket))["payload"]["status"] for _ in range(3)]
    assert told == ["STOPPED", "STARTING", "WORKING"]


async def test_a_socket_gets_nothing_that_happened_before_it(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    async with stream(waha) as socket:
        await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", {"from": RECIPIENT, "text": "new"})
        assert (await read(socket))["event"] == "message"


@pytest.mark.parametrize("query", ["session=*", "session=*&x-api-key=wrong"])
async def test_a_socket_with_a_bad_key_is_closed_with_1008(simulate_on_a_port: Simulate, query: str) -> None:
    waha = await simulate_on_a_port(api_key="right")
    async with stream(waha, query) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Unauthorized")


async def test_a_socket_may_give_its_key_in_the_query_or_in_a_header(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(api_key="right")
    waha.client.headers["X-Api-Key"] = "right"
    by_query = stream(waha, "session=*&x-api-key=right")
    by_header = stream(waha, additional_headers={"X-Api-Key": "right"})
    async with by_query as first, by_header as second:
        await waha.create()
        assert (await read(first))["id"] == (await read(second))["id"]


async def test_a_session_key_cannot_listen_to_all_sessions(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(api_key="right")
    waha.client.headers["X-Api-Key"] = "right"
    await waha.create()
    body = {"isAdmin": False, "session": SENDER, "isActive": True}
    key = (await waha.call("POST", "/api/keys", body)).json()["key"]
    async with stream(waha, f"session=*&x-api-key={key}") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "Forbidden")
    async with stream(waha, f"session={SENDER}&x-api-key={key}") as socket:
        await waha.call("POST", f"/api/sessions/{SENDER}/restart")
        assert (await read(socket))["session"] == SENDER


async def test_a_restart_of_the_server_ends_every_socket(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    async with stream(waha) as socket:
        await waha.call("POST", "/sim/restart")
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_sends_of_sessions_made_after_a_restart_are_told_too(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.call("POST", "/sim/restart")
    waha.watch = type(waha.watch)(waha.server)
    await waha.server.clock.sleep(1)
    await waha.pair()
    await waha.send()
    assert (await waha.watch.next("message.any"))["session"] == SENDER


def test_everything_leaves_the_engines_raw_events_out() -> None:
    everything, raw = Subscriber("*", ["*"]), Subscriber("*", ["engine.event", "state.change"])
    for event in ("engine.event", "state.change"):
        assert not everything.wants(SENDER, event)
        assert raw.wants(SENDER, event)
    assert everything.wants(SENDER, "message.ack")


async def open_by_hand(waha: Simulated) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket whose client answers no ping, for it knows nothing of the protocol but the handshake."""
    base = httpx.URL(waha.client.base_url)
    reader, writer = await asyncio.open_connection(base.host, base.port)
    writer.write(
        b"GET /ws?session=*&events=* HTTP/1.1\r\nHost: waha\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_a_socket_whose_client_answers_no_ping_is_dropped(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(ping_seconds=0.05)
    reader, writer = await open_by_hand(waha)
    ping = await reader.readexactly(6)
    assert ping[0] == 0x89, "a ping"
    rest = await reader.read()
    assert rest[:1] in (b"", b"\x88"), "then at most a close, and the end of the connection"
    writer.close()


async def test_a_socket_whose_client_answers_pings_lives_on(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(ping_seconds=0.3)
    dropped, writer = await open_by_hand(waha)
    async with stream(waha) as socket:
        await dropped.read()  # so long has passed that a silent client is dropped
        await waha.create()
        assert (await read(socket))["session"] == SENDER
    writer.close()


def test_sockets_are_pinged_every_minute() -> None:
    config = build_server(create_app()).config
    assert (config.ws_ping_interval, config.ws_ping_timeout) == (60, 60)

"""The event stream against a real WebSocket server: what it asks for, gives, survives and keeps to itself."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import structlog
from websockets.asyncio.server import ServerConnection, serve

from gateway.waha import events as events_module
from gateway.waha.events import EventStream
from gateway.waha.schemas import Connected, MessageAckEvent, SessionStatusEvent
from tests.waha.conftest import API_KEY

BARE = "3EB0123456789ABCDEF012"
Handler = Callable[[ServerConnection], Awaitable[None]]


def ack(number: int) -> str:
    payload = {"id": f"true_447700900123@c.us_{BARE}", "fromMe": True, "ack": 2}
    event = {"id": f"evt_{number}", "timestamp": 1, "event": "message.ack", "session": "alice", "payload": payload}
    return orjson.dumps(event).decode()


class Pauses:
    """Stands for the passing of time: remembers each pause and ends it at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def waha_events(handler: Handler) -> AsyncIterator[str]:
    """A WAHA of which only /ws answers, by `handler`."""
    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def take(stream: EventStream, count: int) -> list[Any]:
    return [await anext(stream) for _ in range(count)]


async def stay(connection: ServerConnection) -> None:
    await connection.wait_closed()


async def test_it_asks_for_all_sessions_and_the_events_we_know_with_the_key_in_the_query() -> None:
    asked: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        await stay(connection)

    async with waha_events(handler) as address, EventStream(f"{address}/", "k&y=1") as stream:
        assert await anext(stream) == Connected()
        assert stream.connected

    address_asked = urlsplit(asked[0])
    assert address_asked.path == "/ws"
    assert parse_qs(address_asked.query) == {
        "session": ["*"],
        "events": ["session.status,message.ack,message.any"],
        "x-api-key": ["k&y=1"],
    }


async def test_it_gives_a_marker_and_then_the_events_in_order() -> None:
    async def handler(connection: ServerConnection) -> None:
        for number in range(3):
            await connection.send(ack(number))
        await stay(connection)

    async with waha_events(handler) as address, EventStream(address, "key") as stream:
        marker, *events = await take(stream, 4)

    assert marker == Connected()
    assert [event.event_id for event in events] == ["evt_0", "evt_1", "evt_2"]
    assert all(isinstance(event, MessageAckEvent) for event in events)


async def test_unknown_and_malformed_frames_are_skipped_and_logged_without_content() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send('{"event": "poll.vote", "payload": {}}')
        await connection.send("canary 447700900123 not json")
        await connection.send(b"\xff\xfe")
        await connection.send('{"event": "message.ack", "payload": {"body": "canary"}}')
        await connection.send(ack(7))
        await stay(connection)

    with structlog.testing.capture_logs() as logs:
        async with waha_events(handler) as address, EventStream(address, "key") as stream:
            _, event = await take(stream, 2)

    assert event.event_id == "evt_7"
    assert [entry["event"] for entry in logs].count("waha_event_malformed") == 3
    assert "canary" not in str(logs)
    assert "447700900123" not in str(logs)


async def test_a_lost_connection_is_opened_again_with_a_new_marker() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(ack(1))

    pauses = Pauses()
    async with waha_events(handler) as address, EventStream(address, "key", wait=pauses) as stream:
        kinds = [type(event) for event in await take(stream, 4)]

    assert kinds == [Connected, MessageAckEvent, Connected, MessageAckEvent]
    assert pauses.seconds == []  # a connection that brought something is opened again at once


async def test_a_cut_connection_is_opened_again() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(ack(1))
        connection.transport.abort()

    async with waha_events(handler) as address, EventStream(address, "key", wait=Pauses()) as stream:
        kinds = [type(event) for event in await take(stream, 3)]

    assert kinds == [Connected, MessageAckEvent, Connected]


async def test_the_pauses_double_up_to_a_cap_and_jitter_spreads_them() -> None:
    enough = asyncio.Event()
    pauses: list[float] = []
    jitters = iter([0.0, 1.0] * 6)

    async def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            enough.set()
            await stream.aclose()

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # refused for as long as we hold it
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        stream = EventStream(address, "key", wait=wait, jitter=lambda: next(jitters))
        assert [event async for event in stream] == []

    longest = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert pauses == [seconds * (0.5 if index % 2 == 0 else 1) for index, seconds in enumerate(longest)]


async def test_a_refused_key_is_tried_again_ever_more_slowly() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(1008, "Unauthorized")

    pauses = Pauses()
    with structlog.testing.capture_logs() as logs:
        async with waha_events(handler) as address:
            stream = EventStream(address, "key", wait=pauses, jitter=lambda: 1.0)
            async with stream:
                assert await take(stream, 4) == [Connected()] * 4

    assert all(later > earlier for earlier, later in pairwise(pauses.seconds))
    assert {entry.get("close_code") for entry in logs if entry["event"] == "waha_events_lost"} == {1008}


async def test_a_frame_that_is_too_large_costs_the_connection_but_not_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events_module, "MAX_FRAME_BYTES", 1000)
    opened = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        await connection.send("x" * 1001 if opened == 1 else ack(1))
        await stay(connection)

    async with waha_events(handler) as address, EventStream(address, "key", wait=Pauses()) as stream:
        kinds = [type(event) for event in await take(stream, 3)]

    assert kinds == [Connected, Connected, MessageAckEvent]


async def test_an_address_without_a_websocket_is_tried_again() -> None:
    async def not_waha(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    tried: list[float] = []

    async def wait(seconds: float) -> None:
        tried.append(seconds)
        if len(tried) == 2:
            await stream.aclose()

    server = await asyncio.start_server(not_waha, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with structlog.testing.capture_logs() as logs:
        stream = EventStream(address, "key", wait=wait)
        assert [event async for event in stream] == []
    server.close()

    assert [entry["status_code"] for entry in logs] == [404, 404]


async def test_closing_ends_a_stream_that_listens() -> None:
    async with waha_events(stay) as address:
        stream = EventStream(address, "key")
        assert await anext(stream) == Connected()
        listening = asyncio.ensure_future(anext(stream, "ended"))
        await stream.aclose()

        assert await listening == "ended"
        assert not stream.connected


async def test_closing_ends_a_stream_that_pauses() -> None:
    pausing = asyncio.Event()

    async def wait(seconds: float) -> None:
        pausing.set()
        await asyncio.get_running_loop().create_future()

    stream = EventStream("http://waha.invalid:3000", "key", wait=wait)
    listening = asyncio.ensure_future(anext(stream, "ended"))
    await pausing.wait()
    await stream.aclose()

    assert await listening == "ended"


async def test_closing_ends_a_stream_that_connects() -> None:
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    stream = EventStream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key")
    listening = asyncio.ensure_future(anext(stream, "ended"))
    await arrived.wait()
    await stream.aclose()

    assert await listening == "ended"
    server.close()


@pytest.mark.parametrize("turns", range(12))
async def test_closing_at_any_turn_of_the_opening_leaves_no_socket_open(turns: int) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()

    def close_after(turns: int) -> None:
        if turns:
            loop.call_soon(close_after, turns - 1)
        else:
            closing.append(loop.create_task(stream.aclose()))

    async def handler(connection: ServerConnection) -> None:
        close_after(turns)
        await connection.wait_closed()
        gone.set()

    closing: list[asyncio.Task[None]] = []
    async with waha_events(handler) as address:
        stream = EventStream(address, "key")
        events = [event async for event in stream]
        async with asyncio.timeout(5):
            await gone.wait()
    await asyncio.gather(*closing)

    assert events in ([], [Connected()])
    assert not stream.connected


async def test_a_closed_stream_gives_nothing_more() -> None:
    stream = EventStream("http://waha.invalid:3000", "key")
    await stream.aclose()

    assert [event async for event in stream] == []


async def test_the_key_is_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def handler(connection: ServerConnection) -> None:
        await connection.send(orjson.dumps({"event": "session.status", "payload": None}).decode())
        status = {"id": "evt_1", "event": "session.status", "session": "a", "payload": {"status": "WORKING"}}
        await connection.send(orjson.dumps(status).decode())

    with structlog.testing.capture_logs() as logs:
        async with waha_events(handler) as address:
            stream = EventStream(address, API_KEY, wait=Pauses())
            async with stream:
                events = await take(stream, 2)

    client_lines = [line for line in caplog.records if not line.name.startswith("websockets.server")]
    assert isinstance(events[1], SessionStatusEvent)
    assert API_KEY not in repr(stream) + str(logs)
    assert not any(API_KEY in line.getMessage() for line in client_lines)


@pytest.mark.parametrize("address", ["", "waha.test", "ws://waha.test", "http://"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="WAHA server"):
        EventStream(address, "key")

"""On a real port: connections that are really cut, and clients that really hang up."""

import asyncio
import socket
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import serve
from tests.simulator.conftest import CHAT, SENDER, Simulate, Simulated


async def send_without_listening(waha: Simulated) -> None:
    """Send a text on a connection of our own and hang up before any answer."""
    base = httpx.URL(waha.client.base_url)
    body = f'{{"session":"{SENDER}","chatId":"{CHAT}","text":"hello"}}'.encode()
    head = (
        f"POST /api/sendText HTTP/1.1\r\nHost: waha\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection(base.host, base.port)
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(("fault", "accepted"), [("cut_before", 0), ("cut_after", 1)])
async def test_a_cut_ends_the_connection_without_a_byte(
    simulate_on_a_port: Simulate, fault: str, accepted: int
) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    await waha.faults(**{fault: 1})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await waha.send()
    assert [one["answered_at"] for one in await waha.ledger()] == [None] * accepted


async def test_a_cut_can_be_a_tcp_reset(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    await waha.faults(cut_after=1, reset=True)
    with pytest.raises(httpx.ReadError):
        await waha.send()
    assert len(await waha.ledger()) == 1


async def test_a_client_that_hung_up_is_not_counted_as_answered(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.pair()
    waha.server.clock.set_speed(1)
    await waha.faults(slow=3600)
    await send_without_listening(waha)
    assert await waha.ledger() == [], "and after this round trip the server has seen the client go"
    waha.server.clock.set_speed(1e6)
    await waha.watch.next("message.any")
    assert [one["answered_at"] for one in await waha.ledger()] == [None]


async def test_a_dead_server_cuts_http_and_sockets(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port()
    await waha.faults(down=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await waha.call("GET", "/ping")
    base = httpx.URL(waha.client.base_url)
    async with AsyncExitStack() as stack:
        with pytest.raises((InvalidMessage, ConnectionError, EOFError)):
            await stack.enter_async_context(connect(f"ws://{base.host}:{base.port}/ws", proxy=None))


async def test_a_restart_cuts_the_requests_in_flight_and_loses_their_sends(
    simulate_on_a_port: Simulate,
) -> None:
    waha = await simulate_on_a_port(latency_seconds=300, latency_jitter=False)
    await waha.pair()
    sending = await waha.begin_sending()
    await waha.call("POST", "/sim/restart")
    with pytest.raises(httpx.TransportError):
        await sending
    await waha.server.clock.sleep(600)
    assert await waha.ledger() == []


async def test_shutting_down_does_not_wait_for_requests_that_hang(simulate_on_a_port: Simulate) -> None:
    waha = await simulate_on_a_port(speed=1000)
    await waha.pair()
    await waha.faults(hang=1, hang_seconds=1e9)
    sending = asyncio.create_task(waha.send())
    await waha.watch.next("message.any")
    await waha.server.aclose()
    with pytest.raises(httpx.TransportError):
        await sending


def test_a_port_that_is_taken_is_an_os_error() -> None:

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(OSError, match="in use"):
            serve("127.0.0.1", holder.getsockname()[1], SimulatorConfig())

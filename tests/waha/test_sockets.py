"""What really happens on a socket, and what it is read as: with the fast transport and httpx's own, on both loops.

The transport that is used by default calls a reset *after* WAHA acted by the same name as a closed port; these
tests hold the reading of both against real connections.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaConnectionLost, WahaError, WahaTimeout, WahaUnreachable
from gateway.waha.schemas import SentMessage

CHAT = "447700900123@c.us"
MESSAGE_ID = "3EB0123456789ABCDEF012"
SENT = b'{"id":"true_447700900123@c.us_3EB0123456789ABCDEF012","_data":null}'
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine to its end on a loop of its own."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return run


@pytest.fixture(params=["default transport", "httpx's own transport"])
def make_client(request: pytest.FixtureRequest) -> Callable[..., WahaClient]:
    """Makes a client for a port, over either transport."""

    def make(address: str, timeout_seconds: float = 5) -> WahaClient:
        own = request.param == "httpx's own transport"
        transport = httpx.AsyncHTTPTransport() if own else None
        return WahaClient(address, "key", timeout_seconds=timeout_seconds, transport=transport)

    return make


class Server:
    """A server on loopback that reads each request whole and then does what the test says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self.connections = 0
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                self.requests += 1
                await self.answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left, or the test cut the connection
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


async def send(client: WahaClient) -> SentMessage:
    return await client.send_text("alice", CHAT, "Hello", MESSAGE_ID)


async def answer_whole(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(SENT), SENT))
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    raise ConnectionResetError


async def close_without_answer(writer: asyncio.StreamWriter) -> None:
    raise ConnectionAbortedError


async def half_a_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Cre")
    await writer.drain()
    raise ConnectionAbortedError


async def half_a_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n" + SENT[:20])
    await writer.drain()
    raise ConnectionAbortedError


async def another_protocol(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()
    raise ConnectionAbortedError


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.get_running_loop().create_future()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then for ever: each one arrives long before any read timeout."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n")

    def one_more() -> None:
        if writer.is_closing():
            ended.set()
        else:
            writer.write(b" ")
            loop.call_later(0.05, one_more)

    one_more()
    await ended.wait()
    raise ConnectionAbortedError


def test_a_send_is_answered(run: Run, make_client: Callable[..., WahaClient]) -> None:
    async def scenario() -> None:
        async with serving(answer_whole) as server, make_client(server.address) as client:
            assert await send(client) == SentMessage(MESSAGE_ID, CHAT, accepted=True)
            assert await send(client) == SentMessage(MESSAGE_ID, CHAT, accepted=True)
            assert (server.requests, server.connections) == (2, 1)

    run(scenario())


def test_a_closed_port_means_surely_not_sent(run: Run, make_client: Callable[..., WahaClient]) -> None:
    async def scenario() -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # bound, but nobody listens: refused for as long as we hold it
            async with make_client(f"http://127.0.0.1:{reserved.getsockname()[1]}") as client:
                with pytest.raises(WahaUnreachable) as caught:
                    await send(client)
        assert caught.value.surely_not_sent

    run(scenario())


def test_an_unknown_host_means_surely_not_sent(run: Run, make_client: Callable[..., WahaClient]) -> None:
    async def scenario() -> None:
        async with make_client("http://waha.invalid:3000") as client:
            with pytest.raises(WahaUnreachable) as caught:
                await send(client)
        assert caught.value.surely_not_sent

    run(scenario())


def test_tls_against_a_plain_server_means_surely_not_sent(run: Run, make_client: Callable[..., WahaClient]) -> None:
    async def scenario() -> None:
        async def not_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        listener = await asyncio.start_server(not_tls, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with make_client(f"https://127.0.0.1:{port}") as client:
            with pytest.raises(WahaUnreachable):
                await send(client)
        listener.close()

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [reset, close_without_answer, half_a_head, half_a_body, another_protocol],
    ids=lambda answer: answer.__name__,
)
def test_a_connection_that_breaks_after_the_request_means_uncertain(
    answer: Answer, run: Run, make_client: Callable[..., WahaClient]
) -> None:
    async def scenario() -> None:
        async with serving(answer) as server, make_client(server.address) as client:
            with pytest.raises(WahaConnectionLost) as caught:
                await send(client)
            assert server.requests == 1  # nobody under us sent it a second time
        assert not caught.value.surely_not_sent

    run(scenario())


def test_a_kept_connection_that_breaks_is_not_tried_again(run: Run, make_client: Callable[..., WahaClient]) -> None:
    """Transports may repeat what fails on a reused connection. A send must not be among it."""

    async def scenario() -> None:
        async def first_whole_then_reset(writer: asyncio.StreamWriter) -> None:
            await (answer_whole if server.requests == 1 else reset)(writer)

        async with serving(first_whole_then_reset) as server, make_client(server.address) as client:
            await send(client)
            with pytest.raises(WahaConnectionLost):
                await send(client)
            assert (server.requests, server.connections) == (2, 1)

    run(scenario())


@pytest.mark.parametrize("answer", [hang, drip], ids=lambda answer: answer.__name__)
def test_no_whole_answer_in_time_means_uncertain(
    answer: Answer, run: Run, make_client: Callable[..., WahaClient]
) -> None:
    async def scenario() -> None:
        async with serving(answer) as server, make_client(server.address, timeout_seconds=0.3) as client:
            with pytest.raises(WahaTimeout) as caught:
                await send(client)
            assert server.requests == 1
        assert not caught.value.surely_not_sent

    run(scenario())


def test_closing_the_client_ends_a_send_under_way_as_uncertain(run: Run) -> None:
    async def scenario() -> None:
        arrived = asyncio.Event()

        async def tell_and_hang(writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await hang(writer)

        async with serving(tell_and_hang) as server:
            client = WahaClient(server.address, "key", timeout_seconds=5)
            sending = asyncio.ensure_future(send(client))
            await arrived.wait()
            await client.aclose()
            with pytest.raises(WahaError) as caught:
                await sending
        assert not caught.value.surely_not_sent

    run(scenario())

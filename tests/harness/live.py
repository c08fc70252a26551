"""Live events as a client hears them: the real server on a real port, and a real WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.app import Gateway
from gateway.cli.server import config_of
from gateway.listening import listen
from gateway.web import create_app

Body = dict[str, Any]
PATIENCE_SECONDS = 20.0


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[str]:
    """Serve a gateway that runs; gives the address of its live events."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(config_of(create_app(gateway)))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    finally:
        server.should_exit = True
        await running


class Listener:
    """One client."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.ready = 0

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def hear(self) -> Body:
        """The next message."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            heard: Body = json.loads(await self.connection.recv())
        return heard

    async def event(self, kind: str) -> Body:
        """The next event of a kind; others are passed over."""
        while True:
            heard = await self.hear()
            if heard.get("event") == kind:
                return heard

    async def events(self, count: int) -> list[Body]:
        """The next events, each of which must be one."""
        heard = [await self.hear() for _ in range(count)]
        assert {one["type"] for one in heard} <= {"event"}, heard
        return heard

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes it; gives the code and the reason."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Listener]:
    """Open a socket and say nothing yet."""
    async with connect(url, proxy=None, **options) as connection:
        yield Listener(connection)


@asynccontextmanager
async def listening(url: str, **first: Any) -> AsyncIterator[Listener]:
    """Open a socket, say who it is, and wait until it is ready."""
    async with opened(url) as listener:
        await listener.say(type="auth", **first)
        ready = await listener.hear()
        assert ready["type"] == "ready", ready
        listener.ready = ready["sequence"]
        yield listener

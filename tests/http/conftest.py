"""How these tests talk to the small apps that they make."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message

ClientOf = Callable[[ASGIApp], httpx.AsyncClient]
OpenWebSocket = Callable[..., Awaitable[list[MutableMapping[str, Any]]]]


@pytest.fixture
def client_of() -> ClientOf:
    """A client that speaks to an ASGI app as if it were a server on 127.0.0.1:8000.

    It raises what the app lets through: no exception may reach the server.
    """

    def make(app: ASGIApp) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")

    return make


@pytest.fixture
def open_websocket() -> OpenWebSocket:
    """Opens a WebSocket, hangs up when the app asks for more, and gives all that the app sent."""

    async def open_it(app: ASGIApp, path: str, headers: Mapping[str, str]) -> list[Message]:
        incoming: list[Message] = [{"type": "websocket.connect"}]
        sent: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        await app(scope, receive, send)
        return sent

    return open_it

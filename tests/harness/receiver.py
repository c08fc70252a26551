"""Somebody's webhook: a real HTTP server on loopback that answers as a test says, and checks what it is sent."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook

from gateway.notifications.webhooks.signing import signing_secret

SECRET = "your-webhook-secret"
DAYS = 86_400.0


@dataclass(frozen=True)
class Request:
    """One request: the path, the headers in small letters, the body, and the loop's time when it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> Any:
        return orjson.loads(self.body)


Say = bytes | float | None
"""The answer in full; or after how many seconds to answer 200; or None to drop the connection."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


def status(code: int, *headers: str, body: str = "") -> bytes:
    """An answer."""
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Receiver:
    """`says` decides about each request, given how many came before it. What is answered with 2xx was taken."""

    def __init__(self, says: Callable[[int], Say] = lambda _: OK, secret: str = SECRET) -> None:
        self.says = says
        self.secret = secret
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.port = 0
        self.most_at_once = 0
        self._open = 0
        self._more = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def numbers(self) -> list[int]:
        """The `n` of each event that was taken, in the order in which they came."""
        return [request.event["data"]["n"] for request in self.taken]

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1") -> AsyncIterator["Receiver"]:
        async with await asyncio.start_server(self._serve, host, self.port) as sockets:
            self.port = sockets.sockets[0].getsockname()[1]
            yield self

    async def got(self, count: int, *, within: float = 2 * DAYS) -> list[Request]:
        """What was taken, once it is so many."""
        async with asyncio.timeout(within):
            while len(self.taken) < count:
                self._more.clear()
                await self._more.wait()
        return self.taken

    async def has(self, numbers: Iterable[int], *, within: float = 2 * DAYS) -> None:
        """Wait until each of these was taken, however often."""
        async with asyncio.timeout(within):
            while set(self.numbers) < set(numbers):
                self._more.clear()
                await self._more.wait()

    async def asked(self, count: int, *, within: float = 2 * DAYS) -> list[Request]:
        """All requests, once they are so many."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:
                self._more.clear()
                await self._more.wait()
        return self.requests

    def check(self, request: Request) -> None:
        """The signatures are right, by the plain recipe and by the library; virtual time would be too new for it."""
        plain = hmac.new(self.secret.encode(), request.body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(plain, request.headers["x-webhook-signature"])
        assert request.headers["webhook-id"] == request.event["id"]
        at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        expected = Webhook(signing_secret(self.secret)).sign(request.event["id"], at, request.body.decode())
        assert expected in request.headers["webhook-signature"].split(" ")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the sender had enough: what some tests are about
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(first.split()[1], headers, body, asyncio.get_running_loop().time())
        assert first.startswith("POST "), first
        self.check(request)
        said = self.says(len(self.requests))
        self.requests.append(request)
        self._more.set()
        if isinstance(said, float):
            await asyncio.sleep(said)
            said = OK
        if said is None:
            return
        writer.write(said)
        await writer.drain()
        if said.split()[1].startswith(b"2"):
            self.taken.append(request)
            self._more.set()

"""A WAHA server reduced to answering, in a process of its own: what a benchmark sends to, and its judge.

It answers `POST /api/sendText` in the shape of GOWS, after `latency` seconds, and the few routes that a gateway asks
besides. All sessions are WORKING. Of each send it keeps when the whole request was there and when its answer was
written, on this machine's monotonic clock, which every process reads alike. It is a bare asyncio protocol, so that
it takes as little of the machine as possible from what is measured.

`GET /sink/record` gives what was kept, by session in the order of arrival; `POST /sink/forget` empties it. The
process prints its port, serves, and ends when its standard input does.
"""

import argparse
import asyncio
import gc
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import orjson
import uvloop

from bench.numbers import phone_behind, sender_number

_REASONS = {200: b"OK", 201: b"Created", 404: b"Not Found"}
_VERSION = {"version": "2026.7.1", "engine": "GOWS", "tier": "PLUS", "browser": None, "worker": {"id": "sink"}}
# what a gateway wants a session to have: otherwise its keeper would begin to configure all of them
_CONFIG = {
    "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
    "gows": {"storage": {"messages": True}},
    "webjs": {"tagsEventsOn": True},
}
BACKLOG = 2048


class Sent(NamedTuple):
    """One send as the sink saw it; times are seconds of the monotonic clock."""

    received_at: float
    answered_at: float
    chat_id: str
    message_id: str


class Sink:
    """What the simulated server knows: its sessions, and what they have sent."""

    def __init__(self, senders: int, latency: float) -> None:
        self.sessions = [sender_number(index) for index in range(senders)]
        self.latency = latency
        self.sent: dict[str, list[tuple[float, float, str, str]]] = defaultdict(list)
        self.active_at: dict[str, int] = {}
        self.known: set[str] = set()
        self.started_at = time.monotonic()

    def note(self, body: dict[str, Any], received_at: float, answered_at: float) -> None:
        """Keep one send."""
        session, message_id = body["session"], body["id"]
        self.sent[session].append((received_at, answered_at, body["chatId"], message_id))  # the fields of Sent
        self.active_at[session] = int(time.time() * 1000)
        self.known.add(message_id)

    def forget(self) -> None:
        """Forget all sends."""
        self.sent.clear()
        self.known.clear()

    def session_json(self, name: str) -> dict[str, Any]:
        """One session as WAHA lists it."""
        return {
            "name": name,
            "status": "WORKING",
            "config": _CONFIG | {"metadata": {"managed_by": "waha-gateway", "number": name}},
            "me": {"id": f"{name}@c.us", "pushName": "bench"},
            "presence": None,
            "timestamps": {"activity": self.active_at.get(name)},
        }

    def answer(self, method: bytes, path: bytes) -> tuple[int, Any]:
        """Status and body of whatever is no send."""
        route = path.partition(b"?")[0]
        if method == b"POST" and route == b"/sink/forget":
            self.forget()
            return 200, {}
        look = self._looks().get(route) if method == b"GET" else None
        if look is not None:
            return 200, look()
        if b"/lids/" in route:
            lid = unquote(route.rpartition(b"/lids/")[2].decode())
            return 200, {"lid": lid, "pn": f"{phone_behind(lid)}@c.us"}
        message_id = route.rpartition(b"/messages/")[2].decode()
        if message_id in self.known:
            return 200, {"id": message_id, "fromMe": True, "ack": 1}
        return 404, {"statusCode": 404, "message": "Message not found", "error": "Not Found"}

    def _looks(self) -> dict[bytes, Callable[[], Any]]:
        return {
            b"/api/sessions": lambda: [self.session_json(name) for name in self.sessions],
            b"/ping": lambda: {"message": "pong"},
            b"/api/server/version": lambda: _VERSION,
            b"/api/server/status": self.status,
            b"/sink/record": lambda: self.sent,
        }

    def status(self) -> dict[str, int]:
        """When it was started, as WAHA tells it: in milliseconds."""
        uptime = int((time.monotonic() - self.started_at) * 1000)
        return {"startTimestamp": int(time.time() * 1000) - uptime, "uptime": uptime}


class Connection(asyncio.Protocol):
    """One HTTP connection; requests on it come one after the other."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more can be answered here."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer each whole request that has come."""
        self._buffer += data
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            length = content_length(head)
            if not separator or len(rest) < length:
                return
            self._buffer = rest[length:]
            method, path, _ = head.split(b" ", 2)
            self._handle(method, path, rest[:length])

    def _handle(self, method: bytes, path: bytes, body: bytes) -> None:
        if path != b"/api/sendText":
            self._write(*self._sink.answer(method, path))
            return
        received_at = time.monotonic()
        if self._sink.latency:
            loop = asyncio.get_running_loop()
            loop.call_later(self._sink.latency, self._answer_send, orjson.loads(body), received_at)
        else:
            self._answer_send(orjson.loads(body), received_at)

    def _answer_send(self, request: dict[str, Any], received_at: float) -> None:
        chat_id, message_id = request["chatId"], request["id"]
        info = {"ID": message_id, "Chat": chat_id, "IsFromMe": True, "Timestamp": int(time.time())}
        answered_at = time.monotonic()
        self._write(201, {"id": f"true_{chat_id}_{message_id}", "_data": {"Info": info}})
        self._sink.note(request, received_at, answered_at)

    def _write(self, status: int, body: Any) -> None:
        if self._transport is None:
            return
        content = orjson.dumps(body)
        self._transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
            % (status, _REASONS[status], len(content), content)
        )


def content_length(head: bytes) -> int:
    """The length of the body that follows this head; 0 where it does not say."""
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(sink: Sink, told: Callable[[int], None], until: asyncio.Event) -> None:
    """Serve on a free port of the loopback address, which `told` is given, until `until` is set."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    server = await loop.create_server(lambda: Connection(sink), sock=listener, backlog=BACKLOG)
    told(listener.getsockname()[1])
    async with server:
        await until.wait()


async def _main(sink: Sink) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await serve(sink, lambda port: print(port, flush=True), ended)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.sink", description=__doc__)
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    gc.disable()  # a pause here would look like lateness of the gateway
    uvloop.run(_main(Sink(options.senders, options.latency)))

"""A WAHA server reduced to telling events, in a process of its own: three for each message, as fast as they are taken.

Reads messages (JSON: a list of session, chat id and message id) from a file and builds all events before it begins.
With `--incoming` they are messages that come in instead, one event for each entry (number, session, chat id, message
id, text, epoch seconds).
With `--post URL` it posts each as a signed webhook, over so many connections as WAHA would have open, and waits for
the answer; else it writes them to the first WebSocket that is opened. It begins at the first line on stdin, and prints
one line of JSON at the end.
"""

import argparse
import asyncio
import gc
import hashlib
import hmac
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve

WINDOW = 1000
"""Messages whose events come in one go: receipts of one message are rarely next to each other."""
Message = tuple[str, str, str]
Incoming = tuple[int, str, str, str, str, float]


def envelope(number: int, kind: str, session: str, payload: dict[str, Any], at: float | None = None) -> bytes:
    """One event, with all that WAHA puts around it; of now, unless it happened `at` (epoch seconds)."""
    return orjson.dumps(
        {
            "id": f"evt_{number:026d}",
            "timestamp": int((time.time() if at is None else at) * 1000),
            "event": kind,
            "session": session,
            "metadata": {"managed_by": "waha-gateway", "number": session},
            "me": {"id": f"{session}@c.us", "pushName": "bench", "lid": "99887766554433@lid"},
            "payload": payload,
            "engine": "GOWS",
            "environment": {
                "version": "2026.7.1",
                "engine": "GOWS",
                "tier": "CORE",
                "browser": "/usr/bin/chromium",
                "platform": "linux/x64",
                "worker": {"id": "bench"},
            },
        }
    )


def any_payload(chat: str, message_id: str) -> dict[str, Any]:
    """A message of ours as the engine tells it."""
    info = {"ID": message_id, "Chat": chat, "IsFromMe": True, "Type": "text", "PushName": "bench", "Category": ""}
    return {
        "id": f"true_{chat}_{message_id}",
        "timestamp": int(time.time()),
        "from": chat,
        "fromMe": True,
        "source": "api",
        "body": "Your parcel is on its way and will be with you today.",
        "hasMedia": False,
        "media": None,
        "ack": 0,
        "ackName": "PENDING",
        "replyTo": None,
        "_data": {"Info": info, "Message": {"extendedTextMessage": {"text": "Your parcel is on its way"}}},
    }


def incoming_payload(chat: str, message_id: str, text: str, at: float) -> dict[str, Any]:
    """A message of somebody's as the engine tells it."""
    info = {"ID": message_id, "Chat": chat, "Sender": chat, "IsFromMe": False, "Type": "text", "Category": ""}
    return {
        "id": f"false_{chat}_{message_id}",
        "timestamp": int(at),
        "from": chat,
        "fromMe": False,
        "source": "app",
        "body": text,
        "hasMedia": False,
        "media": None,
        "ack": 1,
        "ackName": "SERVER",
        "replyTo": None,
        "_data": {"Info": info, "Message": {"extendedTextMessage": {"text": text}}},
    }


def ack_payload(chat: str, message_id: str, level: int) -> dict[str, Any]:
    """A receipt as the engine tells it."""
    receipt = {"Chat": chat, "Sender": chat, "MessageIDs": [message_id], "Type": "read" if level == 3 else ""}
    return {
        "id": f"true_{chat}_{message_id}",
        "from": chat,
        "to": None,
        "participant": None,
        "fromMe": True,
        "ack": level,
        "ackName": "READ" if level == 3 else "DEVICE",
        "_data": receipt,
    }


def events_of(messages: list[Message], first: int) -> Iterator[bytes]:
    """The events of all messages: each is shown, then delivered, then read. Ids count up from `first`."""
    number = first
    for start in range(0, len(messages), WINDOW):
        some = messages[start : start + WINDOW]
        for session, chat, message_id in some:
            number += 1
            yield envelope(number, "message.any", session, any_payload(chat, message_id))
        for level in (2, 3):
            for session, chat, message_id in some:
                number += 1
                yield envelope(number, "message.ack", session, ack_payload(chat, message_id, level))


def incoming_of(messages: list[Incoming]) -> Iterator[bytes]:
    """The events of messages that come in, as they are listed; each has the number of its event's id."""
    for number, session, chat, message_id, text, at in messages:
        yield envelope(number, "message.any", session, incoming_payload(chat, message_id, text, at), at)


async def post_all(bodies: list[bytes], url: str, secret: str, connections: int) -> int:
    """Post every event over so many connections; how many were refused."""
    headers = [
        {
            "Content-Type": "application/json",
            "X-Webhook-Hmac": hmac.new(secret.encode(), body, hashlib.sha512).hexdigest(),
            "X-Webhook-Hmac-Algorithm": "sha512",
        }
        for body in bodies
    ]
    await wait_for_go()
    left = iter(zip(bodies, headers, strict=True))
    refused = 0

    async def post_on(http: aiohttp.ClientSession) -> None:
        nonlocal refused
        for body, signed in left:
            async with http.post(url, data=body, headers=signed) as answer:
                refused += answer.status != 200
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as http:
        await asyncio.gather(*(post_on(http) for _ in range(connections)))
    return refused


async def stream_all(bodies: list[bytes]) -> int:
    """Write every event to the first WebSocket, and wait until the other side has had enough."""
    frames = [body.decode() for body in bodies]
    ended = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await wait_for_go()
        for frame in frames:
            await connection.send(frame)
        await connection.wait_closed()
        ended.set()

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await ended.wait()
    return 0


async def wait_for_go() -> None:
    """Until a line comes in."""
    await asyncio.to_thread(sys.stdin.readline)


async def _main(bodies: list[bytes], options: argparse.Namespace) -> None:
    if options.post:
        print("ready", flush=True)
        refused = await post_all(bodies, options.post, options.secret, options.connections)
    else:
        refused = await stream_all(bodies)
    print(orjson.dumps({"events": len(bodies), "refused": refused}).decode(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.teller", description=__doc__)
    parser.add_argument("messages")
    parser.add_argument("--first", type=int, default=0, help="the number of the first event's id")
    parser.add_argument("--incoming", action="store_true", help="the messages come in")
    parser.add_argument("--post", default="", help="the webhook's address")
    parser.add_argument("--secret", default="")
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    read = orjson.loads(Path(asked.messages).read_bytes())
    told = list(incoming_of(read) if asked.incoming else events_of(read, asked.first))
    gc.disable()  # a pause here would look like one of the gateway
    uvloop.run(_main(told, asked))

"""Events of a WAHA that is played by a process of its own (`teller`): taken in both ways, with the time it takes."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import uvicorn

from bench.stage import WEBHOOK_SECRET, Spent, Stage, Stopwatch
from gateway.app import Gateway
from gateway.listening import listen
from gateway.waha.events import EventStream
from gateway.waha.schemas import Connected
from gateway.web import create_app
from sessions.news.webhook import WEBHOOK_PATH


async def by_stream(
    stage: Stage, arguments: Sequence[str], total: int, written: Callable[[], Awaitable[None]]
) -> tuple[dict[str, Any], Spent]:
    """Take so many events over a WebSocket until all are `written`; what the teller says, and what it took."""
    async with _teller(*arguments) as process:
        port = int(await _line(process))
        stream = EventStream(f"http://127.0.0.1:{port}", "")
        (member,) = stage.gateway.fleet.members
        assert isinstance(await anext(stream), Connected)
        watch = Stopwatch()
        _go(process)
        left = total
        while left:  # as ServerWatch does
            event = await anext(stream)
            assert not isinstance(event, Connected), "the connection was lost"
            await stage.gateway.intake.hear(member, event)
            left -= 1
        await written()
        spent = watch.read()
        await stream.aclose()
        return orjson.loads(await _line(process)), spent


async def by_webhook(stage: Stage, arguments: Sequence[str], connections: int) -> tuple[dict[str, Any], Spent]:
    """Take all events as webhooks through the whole HTTP service; what the teller says, and what it took.

    Each is stored when it is answered.
    """
    (member,) = stage.gateway.fleet.members
    async with _served(stage.gateway) as port:
        url = f"http://127.0.0.1:{port}{WEBHOOK_PATH}?server={member.id}"
        told = ["--post", url, "--secret", WEBHOOK_SECRET, "--connections", str(connections)]
        async with _teller(*arguments, *told) as process:
            await _line(process)
            watch = Stopwatch()
            _go(process)
            done = orjson.loads(await _line(process))
            return done, watch.read()


@asynccontextmanager
async def _served(gateway: Gateway) -> AsyncIterator[int]:
    """The whole HTTP service on a free port, as `gateway serve` runs it; gives the port."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        create_app(gateway), http="httptools", lifespan="off", access_log=False, log_config=None, proxy_headers=False
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def _teller(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "bench.teller", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        if process.returncode is None and process.stdin is not None:
            process.stdin.close()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the process that tells the events has ended before its time")
    return line


def _go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")

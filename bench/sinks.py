"""A sink in a process of its own, and how to ask it what it saw."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import orjson

from bench.sink import Sent


@dataclass(frozen=True, slots=True)
class RunningSink:
    """A sink that runs in another process."""

    url: str
    http: httpx.AsyncClient

    async def record(self) -> dict[str, list[Sent]]:
        """What it saw since it was last emptied: by session, in the order of arrival."""
        answer = await self.http.get("/sink/record")
        return {name: [Sent(*entry) for entry in sent] for name, sent in orjson.loads(answer.content).items()}

    async def forget(self) -> None:
        """Empty its record."""
        (await self.http.post("/sink/forget")).raise_for_status()


@asynccontextmanager
async def running_sink(senders: int, latency: float = 0.0) -> AsyncIterator[RunningSink]:
    """Start a sink; it ends with the block, and with this process."""
    command = [sys.executable, "-m", "bench.sink", "--senders", str(senders), "--latency", str(latency)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
            yield RunningSink(url, http)
    finally:
        process.stdin.close()
        await process.wait()

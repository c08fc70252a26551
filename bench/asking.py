"""Asking a service the same thing at a steady rate, as other clients do while it is busy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass(slots=True)
class Asked:
    """What came of it: seconds until each answer, and how many were no 200 or none at all."""

    path: str
    seconds: list[float] = field(default_factory=list)
    failed: int = 0


@asynccontextmanager
async def asking(http: aiohttp.ClientSession, path: str, rate: float) -> AsyncIterator[Asked]:
    """Ask `rate` times a second during the block, and wait for the last answers at its end.

    Each question has its own time, whether or not the one before is answered: so a standstill counts for everybody who
    would have asked meanwhile, and an answer's time counts from when it was due.
    """
    asked = Asked(path)
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()

    async def ask(due: float) -> None:
        try:
            async with http.get(path) as answer:
                await answer.read()
                asked.failed += answer.status != 200
        except (aiohttp.ClientError, TimeoutError):
            asked.failed += 1
        asked.seconds.append(loop.time() - due)

    async def go_on() -> None:
        due = loop.time()
        while True:
            task = asyncio.create_task(ask(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += 1 / rate
            await asyncio.sleep(due - loop.time())

    asker = asyncio.create_task(go_on())
    try:
        yield asked
    finally:
        asker.cancel()
        await asyncio.gather(asker, *under_way, return_exceptions=True)

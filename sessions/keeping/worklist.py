"""The keeper's work on one server: one thing at a time, and some seconds apart, so that a server that has just come
back is not stormed.

What wakes it: a sweep brings a new list, or something is added between two sweeps. A list that no sweep has renewed for
a minute is dropped: the server is away, or another replica watches it now. `stop` ends it wherever it is; the lease of
a call that was under way runs out.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock

log = structlog.get_logger()

REST_SECONDS = 1.0
STALE_SECONDS = 60.0

Job = Callable[[], Awaitable[bool]]
"""Tells whether it has asked WAHA to change something."""


class Worklist:
    """Does one server's jobs one after the other. `jitter` gives a number from 0 to 1."""

    def __init__(self, name: str, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._jitter = jitter
        self._more = asyncio.Event()
        self._swept: dict[Hashable, Job] = {}
        self._swept_at = 0.0
        self._added: dict[Hashable, Job] = {}
        self._task = asyncio.create_task(self._run(), name=f"keep {name}")

    def replace(self, jobs: Mapping[Hashable, Job]) -> None:
        """What a sweep found to do, most urgent first; what earlier ones found and was not begun is forgotten."""
        self._swept, self._swept_at = dict(jobs), self._clock.monotonic()
        self._more.set()

    def add(self, key: Hashable, job: Job) -> None:
        """Something else to do, before all that; of two with one key the later one."""
        self._added[key] = job
        self._more.set()

    async def stop(self) -> None:
        """Leave what is not done."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._clock.wait(self._more, None)
            self._more.clear()
            while (job := self._next()) is not None:
                if await self._do(job):
                    await self._clock.sleep(REST_SECONDS * (1.0 + self._jitter()))

    def _next(self) -> Job | None:
        if self._clock.monotonic() - self._swept_at > STALE_SECONDS:
            self._swept.clear()
        for jobs in (self._added, self._swept):
            if jobs:
                return jobs.pop(next(iter(jobs)))
        return None

    async def _do(self, job: Job) -> bool:
        try:
            return await job()
        except (SQLAlchemyError, OSError) as error:
            log.error("keeping_failed", error=str(error))
        except Exception:  # one bug must not leave the server's other sessions alone
            log.exception("keeping_failed")
        return True

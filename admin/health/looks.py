"""Looking at a part without ever waiting long for it, however often one is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock

log = structlog.get_logger()

T = TypeVar("T")
FRESH_SECONDS = 1.0
"""Whoever asks again within this time is told the same: many may poll at no cost."""
LIMIT_SECONDS = 2.0
"""What has not answered by then does not answer."""


class Look(Generic[T]):
    """One look at a part, shared by all who ask meanwhile and shortly after.

    `faults` are how the part fails. A look that takes too long goes on alone: to break it off would mean to wait for
    a frozen link once more. Until it ends, nobody waits for it again.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[], Awaitable[T]],
        clock: Clock,
        faults: tuple[type[Exception], ...] = (SQLAlchemyError, OSError),
    ) -> None:
        self._name = name
        self._look = look
        self._clock = clock
        self._faults = faults
        self._task: asyncio.Task[T | None] | None = None
        self._asked_at = 0.0

    async def ask(self) -> T | None:
        """What was seen; None if the part failed or did not answer within `LIMIT_SECONDS`."""
        now = self._clock.monotonic()
        if self._task is None or (self._task.done() and now - self._asked_at >= FRESH_SECONDS):
            self._task = asyncio.create_task(self._see(), name=f"look at {self._name}")
            self._asked_at = now
        task = self._task
        done, _ = await asyncio.wait({task}, timeout=max(0.0, self._asked_at + LIMIT_SECONDS - now))
        return task.result() if done else None

    async def _see(self) -> T | None:
        try:
            return await self._look()
        except self._faults as error:
            log.warning("health_check_failed", part=self._name, error=type(error).__name__)
            return None

    async def stop(self) -> None:
        """End a look that is under way."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

"""What many tell and one task writes, many at a time: whatever is noted while a batch is written is the next one."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import DatabaseAway

RETRY_SECONDS = 1.0

Fault = SQLAlchemyError | OSError


class Batch(ABC):
    """What is written together, and how that ended; its length is how much it holds."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.error: Fault | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    def end(self, error: Fault | None = None) -> None:
        """It is on disk, or was refused for now: whoever waits goes on."""
        self.error = error
        self.ended.set()


B = TypeVar("B", bound=Batch)


class BatchWriter(ABC, Generic[B]):
    """Notes at once, and writes in a task of its own, called `name`.

    Who has to know that what was noted is on disk waits for it (`written`), and who brings more than the database takes
    is held up (`room`) once `most` is kept in memory.
    """

    def __init__(self, clock: Clock, make_batch: Callable[[], B], *, most: int, name: str) -> None:
        self._clock = clock
        self._make_batch = make_batch
        self.most = most
        self._name = name
        self._next = make_batch()
        self._writing: B | None = None
        self._last_size = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether more is noted than should be kept in memory."""
        return len(self._next) >= self.most

    async def room(self) -> None:
        """Wait while more is noted than should be kept in memory."""
        await self._room.wait()

    async def written(self) -> None:
        """Wait until all that was noted before is committed.

        Raises:
            SQLAlchemyError, OSError: it could not be written now; it is kept and tried again.
        """
        batch = self._next if self._next else self._writing
        if batch is None:
            return
        if self._stopped.is_set() and batch is self._next:
            raise DatabaseAway("the gateway is stopping")
        await batch.ended.wait()
        if batch.error is not None:
            raise batch.error

    def start(self) -> None:
        """Begin to write, on the running event loop."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Write what was noted, and end."""
        self._stopped.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    def _was_noted(self) -> None:
        """Something more is in the next batch."""
        self._wake.set()
        if self.is_full:
            self._room.clear()

    def _look_again_after(self) -> float | None:
        """After so many seconds it is written again though nothing was noted; None: never."""
        return None

    async def _gather(self) -> None:
        """Wait for more to come, where that is worth it."""

    @abstractmethod
    async def _write_all(self, batch: B) -> Fault | None:
        """Write a batch. What the database refuses for now goes into the next one, and why is the answer."""

    async def _run(self) -> None:
        while not self._stopped.is_set():
            await self._clock.wait(self._wake, self._look_again_after())
            await self._gather()
            self._wake.clear()  # only now: for what came meanwhile nobody needs to wake again
            if not await self._flush():
                await self._clock.wait(self._stopped, RETRY_SECONDS)
                self._wake.set()
        await self._flush()
        self._next.end(DatabaseAway("the gateway has stopped"))

    async def _flush(self) -> bool:
        """Write all that is noted. Whether all went well."""
        batch, self._next = self._next, self._make_batch()
        self._writing, self._last_size = batch, len(batch)
        self._room.set()
        error = await self._write_all(batch)
        self._writing = None
        batch.end(error)
        if self.is_full:
            self._room.clear()
        return error is None

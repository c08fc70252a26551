"""Delivering: finds endpoints with something to tell them, and serves each in a task of its own.

One replica at a time serves an endpoint, by a lease in its row (`turns.py`). A replica that dies leaves a lease that
runs out. What wakes this loop: events that were numbered here or elsewhere (the bus), something that was asked for
here, and a look twice a second, which finds what is to be tried again and what a lost lease has left.
"""

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.events import EventBus, EventsNumbered
from gateway.notifications.webhooks import turns
from gateway.notifications.webhooks.serving import LEASE_SECONDS, Serving, ServingParts

log = structlog.get_logger()

POLL_SECONDS = 0.5
MOST_SERVED = 500
"""So many endpoints are served by one replica at the same time."""


class Deliverer:
    """Serves endpoints; `poll_seconds` is how often it looks without being told."""

    def __init__(self, parts: ServingParts, bus: EventBus, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._parts = parts
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._served: dict[asyncio.Task[None], Serving] = {}
        bus.subscribe(EventsNumbered, lambda _: self.wake())

    def wake(self) -> None:
        """Look now: there may be something to send."""
        self._wake.set()

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """Start nothing more, give what is in flight a moment, and give the endpoints back."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        for serving in self._served.values():
            serving.stop()
        await asyncio.gather(*self._served, return_exceptions=True)
        self._parts.poster.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._claim()
            except (SQLAlchemyError, OSError) as error:
                log.warning("webhooks_not_looked_for", error=type(error).__name__)
            await self._parts.clock.wait(self._wake, self._poll_seconds)
            self._wake.clear()

    async def _claim(self) -> None:
        """Begin to serve whoever has something due and is served by nobody."""
        parts, room = self._parts, MOST_SERVED - len(self._served)
        async with parts.db.read() as connection:
            if room <= 0 or not await turns.has_free(connection):
                return
        held_until = parts.clock.monotonic() + LEASE_SECONDS
        async with parts.db.write() as tx:
            claimed = await turns.claim(tx, parts.replica, LEASE_SECONDS, room)
        for row in claimed:
            serving = Serving(parts, row.id, row.epoch, held_until)
            task = asyncio.create_task(serving.run(), name=f"serve webhook {row.id}")
            self._served[task] = serving
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._served[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("webhook_serving_failed", exc_info=error)
        self._wake.set()

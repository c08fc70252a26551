"""The session manager: one watch for every server of the fleet, for as long as the server is in it."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.events import EventBus, ServersChanged, ServerSuspected
from sessions.news.watch import ServerWatch, WatchParts

log = structlog.get_logger()

STOP_SECONDS = 2.0


class SessionManager:
    """Watches every server of the fleet, and follows changes of the fleet. `stop` ends all watches."""

    def __init__(self, parts: WatchParts, bus: EventBus) -> None:
        self._parts = parts
        self._watches: dict[str, ServerWatch] = {}
        self._changed = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        bus.subscribe(ServerSuspected, lambda event: self.look(event.server_id, suspected=True))
        bus.subscribe(ServersChanged, lambda _: self._changed.set())

    def start(self) -> None:
        """Begin to watch all servers, on the running event loop."""
        self._follow_fleet()
        self._task = asyncio.create_task(self._run(), name="session manager")

    async def stop(self) -> None:
        """Stop watching."""
        self._stopping = True
        self._changed.set()
        if self._task is not None:
            # a watch that it is ending just now is to end in order, unless the database keeps that waiting
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(watch.stop() for watch in self._watches.values()))
        await self._parts.writer.stop()

    def look(self, server_id: str, *, suspected: bool = False) -> None:
        """Have a server looked at now."""
        if watch := self._watches.get(server_id):
            watch.look(suspected=suspected)

    async def _run(self) -> None:
        while not self._stopping:
            await self._parts.clock.wait(self._changed, self._parts.sweep_seconds)
            self._changed.clear()
            if self._stopping:
                return
            try:
                await self._parts.fleet.refresh()
            except (SQLAlchemyError, OSError) as error:
                log.error("fleet_not_read", error=str(error))
            gone = [id_ for id_, watch in self._watches.items() if self._parts.fleet.member(id_) is not watch.member]
            for id_ in gone:
                await self._watches.pop(id_).stop()
            self._follow_fleet()

    def _follow_fleet(self) -> None:
        for member in self._parts.fleet.members:
            if member.id not in self._watches:
                self._watches[member.id] = ServerWatch(member, self._parts)

"""What proves a session, or its phone, without our asking: our own sends, and messages written on the phone.

WAHA's own word on a session's last activity is not always there. Both collect in memory and write seldom: what a crash
loses makes a clock show a little less than is true, and never more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import Database
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from sessions.keepalive import queries
from sessions.news.watch import Swept
from sessions.servers.fleet import Member

log = structlog.get_logger()

ASK_SECONDS = 3600.0
WRITE_SECONDS = 60.0
BY_HAND = "app"
"""WAHA's word for the source of a message that was written on the phone."""

Sends = Mapping[int, tuple[int, float | None]]
SendsOf = Callable[[str], Awaitable[Sends]]
"""For a server's id: how many messages each sender there has sent, and when WAHA's last answer to it came."""


class SendEvidence:
    """Takes a session's own sends as activity: whoever has sent more than when we looked last was active."""

    def __init__(self, db: Database, clock: Clock, sends_of: SendsOf) -> None:
        self._db = db
        self._clock = clock
        self._sends_of = sends_of
        self._ask_at: dict[str, float] = {}
        self._totals: dict[str, dict[int, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def after_sweep(self, swept: Swept) -> None:
        """Look at the sends of this server, if that is due; waits for nothing."""
        now = self._clock.monotonic()
        if not swept.rows or now < self._ask_at.get(swept.member.id, 0.0):
            return
        self._ask_at[swept.member.id] = now + ASK_SECONDS
        task = asyncio.create_task(self._look(swept.member), name=f"sends {swept.member.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self, member: Member) -> None:
        try:
            sends = await self._sends_of(member.id)
            before = self._totals.get(member.id)
            self._totals[member.id] = {sender_id: total for sender_id, (total, _) in sends.items()}
            if before is None:
                return  # the first look: an answer that came before it may have been a refusal
            active = [
                (sender_id, at) for sender_id, (total, at) in sends.items() if at and total > before.get(sender_id, 0)
            ]
            if active:
                async with self._db.write() as tx:
                    await queries.note_activity(tx, member.id, active)
        except (SQLAlchemyError, OSError) as error:
            log.error("sends_not_read", server=member.name, error=str(error))


class PhoneEvidence:
    """Takes messages that were written on the phone as evidence of it. All that came is written once a minute."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._seen: dict[tuple[str, str], float] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, member: Member, event: MessageAckEvent | MessageAnyEvent) -> None:
        """Hear of a message; waits for nothing. One of long ago, as after a pairing, counts with its own time."""
        if not isinstance(event, MessageAnyEvent) or not event.from_me or event.source != BY_HAND:
            return
        now = self._clock.now()
        at = now if event.timestamp is None else min(now, event.timestamp / 1000)
        key = (member.id, event.session)
        self._seen[key] = max(at, self._seen.get(key, 0.0))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_soon(), name="phones seen")

    async def stop(self) -> None:
        """Write what is there."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._write()

    async def _write_soon(self) -> None:
        while self._seen:
            await self._clock.sleep(WRITE_SECONDS)
            await self._write()
        self._writing = None

    async def _write(self) -> None:
        """What cannot be written stays, for the next time."""
        seen = dict(self._seen)
        if not seen:
            return
        try:
            async with self._db.write() as tx:
                await queries.note_phones(tx, [(server_id, name, at) for (server_id, name), at in seen.items()])
        except (SQLAlchemyError, OSError) as error:
            log.error("phones_not_written", count=len(seen), error=str(error))
            return
        for key, at in seen.items():
            if self._seen[key] == at:
                del self._seen[key]

"""The feed of one replica: reads new events once, and hands them to all of its sockets that may hear them.

It reads while there are sockets: when the bus tells that events were numbered, and each second. A socket that has to
catch up reads by itself, and joins when it has everything that the feed has read.

A reader that is slower than the events come is cut off: nobody waits for it, and what waits for it is bounded.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import AnyRow, Database
from gateway.events import EventBus, EventsNumbered
from gateway.notifications.audience import Audience, keys_of
from gateway.notifications.listening import RENEW_SECONDS, read_events, renew
from gateway.notifications.payload import payload_of

log = structlog.get_logger()

PAGE = 500
BACKLOG = 1000
"""So many events may wait for one socket."""
POLL_SECONDS = 1.0
AGAIN_SECONDS = 1.0


def text_of(row: AnyRow) -> str:
    """An event as a socket tells it."""
    return orjson.dumps({"type": "event", "sequence": row.sequence, **payload_of(row)}).decode()


class Subscriber:
    """One socket: what it wants to hear, and what waits to be sent to it.

    `wanted` says by an event's kind whether it is wanted. `more` is set when there is something to do: an event, or the
    end, whose reason is in `ended`. `heard` is the number up to which it has heard everything.
    """

    def __init__(self, audience: Audience, wanted: Callable[[str], bool]) -> None:
        self.audience = audience
        self.more = asyncio.Event()
        self.ended: str | None = None
        self.heard = 0
        self._wanted = wanted
        self._waiting: deque[str] = deque()

    def wants(self, row: AnyRow) -> bool:
        """Whether an event is to be sent."""
        return row.sequence > self.heard and self.audience.sees(row) and self._wanted(row.kind)

    def put(self, text: str) -> None:
        """Have an event sent; a reader with too many before it is cut off."""
        if len(self._waiting) >= BACKLOG:
            self.end(TOO_SLOW)
        elif self.ended is None:
            self._waiting.append(text)
            self.more.set()

    def end(self, reason: str) -> None:
        """Send nothing more."""
        if self.ended is None:
            self.ended = reason
        self._waiting.clear()
        self.more.set()

    def take(self) -> str | None:
        """The next text to send; None if there is nothing now."""
        if self._waiting:
            return self._waiting.popleft()
        self.more.clear()
        if self.ended is not None:
            self.more.set()
        return None


GONE = "the client has gone"
TOO_SLOW = "too slow: more events came than were read"
CLOSING = "the service is closing; come again"
LAPSED = "the service was away for too long; come again"


class Feed:
    """Reads events, and hands them to the sockets of this replica."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._wake = asyncio.Event()
        self._position = 0
        self._open: set[Subscriber] = set()
        self._joined: dict[str, set[Subscriber]] = defaultdict(set)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        bus.subscribe(EventsNumbered, lambda _: self._wake.set())

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._tasks = [
            asyncio.create_task(self._read_on(), name="event feed"),
            asyncio.create_task(self._renew_all(), name="event listeners"),
        ]

    def close(self) -> None:
        """End every socket, and take no other."""
        self._stopping = True
        for subscriber in self._open:
            subscriber.end(CLOSING)

    async def stop(self) -> None:
        """End every socket, and stop reading."""
        self.close()
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @contextmanager
    def entered(self, subscriber: Subscriber, last: int) -> Iterator[None]:
        """A socket is there, also while it catches up; `last` is the newest number, read before."""
        if not self._open:
            self._position = last
        self._open.add(subscriber)
        if self._stopping:
            subscriber.end(CLOSING)
        self._wake.set()
        try:
            yield
        finally:
            self._open.discard(subscriber)
            joined = self._joined[subscriber.audience.key]
            joined.discard(subscriber)
            if not joined:
                del self._joined[subscriber.audience.key]

    @property
    def position(self) -> int:
        """The number of the last event that was handed out."""
        return self._position

    def join(self, subscriber: Subscriber, heard: int) -> None:
        """Hand a socket what is read from now on; it has heard everything up to a number, `position` or later."""
        subscriber.heard = heard
        self._joined[subscriber.audience.key].add(subscriber)

    async def _read_on(self) -> None:
        while True:
            # without sockets nothing is read, and the position says nothing
            await self._clock.wait(self._wake, POLL_SECONDS if self._open else None)
            self._wake.clear()
            try:
                while self._open and await self._read_page():
                    pass
            except (SQLAlchemyError, OSError) as error:
                log.warning("events_not_read", error=str(error), advice="they are told later")
                await self._clock.sleep(AGAIN_SECONDS)

    async def _read_page(self) -> bool:
        """Read and hand out some events; whether there may be more."""
        after = self._position
        async with self._db.read() as connection:
            rows = await read_events(connection, after, PAGE)
        if after != self._position:
            return True  # the last socket has gone meanwhile, and another one has come
        for row in rows:
            self._hand_out(row)
        if rows:
            self._position = rows[-1].sequence
        return len(rows) == PAGE

    def _hand_out(self, row: AnyRow) -> None:
        text = ""
        for key in keys_of(row):
            for subscriber in self._joined.get(key, ()):
                if subscriber.wants(row):
                    text = text or text_of(row)
                    subscriber.put(text)

    async def _renew_all(self) -> None:
        """Have the events of all who are there written for another hour."""
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            keys = {subscriber.audience.key for subscriber in self._open}
            if not keys:
                continue
            try:
                async with self._db.write() as tx:
                    kept = await renew(tx, keys)
            except (SQLAlchemyError, OSError) as error:
                log.warning("event_listeners_not_renewed", error=str(error))
                continue
            for subscriber in self._open:
                if subscriber.audience.key in keys - kept:
                    subscriber.end(LAPSED)

"""Pages that watch a pairing: each hears of every new code and every new state, without polling.

All who watch one number share one watch. It looks when the bus tells that the session's state has moved, when the time
of the code that is shown is over, and every second, because another replica may be the one that heard. A watch begins
nothing: only who opens a stream asks for the code, as whoever calls the QR route; who follows one does not. It ends
with the pairing's success, with the session, with its last stream, or with the gateway.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.auth.access import Caller
from gateway.clock import Clock
from gateway.errors import GatewayError, RateLimited, ServiceUnavailable
from gateway.events import EventBus, SessionStateChanged
from sessions.models import SessionState
from sessions.pairing.answers import qr_out
from sessions.pairing.schemas import QrOut
from sessions.pairing.service import Pairing, Shown

log = structlog.get_logger()

PER_NUMBER = 20
IN_ALL = 1000
AGAIN_SECONDS = 10.0
LOOK_SECONDS = 1.0
BACKLOG = 50
"""So much may wait for a slow reader; who is slower is cut off, and comes again for the present state."""

REMOVED = QrOut(status="NOT_FOUND", reason="the session was removed")
AWAY = QrOut(
    status=SessionState.WAITING_FOR_SCAN, reason="its code cannot be read just now; it is told as soon as it can"
)
"""Only a session that waits for a scan is asked for its code, and can be found to be out of reach."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream. `shown` is what it was made of: None of a session that was removed, or is out of reach."""

    kind: Literal["status", "qr"]
    body: QrOut
    shown: Shown | None = field(default=None, compare=False)


class Stream:
    """What one reader hears, in order; iteration ends when there is nothing more to come."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Told | None] = asyncio.Queue(BACKLOG)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        told = await self._queue.get()
        if told is None:
            raise StopAsyncIteration
        return told

    def put(self, told: Told) -> bool:
        """Tell the reader; False if it is too slow, and cut off."""
        if self._queue.qsize() < BACKLOG - 1:
            self._queue.put_nowait(told)
            return True
        self.cut()
        return False

    def end(self) -> None:
        """Nothing more will come after what was told."""
        self._queue.put_nowait(None)

    def cut(self) -> None:
        """End at once, whatever was not read yet."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self.end()


class _Watch:
    """What is known of one number, and who wants to hear of it."""

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._status: Told | None = None
        self._code: Told | None = None

    def add(self, stream: Stream) -> None:
        """One more reader, who is told the present state first."""
        self.streams.add(stream)
        for told in (self._status, self._code):
            if told is not None:
                stream.put(told)

    def note(self, shown: Shown | None) -> bool:
        """Tell what is new; False when nothing more will come."""
        seen = REMOVED if shown is None else qr_out(shown)
        self._note_status(Told("status", QrOut(status=seen.status, reason=seen.reason), shown))
        code = Told("qr", seen, shown) if seen.qr_code is not None else None
        if code is not None and (self._code is None or self._code.body.qr_code != seen.qr_code):
            self._tell(code)
        self._code = code
        return seen.status not in (SessionState.CONNECTED, REMOVED.status)

    def note_away(self) -> None:
        """Tell that the code cannot be read just now; once it can, it is told anew."""
        self._note_status(Told("status", AWAY))
        self._code = None

    def end(self) -> None:
        """Nothing more will come for anybody."""
        while self.streams:
            self.streams.pop().end()

    def _note_status(self, status: Told) -> None:
        before, self._status = self._status, status
        if status != before:
            self._tell(status)

    def _tell(self, told: Told) -> None:
        self.streams = {stream for stream in self.streams if stream.put(told)}


class QrStreams:
    """All streams of this replica."""

    def __init__(
        self, pairing: Pairing, bus: EventBus, clock: Clock, *, per_number: int = PER_NUMBER, in_all: int = IN_ALL
    ) -> None:
        self._pairing = pairing
        self._clock = clock
        self._per_number = per_number
        self._in_all = in_all
        self._open: Counter[str] = Counter()
        self._watches: dict[str, _Watch] = {}
        self._closed = False
        bus.subscribe(SessionStateChanged, self._on_state)

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._open.total()

    @property
    def watched(self) -> int:
        """How many numbers are watched."""
        return len(self._watches)

    def close(self) -> None:
        """End all streams at once; no new ones are opened."""
        self._closed = True
        for watch in list(self._watches.values()):
            for stream in watch.streams:
                stream.cut()
            if watch.task is not None:
                watch.task.cancel()

    async def stop(self) -> None:
        """End everything, and wait until it has ended."""
        tasks = [watch.task for watch in self._watches.values() if watch.task is not None]
        self.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def open(self, caller: Caller, number: str) -> AsyncIterator[Stream]:
        """A stream of `number` (digits, read and allowed before), open while the block runs.

        Raises:
            RateLimited: so many watch this number already.
            ServiceUnavailable: so many streams are open in all, or the gateway is ending.
            NotFound, Conflict: as `Pairing.ask`.
        """
        with self._place(number):
            await self._pairing.ask(caller, number)
            with self._joined(number) as stream:
                yield stream

    @asynccontextmanager
    async def follow(self, number: str) -> AsyncIterator[Stream]:
        """As `open`, but nothing is asked for: what nobody has begun is not begun by looking.

        Raises:
            RateLimited: so many watch this number already.
            ServiceUnavailable: so many streams are open in all, or the gateway is ending.
        """
        with self._place(number), self._joined(number) as stream:
            yield stream

    @contextmanager
    def _place(self, number: str) -> Iterator[None]:
        self._admit(number)
        self._open[number] += 1
        try:
            yield
        finally:
            self._open[number] -= 1
            if not self._open[number]:
                del self._open[number]

    @contextmanager
    def _joined(self, number: str) -> Iterator[Stream]:
        stream = Stream()
        watch = self._join(number, stream)
        try:
            yield stream
        finally:
            self._leave(number, watch, stream)

    def _admit(self, number: str) -> None:
        if self._closed:
            raise ServiceUnavailable("the gateway is ending; ask again in some seconds")
        if self._open[number] >= self._per_number:
            again_at = self._clock.now() + AGAIN_SECONDS
            raise RateLimited(f"{self._per_number} streams of this number are open already", again_at=again_at)
        if self.count >= self._in_all:
            raise ServiceUnavailable("too many streams are open; ask GET .../qr now and then instead")

    def _join(self, number: str, stream: Stream) -> _Watch:
        watch = self._watches.get(number)
        if watch is None:
            watch = self._watches[number] = _Watch()
            watch.task = asyncio.create_task(self._run(number, watch), name="watch a pairing")
        watch.add(stream)
        if self._closed:
            stream.cut()
        return watch

    def _leave(self, number: str, watch: _Watch, stream: Stream) -> None:
        watch.streams.discard(stream)
        if not watch.streams and self._watches.get(number) is watch:
            del self._watches[number]
            if watch.task is not None:
                watch.task.cancel()

    def _on_state(self, event: SessionStateChanged) -> None:
        if watch := self._watches.get(event.number):
            watch.wake.set()

    async def _run(self, number: str, watch: _Watch) -> None:
        try:
            while True:
                watch.wake.clear()
                pause = LOOK_SECONDS
                try:
                    shown = await self._pairing.peek(number)
                    if not watch.note(shown):
                        return
                    pause = self._pause(shown)
                except GatewayError as error:
                    watch.note_away()
                    log.info("pairing_not_seen", error=str(error))
                except (SQLAlchemyError, OSError) as error:
                    log.info("pairing_not_seen", error=str(error))
                await self._clock.wait(watch.wake, pause)
        finally:
            if self._watches.get(number) is watch:
                del self._watches[number]
            watch.end()

    def _pause(self, shown: Shown | None) -> float:
        if shown is None or shown.code is None:
            return LOOK_SECONDS
        return min(LOOK_SECONDS, max(0.05, shown.code.expires_at - self._clock.now()))

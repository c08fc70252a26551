"""WAHA's events over one WebSocket per server: all sessions, no replay, no buffering.

An `EventStream` is iterated by one consumer for as long as the server is ours. What wakes it: a frame, a lost
connection, `aclose`. It opens the socket and gives a `Connected` marker, since whatever happened while there
was no socket was missed and the consumer should sweep. Then it gives each event that `parse_event` knows;
frames that cannot be read are logged without their content and skipped. A lost or refused connection is opened
again after a pause that doubles up to a cap, with jitter so that replicas do not come back all at once; the
pause starts small again once a connection has brought something. It ends, quietly, at `aclose` only.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Self, TypeVar

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gateway.waha.addresses import check_base_url, websocket_address
from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.schemas import Connected, Event, parse_event

T = TypeVar("T")

DEFAULT_EVENTS = ("session.status", "message.ack", "message.any")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
OPEN_SECONDS = 10.0
PING_SECONDS = 20.0
CLOSE_SECONDS = 2.0
MAX_FRAME_BYTES = 8 * 1024 * 1024

log = structlog.get_logger()

# The library logs each request line at DEBUG, and ours holds the key.
_quiet = logging.getLogger("gateway.waha.websocket")
_quiet.setLevel(logging.WARNING)


class EventStream:
    """Events of one WAHA server: `async for event in stream`.

    `wait` pauses for a number of seconds and `jitter` gives a number from 0 to 1 (tests replace both).
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        events: Sequence[str] = DEFAULT_EVENTS,
        session: str = "*",
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = check_base_url(base_url)
        # WAHA reads the key of a WebSocket from the query only, so this address is as secret as the key.
        query = {"session": session, "events": ",".join(events), "x-api-key": api_key}
        self._address = websocket_address(self.base_url, query)
        self._wait = wait
        self._jitter = jitter
        self._stopped = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._failures = 0

    def __repr__(self) -> str:
        return f"EventStream({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @property
    def connected(self) -> bool:
        """Whether the socket is open, as far as we know."""
        return self._connection is not None

    async def aclose(self) -> None:
        """End the iteration, also one that waits, and close the socket."""
        self._stopped.set()
        await self._drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Connected | Event:
        while not self._stopped.is_set():
            if self._connection is None:
                if await self._open():
                    return Connected()
                continue
            frame = await self._receive(self._connection)
            event = self._read(frame) if frame is not None else None
            if event is not None:
                return event
        raise StopAsyncIteration

    async def _open(self) -> bool:
        """Try once to connect, after the pause that the failures so far call for."""
        if self._failures and not await self._pause():
            return False
        self._failures += 1
        try:
            connection = await self._unless_stopped(self._connect())
        except (OSError, InvalidHandshake) as exc:
            self._log_failure(exc)
            return False
        if connection is None:
            return False
        if self._stopped.is_set():  # closed while the socket was opening
            await connection.close()
            return False
        self._connection = connection
        log.info("waha_events_connected", server=self.base_url)
        return True

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._address,
            proxy=None,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_FRAME_BYTES,
            logger=_quiet,
        )

    async def _receive(self, connection: ClientConnection) -> str | bytes | None:
        """Return the next frame, or None when the connection is gone."""
        try:
            frame = await connection.recv()
        except ConnectionClosed as exc:
            await self._drop()
            if not self._stopped.is_set():
                code = exc.rcvd.code if exc.rcvd else None
                log.warning("waha_events_lost", server=self.base_url, close_code=code)
            return None
        self._failures = 0
        return frame

    def _read(self, frame: str | bytes) -> Event | None:
        try:
            return parse_event(frame)
        except WahaMalformedEvent as exc:
            log.warning("waha_event_malformed", server=self.base_url, reason=exc.message, length=len(frame))
            return None

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _log_failure(self, exc: Exception) -> None:
        """The address holds the key and errors may hold the address: the kind of the error is enough."""
        status = exc.response.status_code if isinstance(exc, InvalidStatus) else None
        log.warning(
            "waha_events_unreachable",
            server=self.base_url,
            error=type(exc).__name__,
            status_code=status,
            failures=self._failures,
        )

    async def _pause(self) -> bool:
        """Wait before the next attempt; False if the stream was closed meanwhile."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 16))
        seconds = longest * (0.5 + self._jitter() / 2)
        await self._unless_stopped(self._sleep(seconds))
        return not self._stopped.is_set()

    async def _sleep(self, seconds: float) -> None:
        await self._wait(seconds)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what `work` returns, or None if `aclose` came first (`work` is then cancelled)."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for pending in (task, stopped):
                pending.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)

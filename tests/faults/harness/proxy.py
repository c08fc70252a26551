"""A TCP proxy in this process, to stand in front of WAHA or of PostgreSQL and break as networks do.

`freeze` is the half-open connection: nobody hears anything any more, not even an end, and bytes that were sent wait in
buffers until `thaw` or `reset`. `cut_response` lets a request through and resets the connection in place of the answer.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.faults.harness.waiting import last

CHUNK = 65_536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True, eq=False)
class _Pair:
    """A connection that was taken, the one that it leads to, and what was asked last."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    asked: bytes = b""

    def reset(self) -> None:
        """End both with a TCP reset."""
        _reset(self.near, self.far)


class Proxy:
    """One port on loopback that leads to whatever `connect` opens."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_seconds = 0.0
        self.answers_to_cut = 0
        self.cut_only = b""
        self.cuts = 0
        self.connections = 0
        self.port = 0

    # --- faults -------------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """From now on no byte passes, and no connection ends."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Bytes pass again, those that waited first."""
        self._flowing.set()

    def reset(self) -> None:
        """Every open connection ends with a TCP reset on both sides; new ones are taken."""
        for pair in list(self._pairs):
            pair.reset()

    def cut_response(self, count: int = 1, only: bytes = b"") -> None:
        """The next `count` answers (to requests that begin with `only`) are replaced by a reset."""
        self.answers_to_cut += count
        self.cut_only = only

    async def refuse(self) -> None:
        """The port is closed: new connections are refused, and the open ones are reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    async def accept(self) -> None:
        """The port is open (again)."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    # --- life ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End everything."""
        self.thaw()
        await self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)  # what is behind cannot be reached, or the test is over
        finally:
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        back_reader, back_writer = await self._connect()
        pair = _Pair(writer, back_writer)
        self._pairs.add(pair)
        ways = [
            asyncio.create_task(self._pump(reader, back_writer, pair, answers=False)),
            asyncio.create_task(self._pump(back_reader, writer, pair, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._pairs.discard(pair)
            writer.close()
            back_writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: "_Pair",
        *,
        answers: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.delay_seconds:
                    await last(self.delay_seconds)
                await self._flowing.wait()
                if not answers:
                    pair.asked = chunk
                elif self.answers_to_cut and pair.asked.startswith(self.cut_only):
                    self.answers_to_cut -= 1
                    self.cuts += 1
                    pair.reset()
                    return
                writer.write(chunk)
                await writer.drain()
            await self._flowing.wait()  # a frozen network does not tell of an end


def _reset(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        handle: socket.socket | None = writer.get_extra_info("socket")
        if handle is not None and handle.family != socket.AF_UNIX and handle.fileno() >= 0:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@asynccontextmanager
async def proxy_to(connect: Callable[[], Awaitable[Streams]]) -> AsyncIterator[Proxy]:
    """A proxy that is open meanwhile."""
    proxy = Proxy(connect)
    await proxy.accept()
    try:
        yield proxy
    finally:
        await proxy.close()

"""Watching one WAHA server: its events, and a sweep that asks for the truth.

One replica watches a server at a time, by a lease in the server's row; it is renewed with each sweep. What wakes the
watch: its pause is over, its event stream was (re)connected, or a call found the server away. A sweep is one call for
all sessions; whatever was not heard is found by it. While the server does not answer, it is asked again after more and
more time. `stop` ends the watch and gives the lease back.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.politeness import politely
from gateway.waha.errors import WahaError
from gateway.waha.events import EventStream
from gateway.waha.schemas import Connected, SessionInfo
from sessions import queries
from sessions.news.intake import Intake
from sessions.news.state_writer import StateWriter
from sessions.servers.fleet import Fleet, Member

log = structlog.get_logger()

MISSING_GRACE_SECONDS = 60.0
HEALTH_SECONDS = 30.0
MINIMUM_LEASE_SECONDS = 30.0
RETRY_SECONDS = 2.0
STANDBY_SECONDS = 1.0
"""How often a replica that does not watch a server sees whether it could."""


StreamFactory = Callable[[Member], EventStream]


def open_stream(member: Member) -> EventStream:
    """A server's events over a WebSocket."""
    return EventStream(member.url, member.api_key)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep saw: our sessions on one server as they are stored now, and what WAHA says about each by name.

    `now` is the database's time of the answer; `connected_since`, on the same clock, when the event stream was opened
    last (None: no events come by this watch now). `outrun` are the senders whose session was heard of after WAHA was
    asked: what `infos` says about these is the past.
    """

    member: Member
    rows: Sequence[AnyRow]
    infos: Mapping[str, SessionInfo]
    now: float
    connected_since: float | None
    outrun: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What every watch works with.

    `open_stream` gives a server's event stream (None: its events come another way). `intake` takes all of them;
    `after_sweep` is told what was seen, and must not wait.
    """

    db: Database
    clock: Clock
    fleet: Fleet
    writer: StateWriter
    replica: str
    sweep_seconds: float
    open_stream: StreamFactory | None
    intake: Intake
    after_sweep: Sequence[Callable[[Swept], None]]


class ServerWatch:
    """Watches one server, while this replica is the one that does."""

    def __init__(self, member: Member, parts: WatchParts) -> None:
        self.member = member
        self._parts = parts
        self._sweep_now = asyncio.Event()
        self._stream: EventStream | None = None
        self._following: asyncio.Task[None] | None = None
        self._connected_since: float | None = None
        self._health_at = 0.0
        self._holds = False
        self._held_until = 0.0
        self._suspected = False
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"watch {member.name}")

    def look(self, *, suspected: bool = False) -> None:
        """Have the server looked at now; `suspected`: a call found it away."""
        self._suspected |= suspected
        self._sweep_now.set()

    async def stop(self) -> None:
        """Stop watching; another replica may take over at once."""
        self._stopping = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._close_stream()
        if self._holds:
            try:
                await self._parts.fleet.release(self.member, self._parts.replica)
            except (SQLAlchemyError, OSError) as error:
                log.warning("watch_not_given_back", server=self.member.name, error=str(error))

    @property
    def lease_seconds(self) -> float:
        """How long the watch is ours without a renewal."""
        return max(MINIMUM_LEASE_SECONDS, 3 * self._parts.sweep_seconds)

    async def _run(self) -> None:
        while not self._stopping:
            self._sweep_now.clear()
            try:
                pause = await self._round()
            except (SQLAlchemyError, OSError) as error:
                log.error("watch_failed", server=self.member.name, error=str(error))
                pause = RETRY_SECONDS
                if self._holds and self._parts.clock.monotonic() > self._held_until:
                    await self._let_go()  # another replica may watch it by now
            except Exception:  # a bug must not leave the server unwatched
                log.exception("watch_failed", server=self.member.name)
                pause = RETRY_SECONDS
            await self._parts.clock.wait(self._sweep_now, pause)

    async def _round(self) -> float:
        """Look once; how many seconds to rest then."""
        parts, member = self._parts, self.member
        suspected, self._suspected = self._suspected, False
        held_until = parts.clock.monotonic() + self.lease_seconds
        lease = await parts.fleet.hold(member, parts.replica, self.lease_seconds)
        if lease is None:
            await self._let_go()
            if suspected and member.up:
                await self._probe()
            return min(STANDBY_SECONDS, parts.sweep_seconds)
        self._held_until = held_until
        if not self._holds:
            log.info("watching", server=member.name)
            self._holds = True
            self._health_at = 0.0
            self._open_stream()
        longest = self.lease_seconds / 3  # one that is down is asked more rarely than the watch has to be renewed
        if not member.up and lease.now < lease.ask_at:
            return min(lease.ask_at - lease.now, longest)
        try:
            async with parts.fleet.holding(member, parts.replica, self.lease_seconds):
                await self._ask(lease.now, lease.now - parts.clock.monotonic())
        except WahaError as error:
            return min(await parts.fleet.note_failure(member, error), longest)
        return parts.sweep_seconds

    async def _let_go(self) -> None:
        """This replica does not watch the server, or not any more."""
        self._holds = False
        await self._close_stream()

    async def _ask(self, now: float, ahead: float) -> None:
        if not self.member.up or now >= self._health_at:
            await self._parts.fleet.check_health(self.member, ahead)
            self._health_at = now + max(HEALTH_SECONDS, self._parts.sweep_seconds)
        await self.sweep(now)

    async def _probe(self) -> None:
        """Another replica watches this server, but it was this one that found it away."""
        try:
            await self.member.client.ping()
        except WahaError as error:
            await self._parts.fleet.note_failure(self.member, error)

    async def sweep(self, asked_at: float) -> None:
        """Ask for all sessions, and write what differs from what we knew. `asked_at` is the database's time.

        Raises:
            WahaError: the server did not answer.
        """
        parts, member = self._parts, self.member
        async with parts.db.read() as connection:
            heard = await queries.event_times(connection, member.id)
        infos = {info.name: info for info in await member.client.list_sessions(all=True)}
        async with parts.db.read() as connection:
            rows = await queries.sessions_on(connection, member.id)
            now = rows[0].read_at if rows else await read_now(connection)
        parts.fleet.note_answer(member, now)
        changed, outrun = False, set()
        active: list[tuple[AnyRow, float]] = []
        async for row in politely(rows):
            heard_since = (
                asked_at <= row.status_at <= now
            )  # one of the future was written before the clock was set back
            if heard_since or row.event_at != heard.get(row.sender_id, 0.0):
                outrun.add(row.sender_id)
            else:
                changed |= await self._compare(row, infos.get(row.name), now, active)
        if active:
            await parts.writer.on_activities(active)
        await parts.fleet.note_ghosts(member, sorted(set(infos) - {row.name for row in rows}))
        if changed:
            async with parts.db.read() as connection:
                rows = await queries.sessions_on(connection, member.id)
        hears = self._stream is not None and self._stream.connected
        swept = Swept(member, rows, infos, now, self._connected_since if hears else None, frozenset(outrun))
        for callback in parts.after_sweep:
            try:
                callback(swept)
            except Exception:  # one that fails must not keep the others from seeing it
                log.exception("after_sweep_failed", server=member.name)

    async def _compare(
        self, row: AnyRow, info: SessionInfo | None, now: float, active: list[tuple[AnyRow, float]]
    ) -> bool:
        """One session in a sweep; whether there was something to write. A mere activity is added to `active`."""
        writer = self._parts.writer
        if info is None:
            if now - row.created_at <= MISSING_GRACE_SECONDS or self.member.is_young(now):
                return False
            await writer.on_missing(row)
            return True
        if not writer.differs(row, info, now):
            return False
        active_at = writer.activity(row, info, now)
        if active_at is not None:
            active.append((row, active_at))
        else:
            await writer.on_answer(self.member, row, info, now)
        return True

    # --- events -------------------------------------------------------------------------------------------------

    def _open_stream(self) -> None:
        if self._parts.open_stream is not None:
            self._stream = self._parts.open_stream(self.member)
            self._following = asyncio.create_task(self._follow(self._stream), name=f"events {self.member.name}")

    async def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        following, self._following = self._following, None
        self._connected_since = None
        if stream is not None:
            await stream.aclose()
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, stream: EventStream) -> None:
        async for event in stream:
            try:
                if isinstance(event, Connected):
                    self._health_at = 0.0  # it may have restarted
                    self.look()  # what happened before this moment was not heard
                    self._connected_since = await self._now()
                elif not await self._parts.intake.hear(self.member, event):
                    self.look()
            except (SQLAlchemyError, OSError) as error:
                log.error("event_failed", server=self.member.name, error=str(error))
                self.look()
            except Exception:  # a bug must not leave the server unheard
                log.exception("event_failed", server=self.member.name)
                self.look()

    async def _now(self) -> float:
        async with self._parts.db.read() as connection:
            return await read_now(connection)

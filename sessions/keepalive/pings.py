"""Pings: each is a true round trip through WhatsApp, a look-up of the session's own number.

The replica that watches a server does the pings of its sessions, one at a time, at the times that the sweep has
planned. What was missed, because the server was down or nobody ran, is done as soon as the server is swept again. An
answer proves the session; whatever is no answer is counted, and the next sweep plans another ping.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.events import EventBus, SessionStateChanged
from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    RateLimited,
    SessionNotFound,
    SessionNotWorking,
    WahaConnectionLost,
    WahaError,
    WahaUnreachable,
)
from gateway.waha.schemas import WahaStatus
from sessions import queries as session_queries
from sessions.history import Diary, Kind
from sessions.keepalive import clocks, queries
from sessions.keepalive.clocks import Periods
from sessions.keepalive.sentences import in_words
from sessions.keepalive.sweep import warn_of_expiry
from sessions.models import Desired, SessionState
from sessions.news.watch import Swept
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

RATE_LIMIT_PAUSE_SECONDS = 900.0
EXPIRED_REASON = "WhatsApp has not answered its pings; scan again"

_SERVER_IS_AWAY = (WahaUnreachable, WahaConnectionLost)
_NOT_WORKING = (SessionNotWorking, SessionNotFound)


@dataclass(slots=True)
class _Round:
    """The pings of one server: when each is due, by sender; `offset` turns our own seconds into the database's."""

    due: dict[int, float]
    offset: float
    task: asyncio.Task[None] | None = None


class Pinger:
    """Does the pings of the servers that this replica watches. `stop` ends what is under way.

    `ahead_seconds` is how long it takes until the next sweep of a server.
    """

    def __init__(
        self, db: Database, bus: EventBus, clock: Clock, fleet: Fleet, periods: Periods, *, ahead_seconds: float
    ) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._fleet = fleet
        self._periods = periods
        self._ahead_seconds = ahead_seconds
        self._rounds: defaultdict[str, _Round] = defaultdict(lambda: _Round({}, 0.0))

    def after_sweep(self, swept: Swept) -> None:
        """Do the pings of this server that are due until its next sweep; waits for nothing."""
        until = swept.now + self._ahead_seconds
        due = {
            row.sender_id: row.ping_at
            for row in swept.rows
            if row.ping_at is not None and row.ping_at <= until and _says_working(swept, row)
        }
        if not due and swept.member.id not in self._rounds:
            return
        this = self._rounds[swept.member.id]
        this.due, this.offset = due, swept.now - self._clock.monotonic()
        if due and this.task is None:
            this.task = asyncio.create_task(self._work(swept.member.id, this), name=f"pings {swept.member.name}")

    async def stop(self) -> None:
        """End what is under way; it is done again by whoever watches the server next."""
        tasks = [this.task for this in self._rounds.values() if this.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, server_id: str, this: _Round) -> None:
        try:
            while this.due:
                sender_id, at = min(this.due.items(), key=lambda item: item[1])
                await self._clock.sleep(max(0.0, at - this.offset - self._clock.monotonic()))
                if this.due.pop(sender_id, None) is not None:
                    await self._ping(server_id, sender_id, this)
        except (SQLAlchemyError, OSError) as error:
            log.error("pings_interrupted", error=str(error))  # they stay due
        finally:
            this.task = None

    async def _ping(self, server_id: str, sender_id: int, this: _Round) -> None:
        async with self._db.read() as connection:
            row = await session_queries.find_by_sender(connection, sender_id)
        client = self._fleet.client(server_id)
        if row is None or client is None or not _is_to_be_pinged(row, server_id):
            return
        if row.ping_at > self._clock.monotonic() + this.offset + 1.0:
            return  # it was put off meanwhile
        try:
            await _ask(client, row)
        except RateLimited as error:
            await self._put_off(row, error)
        except _SERVER_IS_AWAY as error:
            log.info("ping_without_server", number=row.number, error=str(error))
            self._fleet.note_unreachable(server_id)
            this.due.clear()  # they stay due, and are done when it is back
        except _NOT_WORKING as error:
            log.info("ping_without_session", number=row.number, error=str(error))
        except WahaError as error:
            await self._failed(row, error)
        else:
            await self._answered(row)

    async def _put_off(self, row: AnyRow, error: RateLimited) -> None:
        """WhatsApp is asked too much: that says nothing about the session."""
        pause = max(RATE_LIMIT_PAUSE_SECONDS, error.retry_after or 0.0)
        async with self._db.write() as tx:
            now = await read_now(tx)
            await queries.settle_ping(tx, row, ping_at=now + pause)
        log.info("ping_put_off", number=row.number, seconds=pause)

    async def _answered(self, row: AnyRow) -> None:
        diary = Diary()
        values: dict[str, Any] = {"ping_at": None, "ping_failures": 0, "warned_at": None}
        revived = row.state == SessionState.EXPIRED
        if revived:
            values |= {"state": SessionState.CONNECTED, "requires_auth": False, "reason": ""}
        async with self._db.write() as tx:
            now = await read_now(tx)
            values |= {"last_active": now, "pinged_at": now} | ({"state_at": now} if revived else {})
            if not await self._settle(tx, row, values):
                return
            idle = now - (clocks.active_at(row) or now)
            await _note(diary, tx, row, Kind.PINGED, f"WhatsApp answered after {in_words(idle)} without activity", now)
            if revived:
                await _note(diary, tx, row, Kind.CONNECTED, "WhatsApp answers again", now)
        log.info("session_pinged", number=row.number)
        self._tell(diary, row, SessionState.CONNECTED if revived else None)

    async def _failed(self, row: AnyRow, error: WahaError) -> None:
        """Count it; past its time it is expired, and before that its end is announced."""
        diary, periods = Diary(), self._periods
        failures = row.ping_failures + 1
        async with self._db.write() as tx:
            now = await read_now(tx)
            values: dict[str, Any] = {"ping_at": None, "ping_failures": failures}
            expired = row.state != SessionState.EXPIRED and clocks.has_run_out(row, periods, now)
            if expired:
                values |= {"state": SessionState.EXPIRED, "state_at": now}
                values |= {"requires_auth": True, "reason": EXPIRED_REASON}
            if not await self._settle(tx, row, values):
                return
            if expired:
                await _note(diary, tx, row, Kind.EXPIRED, EXPIRED_REASON, now)
            elif row.state != SessionState.EXPIRED:  # after that, each hour's failure is no news
                await _note(diary, tx, row, Kind.PING_FAILED, f"ping {failures} had no answer: {error}", now)
                fresh = await session_queries.find_by_sender(tx, row.sender_id)
                if fresh is not None and clocks.expiry_warning_due(fresh, periods, now):
                    await warn_of_expiry(tx, diary, fresh, periods, now)
        log.warning("ping_failed", number=row.number, failures=failures, error=str(error))
        self._tell(diary, row, SessionState.EXPIRED if expired else None)

    async def _settle(self, tx: AsyncConnection, row: AnyRow, values: dict[str, Any]) -> bool:
        """Write the outcome, unless the session has moved meanwhile: then the next ping will tell."""
        if "state" not in values:
            return await queries.settle_ping(tx, row, **values)
        rest = dict(values)
        after = SessionState(rest.pop("state"))
        return await session_queries.transition(tx, row, after, **rest)

    def _tell(self, diary: Diary, row: AnyRow, after: SessionState | None) -> None:
        diary.tell(self._bus)
        if after is not None:
            connected = after is SessionState.CONNECTED
            self._bus.publish(SessionStateChanged(row.sender_id, row.number, after, connected))


async def _ask(client: WahaClient, row: AnyRow) -> None:
    """Ask WhatsApp about the session's own number. What it says of it does not matter, only that it says something."""
    await client.check_number(row.name, row.number)


async def _note(diary: Diary, tx: AsyncConnection, row: AnyRow, kind: Kind, reason: str, now: float) -> None:
    await diary.note(tx, row.sender_id, row.number, kind, reason, now)


def _says_working(swept: Swept, row: AnyRow) -> bool:
    info = swept.infos.get(row.name)
    return info is not None and info.status is WahaStatus.WORKING


def _is_to_be_pinged(row: AnyRow, server_id: str) -> bool:
    here = row.server_id == server_id and row.moving_to is None and row.server_up
    return here and row.ping_at is not None and clocks.works(row) and row.desired == Desired.RUNNING

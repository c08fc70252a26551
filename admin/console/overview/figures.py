"""What the overview shows, read once for all who look.

What changes with every message is read some times a second; the sums of a day as well, or as much less often as they
take longer, because whatever waits for its time is counted with them; when campaigns will be done, and the curve, every
few seconds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.overview import queries
from admin.console.overview.throughput import Curve, read_curve
from campaigns.sending.queries import campaign_values
from campaigns.sending.status import StatusReader, campaign_out
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from sessions.keepalive import clocks
from sessions.keepalive.clocks import Periods
from sessions.models import SessionState

FRESH_SECONDS = 0.25
"""A stream looks each half a second, and WAHA's answer has to be stored first: all of it within a second."""
SLOW_SECONDS = 5.0
SUMS_SHARE = 0.02
"""The share of the time in which the sums of a day may be read."""
DAY_SECONDS = 86_400.0
SHOWN_CAMPAIGNS = 6
SHOWN_SENDERS = 12


@dataclass(frozen=True, slots=True)
class Running:
    """One campaign that is under way: its values as the API tells them, and when it will be done (epoch seconds)."""

    values: Mapping[str, Any]
    finish_at: Any
    waits: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SenderLine:
    """One sender: `cap` 0 is without any; `urgency` is empty, `soon` or `over`."""

    number: str
    name: str
    state: str
    sent_today: int
    cap: int
    expires_at: float | None
    urgency: str


@dataclass(frozen=True, slots=True)
class ServerLine:
    """One WAHA server and its load."""

    name: str
    up: bool
    draining: bool
    sessions: int
    capacity: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the overview shows at one moment (`at`, epoch seconds)."""

    at: float
    running: Sequence[Running]
    campaigns: Mapping[str, int]
    totals: Mapping[str, int]
    senders: Sequence[SenderLine]
    sessions: Mapping[str, int]
    servers: Sequence[ServerLine]
    curve: Curve

    @property
    def per_minute(self) -> int:
        """Messages that were sent in the last whole minute, or in this one if that is more."""
        return max(self.curve.sent[-2:])


@dataclass(frozen=True, slots=True)
class FigureParts:
    """What the figures are read from. `daily_cap` is the general one (0: none)."""

    db: Database
    clock: Clock
    status: StatusReader
    periods: Periods
    daily_cap: int


@dataclass(slots=True)
class _Slow:
    """What is read now and then."""

    read_at: float
    curve: Curve
    outlooks: dict[str, Mapping[str, Any]]


class _Sums(NamedTuple):
    """The sums of a day, and until when they are good enough."""

    until: float
    totals: Mapping[str, int]


class Figures:
    """The overview of each account that somebody looks at, and of all of them for operators (None)."""

    def __init__(self, parts: FigureParts) -> None:
        self._parts = parts
        self._kept: dict[str | None, tuple[float, Overview]] = {}
        self._slow: dict[str | None, _Slow] = {}
        self._sums: dict[str | None, _Sums] = {}
        self._locks: dict[str | None, asyncio.Lock] = {}

    async def get(self, account_id: str | None) -> Overview:
        """The overview, at most a quarter of a second old; all who ask at once share one look."""
        async with self._locks.setdefault(account_id, asyncio.Lock()):
            now = self._parts.clock.monotonic()
            kept = self._kept.get(account_id)
            if kept is not None and now - kept[0] < FRESH_SECONDS:
                return kept[1]
            overview = await self._read(account_id, now)
            self._kept[account_id] = (self._parts.clock.monotonic(), overview)
            return overview

    async def _read(self, account_id: str | None, asked_at: float) -> Overview:
        async with self._parts.db.read() as connection:
            now = await read_now(connection)
            moving = await queries.moving_campaigns(connection, account_id, SHOWN_CAMPAIGNS)
            campaigns = await queries.count_campaigns(connection, account_id)
            silent_since = now - self._parts.periods.silence
            senders = await queries.senders_by_need(connection, account_id, silent_since, SHOWN_SENDERS)
            sessions = await queries.count_senders(connection, account_id)
            servers = await queries.servers(connection) if account_id is None else []
            totals = await self._totals(connection, account_id, now, asked_at)
            slow = await self._slow_part(connection, account_id, now, asked_at)
        for row in moving:
            if row.id not in slow.outlooks:
                slow.outlooks[row.id] = await self._parts.status.of(row)
        return Overview(
            at=now,
            running=[_running(row, slow.outlooks[row.id]) for row in moving],
            campaigns=campaigns,
            totals=totals,
            senders=[self._sender(row, now) for row in senders],
            sessions=sessions,
            servers=[_server(row) for row in servers],
            curve=slow.curve,
        )

    async def _totals(
        self, connection: AsyncConnection, account_id: str | None, now: float, asked_at: float
    ) -> Mapping[str, int]:
        sums = self._sums.get(account_id)
        if sums is None or asked_at >= sums.until:
            clock = self._parts.clock
            began = clock.monotonic()
            totals = await queries.totals(connection, account_id, now - DAY_SECONDS)
            rest = min((clock.monotonic() - began) / SUMS_SHARE, SLOW_SECONDS)
            sums = _Sums(began + rest, totals)
            self._sums[account_id] = sums
        return sums.totals

    async def _slow_part(
        self, connection: AsyncConnection, account_id: str | None, now: float, asked_at: float
    ) -> _Slow:
        slow = self._slow.get(account_id)
        if slow is None or asked_at - slow.read_at >= SLOW_SECONDS:
            slow = _Slow(asked_at, await read_curve(connection, account_id, now), {})
            self._slow[account_id] = slow
        return slow

    def _sender(self, row: AnyRow, now: float) -> SenderLine:
        periods = self._parts.periods
        expires_at = clocks.expires_at(row, periods)
        today = row.day_ends_at is not None and row.day_ends_at > now
        return SenderLine(
            number=row.number,
            name=row.push_name,
            state=row.state,
            sent_today=row.sent_today if today else 0,
            cap=self._parts.daily_cap if row.daily_cap is None else row.daily_cap,
            expires_at=expires_at,
            urgency=_urgency(row.state, expires_at, now, periods),
        )


def _urgency(state: str, expires_at: float | None, now: float, periods: Periods) -> str:
    if state == SessionState.EXPIRED or (expires_at is not None and expires_at <= now):
        return "over"
    return "soon" if expires_at is not None and expires_at - now < periods.warn else ""


def _running(row: AnyRow, outlook: Mapping[str, Any]) -> Running:
    return Running(campaign_out(campaign_values(row), ()), outlook["estimated_finish"], outlook["waiting"])


def _server(row: AnyRow) -> ServerLine:
    return ServerLine(row.name, row.up, row.draining, row.sessions, row.capacity, row.last_error)

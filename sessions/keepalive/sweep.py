"""The hourly sweep: gives idle sessions their pings, and warns about those that nothing refreshes.

It may run on every replica at once, as often as it likes, and after any pause: what it writes is compared and set.
"""

from collections import defaultdict
from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, Database
from gateway.events import EventBus
from sessions.history import Diary, Kind
from sessions.keepalive import clocks, queries
from sessions.keepalive.clocks import Periods
from sessions.keepalive.sentences import in_words

log = structlog.get_logger()


class KeepaliveSweep:
    """Looks at all sessions; `run` is what the scheduler calls.

    `lead_seconds`: the servers are looked at so often, and the pings that are planned are heard of then.
    """

    def __init__(self, db: Database, bus: EventBus, periods: Periods, *, lead_seconds: float) -> None:
        self._db = db
        self._bus = bus
        self._periods = periods
        self._lead_seconds = lead_seconds

    async def run(self, now: float) -> None:
        """Plan what is due and warn, at `now` of the database's clock."""
        periods = self._periods
        async with self._db.read() as connection:
            rows = await queries.quiet(connection, now - min(periods.keepalive, periods.silence), now - periods.silence)
        planned = self._plan(rows, now)
        expiring = [row for row in rows if clocks.expiry_warning_due(row, periods, now)]
        unseen = [row for row in rows if clocks.phone_warning_due(row, periods, now)]
        if not (planned or expiring or unseen):
            return
        diary = Diary()
        async with self._db.write() as tx:
            if planned:
                await queries.plan_pings(tx, planned)
            for row in expiring:
                await warn_of_expiry(tx, diary, row, periods, now)
            for row in unseen:
                await _warn_of_phone(tx, diary, row, now)
        diary.tell(self._bus)
        log.info("keepalive_swept", pings=len(planned), expiring=len(expiring), phones_unseen=len(unseen))

    def _plan(self, rows: Sequence[AnyRow], now: float) -> list[tuple[int, float]]:
        """The time of each ping, by sender: those of one server are spread over the coming hour."""
        by_server: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            if clocks.wants_ping(row, self._periods, now):
                by_server[row.server_id].append(row.sender_id)
        planned: list[tuple[int, float]] = []
        for senders in by_server.values():
            planned += zip(senders, clocks.slots(now, len(senders), self._lead_seconds), strict=True)
        return planned


async def warn_of_expiry(tx: AsyncConnection, diary: Diary, row: AnyRow, periods: Periods, now: float) -> None:
    """Tell that a session expires, unless somebody else has."""
    if not await queries.mark_warned(tx, row, "warned_at", now):
        return
    left = (clocks.expires_at(row, periods) or now) - now
    when = f"expires in {in_words(left)}" if left > 0 else "may have expired"
    reason = f"it {when} and could not be refreshed: {_why(row)}"
    await diary.note(tx, row.sender_id, row.number, Kind.EXPIRING, reason, now)
    log.warning("session_expiring", number=row.number, seconds_left=round(left), reason=_why(row))


def _why(row: AnyRow) -> str:
    if not row.server_up:
        return "its WAHA server does not answer"
    if not clocks.works(row):
        return f"it is {row.state}"
    return "WhatsApp does not answer its pings" if row.ping_failures else "no ping was answered in time"


async def _warn_of_phone(tx: AsyncConnection, diary: Diary, row: AnyRow, now: float) -> None:
    if not await queries.mark_warned(tx, row, "phone_warned_at", now):
        return
    silent = now - (clocks.phone_seen_at(row) or now)
    reason = f"its phone was not seen for {in_words(silent)}: open WhatsApp on it, or WhatsApp logs the session out"
    await diary.note(tx, row.sender_id, row.number, Kind.PHONE_UNSEEN, reason, now)
    log.warning("phone_unseen", number=row.number, seconds=round(silent))

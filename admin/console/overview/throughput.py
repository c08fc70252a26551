"""How much is sent: a row every quarter of a minute for each account that sends, so that the curve is there for
whoever opens the console, also after a restart and from whichever replica.

What is kept is how far the counters of campaigns have moved; no message is read.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.console.models import Throughput
from campaigns.sending.tables import campaign
from gateway.db import AnyRow, Database, read_now, table_of

EVERY_SECONDS = 15
KEPT_SECONDS = 3 * 3600
LATE_SECONDS = 3600.0
"""So long after the end of a campaign its receipts are still counted."""
SHOWN_MINUTES = 120

throughput = table_of(Throughput)
_DONE = campaign.c.n_sent + campaign.c.n_delivered + campaign.c.n_read
_COUNTED = (
    _DONE.label("sent"),
    (campaign.c.n_delivered + campaign.c.n_read).label("delivered"),
    campaign.c.n_failed.label("failed"),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Messages in each minute, the last one being under way: `minutes` are epoch seconds of their beginnings."""

    minutes: list[int]
    sent: list[int]
    delivered: list[int]
    failed: list[int]


class Sampler:
    """Notes how far campaigns have come since it looked last; what it has not seen the beginning of begins now."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: dict[str, tuple[int, int, int]] | None = None
        self._looked_at = 0.0

    async def sample(self) -> None:
        """Look once, and store what has moved. Of several replicas the first one's row counts."""
        async with self._db.read() as connection:
            now = await read_now(connection)
            rows = await _counters(connection, now - LATE_SECONDS)
        moved = self._moved(rows)
        self._looked_at = now
        at = int(now // EVERY_SECONDS) * EVERY_SECONDS
        if moved:
            async with self._db.write() as tx:
                await _store(tx, at, moved)

    def _moved(self, rows: Sequence[AnyRow]) -> dict[str, Counter[str]]:
        seen, moved = self._seen, dict[str, Counter[str]]()
        self._seen = {row.id: (row.sent, row.delivered, row.failed) for row in rows}
        for row in rows:
            before = (seen or {}).get(row.id)
            if before is None:
                if seen is None or row.created_at < self._looked_at:
                    continue
                before = (0, 0, 0)
            for name, value, last in zip(("sent", "delivered", "failed"), self._seen[row.id], before, strict=True):
                if value > last:
                    moved.setdefault(row.account_id, Counter())[name] += value - last
        return moved


async def _counters(connection: AsyncConnection, since: float) -> Sequence[AnyRow]:
    lately = or_(campaign.c.finished_at.is_(None), campaign.c.finished_at >= since)
    query = select(campaign.c.id, campaign.c.account_id, campaign.c.created_at, *_COUNTED)
    return (await connection.execute(query.where(lately))).all()


async def _store(tx: AsyncConnection, at: int, moved: dict[str, Counter[str]]) -> None:
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    rows = [
        {"at": at, "account_id": account, **{name: counts[name] for name in ("sent", "delivered", "failed")}}
        for account, counts in moved.items()
    ]
    await tx.execute(insert(throughput).on_conflict_do_nothing(index_elements=["at", "account_id"]), rows)


async def read_curve(connection: AsyncConnection, account_id: str | None, now: float) -> Curve:
    """The last two hours, minute by minute; None is everybody's."""
    last = int(now // 60) * 60
    first = last - (SHOWN_MINUTES - 1) * 60
    minute = (throughput.c.at - throughput.c.at % 60).label("minute")
    names = ("sent", "delivered", "failed")
    query = (
        select(minute, *(func.sum(throughput.c[name]).label(name) for name in names))
        .where(throughput.c.at >= first, true() if account_id is None else throughput.c.account_id == account_id)
        .group_by(minute)
    )
    found = {row.minute: row for row in await connection.execute(query)}
    minutes = list(range(first, last + 60, 60))
    lines = {name: [int(found[one]._mapping[name]) if one in found else 0 for one in minutes] for name in names}
    return Curve(minutes, **lines)


async def forget_old(db: Database, now: float) -> None:
    """Remove what is shown no more."""
    async with db.write() as tx:
        await tx.execute(delete(throughput).where(throughput.c.at < now - KEPT_SECONDS))

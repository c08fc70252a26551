"""Makes statistics of what an account has sent in the last days."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

from campaigns.doors.messaging import stats_queries
from campaigns.doors.messaging.account_schemas import CampaignStats, DayStats, StatsOut
from campaigns.doors.messaging.words import MessageStatus, word_for
from campaigns.sending.wall_clock import first_showing, wall_of, zone_of
from gateway.auth.access import Caller
from gateway.auth.clients.queries import find_client
from gateway.db import AnyRow, Database, read_now
from sessions.schemas import in_utc

MOST_CAMPAIGNS = 100
REPLIED, TOTAL = "replied", "total"


async def read_stats(db: Database, caller: Caller, days: int) -> StatsOut:
    """The statistics of the last `days` days with today, in the time zone of the client (UTC for anybody else)."""
    async with db.read() as connection:
        now = await read_now(connection)
        row = None if caller.client is None else await find_client(connection, caller.client.client_id)
        timezone = "UTC" if row is None else row.timezone
        zone = zone_of(timezone)
        since = first_showing(wall_of(now, zone).date() - timedelta(days=days - 1), 0, zone)
        slots = await stats_queries.by_slot(connection, caller.account_scope, since)
        called, campaigns = await stats_queries.by_campaign(connection, caller.account_scope, since, MOST_CAMPAIGNS)
    by_day: dict[date, Counter[str]] = {}
    for slot in slots:
        day = wall_of(slot.slot * stats_queries.SLOT_SECONDS, zone).date()
        by_day.setdefault(day, Counter()).update(_counts(slot))
    whole = _sum(by_day.values())
    sent, delivered = _sent(whole), _delivered(whole)
    return StatsOut(
        days=days,
        timezone=timezone,
        since=in_utc(since),
        totals={
            "messages": whole[TOTAL],
            "sent": sent,
            "delivered": delivered,
            "read": whole[MessageStatus.READ],
            "failed": whole[MessageStatus.FAILED],
            "replied": whole[REPLIED],
        },
        delivery_rate=_rate(delivered, sent),
        reply_rate=_rate(whole[REPLIED], sent),
        by_status={str(word): whole[word] for word in MessageStatus},
        by_day=[DayStats(date=day, **_told(counts)) for day, counts in sorted(by_day.items())],
        by_campaign=[_campaign(row.called, _counts(row)) for row in called],
        campaigns=campaigns,
    )


def _campaign(called: str, counts: Counter[str]) -> CampaignStats:
    replied = counts[REPLIED]
    return CampaignStats(campaign=called, **_told(counts), replied=replied, reply_rate=_rate(replied, _sent(counts)))


def _counts(row: AnyRow) -> Counter[str]:
    """The counters of some campaigns by this API's words."""
    counts = Counter({TOTAL: int(row.total), REPLIED: int(row.n_replied)})
    for state in stats_queries.STATES:
        counts[word_for(state)] += int(row._mapping[f"n_{state}"])
    return counts


def _sum(parts: Iterable[Counter[str]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for part in parts:
        whole.update(part)
    return whole


def _told(counts: Counter[str]) -> dict[str, int]:
    return {TOTAL: counts[TOTAL], **{str(word): counts[word] for word in MessageStatus}}


def _delivered(counts: Counter[str]) -> int:
    return counts[MessageStatus.DELIVERED] + counts[MessageStatus.READ]


def _sent(counts: Counter[str]) -> int:
    return counts[MessageStatus.SENT] + _delivered(counts)


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

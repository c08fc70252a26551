"""Makes a campaign's report out of what its messages tell."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.reports import queries
from campaigns.reports.advice import advice_for
from campaigns.reports.schemas import CampaignReport, Failure, Funnel, Hour, SenderShare
from campaigns.sending.models import MessageState
from campaigns.sending.wall_clock import wall_of, zone_of
from gateway.db import AnyRow, Database
from sessions.schemas import as_time, in_utc

P = ParamSpec("P")
T = TypeVar("T")
States = Mapping[str, int]

_READ = (MessageState.READ,)
_DELIVERED = (MessageState.DELIVERED, *_READ)
_SENT = (MessageState.SENT, *_DELIVERED)
OPTED_OUT = "opted_out"


class ReportReader:
    """Reads reports."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, campaign: AnyRow, timezone: str | None = None) -> CampaignReport:
        """The report of a campaign, with the hours of a time zone (IANA; the campaign's own if none is named)."""
        timezone = timezone or campaign.timezone
        fates = await self._ask(queries.fates, campaign)
        numbers = await self._ask(queries.numbers_of, sorted({sender_id for sender_id, _ in fates.states} - {0}))
        states: Counter[str] = Counter()
        for (_, state), count in fates.states.items():
            states[state] += count
        reasons = await self._ask(queries.reasons, campaign) if _sum(states, queries.BAD) else []
        delivered = await self._ask(queries.step, campaign, "delivered_at")
        read = await self._ask(queries.step, campaign, "read_at")
        return CampaignReport(
            campaign_id=campaign.id,
            name=campaign.name,
            status=campaign.state,
            timezone=timezone,
            funnel=funnel_of(states, reasons, campaign.n_replied),
            senders=shares_of(fates.states, numbers),
            hours=hours_of({"sent": fates.slots, "delivered": delivered.slots, "read": read.slots}, timezone),
            first_sent_at=as_time(fates.first),
            last_sent_at=as_time(fates.last),
            median_seconds_to_delivered=median_of(delivered.waits),
            median_seconds_to_read=median_of(read.waits),
            failures=failures_of(reasons),
        )

    async def _ask(
        self, query: Callable[Concatenate[AsyncConnection, P], Awaitable[T]], *asked: P.args, **named: P.kwargs
    ) -> T:
        """One pass over the messages in a transaction of its own: of very many, all passes take too long for one."""
        async with self._db.read(bulk=True) as connection:
            return await query(connection, *asked, **named)


def funnel_of(states: States, reasons: Sequence[AnyRow], replied: int) -> Funnel:
    """How far all came; `replied` is how many were answered."""
    sent = _sum(states, _SENT)
    delivered, read = _sum(states, _DELIVERED), _sum(states, _READ)
    opted_out = (row for row in reasons if row.state == MessageState.SKIPPED and row.error_code == OPTED_OUT)
    return Funnel(
        queued=sum(states.values()),
        waiting=_sum(states, (MessageState.QUEUED, MessageState.SENDING)),
        sent=sent,
        delivered=delivered,
        read=read,
        replied=replied,
        unconfirmed=_sum(states, (MessageState.UNCONFIRMED,)),
        failed=_sum(states, (MessageState.FAILED,)),
        skipped=_sum(states, (MessageState.SKIPPED,)),
        opted_out=sum(row.messages for row in opted_out),
        cancelled=_sum(states, (MessageState.CANCELLED,)),
        delivery_rate=_rate(delivered, sent),
        read_rate=_rate(read, sent),
        reply_rate=_rate(replied, sent),
    )


def shares_of(fates: Mapping[tuple[int, str], int], numbers: Mapping[int, str]) -> list[SenderShare]:
    """What left, or failed, through each sender."""
    told = (*_SENT, MessageState.FAILED, MessageState.UNCONFIRMED)
    through: dict[str, Counter[str]] = {}
    for (sender_id, state), count in fates.items():
        if sender_id in numbers and state in told:
            through.setdefault(numbers[sender_id], Counter())[state] += count
    return [_share(number, states) for number, states in sorted(through.items())]


def _share(number: str, states: States) -> SenderShare:
    return SenderShare(
        sender_number=f"+{number}",
        sent=_sum(states, _SENT),
        delivered=_sum(states, _DELIVERED),
        read=_sum(states, _READ),
        failed=_sum(states, (MessageState.FAILED,)),
        unconfirmed=_sum(states, (MessageState.UNCONFIRMED,)),
    )


def hours_of(times: Mapping[str, Mapping[int, int]], timezone: str) -> list[Hour]:
    """What happened when: `times` are counts by slot (`queries.Fates`) of each kind."""
    zone = zone_of(timezone)
    found: dict[float, Counter[str]] = {}
    for kind, slots in times.items():
        for slot, count in slots.items():
            wall = wall_of(slot * queries.SLOT_SECONDS, zone)
            into = wall.minute * 60 + wall.second
            found.setdefault(slot * queries.SLOT_SECONDS - into, Counter())[kind] += count
    return [
        Hour(hour=in_utc(at), sent=counts["sent"], delivered=counts["delivered"], read=counts["read"])
        for at, counts in sorted(found.items())
    ]


def median_of(waits: Mapping[int, int]) -> float | None:
    """The median of what was counted by bucket (`queries.Step`), in seconds; None of nothing."""
    half = (sum(waits.values()) + 1) // 2
    before = 0
    for bucket, count in sorted(waits.items()):
        before += count
        if before >= half:
            return queries.seconds_of(bucket)
    return None


def failures_of(reasons: Iterable[AnyRow]) -> list[Failure]:
    """What was not sent, by what to do about it."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], Any] = {}
    for row in reasons:
        key = (row.error_code or row.state, row.state)
        counts[key] += row.messages
        examples[key] = examples.get(key) or row.error
    return [
        Failure(code=code, status=state, count=count, example=examples[code, state], advice=advice_for(code))
        for (code, state), count in counts.most_common()
    ]


def _sum(states: States, some: Sequence[str]) -> int:
    return sum(states.get(state, 0) for state in some)


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None

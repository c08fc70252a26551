"""The judge: what was submitted, what WhatsApp took, and what the database says, held against each other.

Everything that a promise forbids is a list; a verdict is clean when all are empty. `report` is for people.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from sqlalchemy import select, text

from campaigns.sending.models import MessageState
from campaigns.sending.tables import campaign, message
from gateway.db import AnyRow, Database
from gateway.simulator.ledger import Ledger, Transmission
from tests.harness.ledger import ROUNDING, Knock, knocks

_TAKEN = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
_OPEN = frozenset({MessageState.QUEUED, MessageState.SENDING})
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Submitted:
    """One campaign that the gateway said it had taken: its text is like no other's."""

    campaign_id: str
    text: str
    senders: tuple[str, ...]
    recipients: tuple[str, ...]


@dataclass(slots=True)
class Pace:
    """The delays that were in force, as (from when, seconds): a gap must keep the least of those it touches."""

    message: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    switch: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])

    @classmethod
    def of(cls, message: float, switch: float = 0.0) -> "Pace":
        """Delays that never change."""
        return cls([(0.0, message)], [(0.0, switch)])


def _least(history: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """The smallest value in force between two times."""
    before = [value for at, value in history if at <= begin][-1:]
    return min([*before, *(value for at, value in history if begin < at <= end)])


@dataclass(slots=True)
class Verdict:
    """What is wrong. `given_up` and `doubtful` are no broken promise by themselves, but a test may want none."""

    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    short_gaps: list[str] = field(default_factory=list)
    short_switches: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    strange_ids: list[str] = field(default_factory=list)
    misreported: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    transmissions: int = 0

    @property
    def clean(self) -> bool:
        """Whether no promise was broken."""
        return not any(self.broken.values())

    @property
    def perfect(self) -> bool:
        """Clean, and every message got through."""
        return self.clean and not self.given_up and not self.doubtful

    @property
    def broken(self) -> dict[str, list[str]]:
        """The lists of broken promises, by name."""
        names = [one.name for one in fields(self) if one.name not in ("given_up", "doubtful", "transmissions")]
        return {name: getattr(self, name) for name in names}

    @property
    def record(self) -> dict[str, int]:
        """How many of each."""
        lists = {**self.broken, "given_up": self.given_up, "doubtful": self.doubtful}
        return {name: len(entries) for name, entries in lists.items()} | {"transmissions": self.transmissions}

    def report(self) -> str:
        """For people: each list that is not empty, with its first entries."""
        lines = [f"{self.transmissions} transmissions"]
        for name, entries in {**self.broken, "given_up": self.given_up, "doubtful": self.doubtful}.items():
            if entries:
                more = f", and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
                lines.append(f"{name} ({len(entries)}): {'; '.join(entries[:SHOWN])}{more}")
        return "\n".join(lines)


def merge(ledgers: Iterable[Ledger]) -> Ledger:
    """One ledger of several servers, in the order of time."""
    merged = Ledger(collapse_repeats=True)
    for ledger in ledgers:
        merged.transmissions += ledger.transmissions
        merged.refusals += ledger.refusals
    merged.transmissions.sort(key=lambda one: one.time)
    return merged


async def judge(db: Database, ledger: Ledger, submitted: Sequence[Submitted], pace: Pace) -> Verdict:
    """Hold the ledger and the database against what was submitted, when all is over."""
    async with db.read() as connection:
        if not db.is_sqlite:  # both are to be of one moment, for receipts may still come
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        campaigns = (await connection.execute(select(campaign))).all()
        rows = (await connection.execute(select(message))).all()
    return compare(ledger, submitted, pace, campaigns, rows)


def compare(
    ledger: Ledger,
    submitted: Sequence[Submitted],
    pace: Pace,
    campaigns: Sequence[AnyRow],
    rows: Sequence[AnyRow],
) -> Verdict:
    """As `judge`, with the rows at hand."""
    verdict = Verdict(transmissions=len(ledger.transmissions))
    taken: dict[tuple[str, str], list[Transmission]] = defaultdict(list)
    for one in ledger.transmissions:
        taken[one.text, one.chat_id.removesuffix("@c.us")].append(one)
    by_campaign: dict[str, dict[str, AnyRow]] = defaultdict(dict)
    for row in rows:
        by_campaign[row.campaign_id][row.phone] = row
    for told in submitted:
        _check_messages(verdict, told, by_campaign[told.campaign_id], taken)
        _check_order(verdict, told, by_campaign[told.campaign_id], ledger)
        _check_switches(verdict, told, by_campaign[told.campaign_id], ledger, pace)
    _check_doubles(verdict, taken)
    _check_gaps(verdict, ledger, pace)
    _check_counters(verdict, campaigns, rows)
    stored = {row.wa_id for row in rows}
    verdict.strange_ids += [one.id for one in ledger.transmissions if one.id not in stored]
    return verdict


def _check_messages(
    verdict: Verdict,
    told: Submitted,
    rows: Mapping[str, AnyRow],
    taken: Mapping[tuple[str, str], Sequence[Transmission]],
) -> None:
    for phone in told.recipients:
        row, went = rows.get(phone), taken.get((told.text, phone), ())
        name = f"{told.text} to {phone}"
        if row is None:
            verdict.lost.append(f"{name}: accepted, and not stored")
            continue
        if row.state in _OPEN:
            verdict.stuck.append(f"{name}: {row.state}")
        if row.state in _TAKEN and not went:
            verdict.lost.append(f"{name}: called {row.state}, and WhatsApp has nothing")
        if went and row.state not in _TAKEN and row.state not in (MessageState.SENDING, MessageState.UNCONFIRMED):
            verdict.misreported.append(f"{name}: called {row.state}, and WhatsApp has it")
        if row.state in (MessageState.FAILED, MessageState.SKIPPED):
            verdict.given_up.append(f"{name}: {row.error_code}")
        if row.state == MessageState.UNCONFIRMED:
            verdict.doubtful.append(name)


def _check_order(verdict: Verdict, told: Submitted, rows: Mapping[str, AnyRow], ledger: Ledger) -> None:
    """Messages of one sender leave in the order of the request, but for those tried again.

    In a pool the share of a sender that cannot send goes to the others, behind what they have sent already.
    """
    if len(told.senders) > 1:
        return
    latest: dict[str, int] = {}
    for one in ledger.transmissions:
        row = rows.get(one.chat_id.removesuffix("@c.us"))
        if one.text != told.text or row is None or row.attempts > 1:
            continue
        if row.seq < latest.get(one.session, -1):
            verdict.disorder.append(f"{told.text}: {row.seq} after {latest[one.session]} through {one.session}")
        latest[one.session] = max(row.seq, latest.get(one.session, -1))


def _check_switches(verdict: Verdict, told: Submitted, rows: Mapping[str, AnyRow], ledger: Ledger, pace: Pace) -> None:
    if len(told.senders) < 2:
        return
    for one, two in pairwise(knocks(_only(ledger, told.text, rows))):
        least = _least(pace.switch, one.answered_at, two.received_at)
        if one.session != two.session and least and two.received_at - one.answered_at < least - ROUNDING:
            gap = two.received_at - one.answered_at
            verdict.short_switches.append(f"{told.text}: {one.session} to {two.session} after {gap:.4f} s")


def _only(ledger: Ledger, text: str, rows: Mapping[str, AnyRow]) -> Ledger:
    ids = {row.wa_id for row in rows.values()}
    part = Ledger(collapse_repeats=True)
    part.transmissions = [one for one in ledger.transmissions if one.text == text]
    part.refusals = [one for one in ledger.refusals if one.id in ids]
    return part


def _check_doubles(verdict: Verdict, taken: Mapping[tuple[str, str], Sequence[Transmission]]) -> None:
    for (words, phone), went in taken.items():
        if len(went) > 1:
            ids = "one id" if len({one.id for one in went}) == 1 else "several ids"
            verdict.duplicated.append(f"{words} to {phone}: {len(went)} times under {ids}")


def _check_gaps(verdict: Verdict, ledger: Ledger, pace: Pace) -> None:
    lanes: dict[str, list[Knock]] = defaultdict(list)
    for knock in knocks(ledger):
        lanes[knock.session].append(knock)
    for session, lane in lanes.items():
        for one, two in pairwise(lane):
            gap = two.received_at - one.answered_at
            if gap < _least(pace.message, one.answered_at, two.received_at) - ROUNDING:
                verdict.short_gaps.append(f"{session}: {gap:.4f} s at {two.received_at:.3f}")


def _check_counters(verdict: Verdict, campaigns: Sequence[AnyRow], rows: Sequence[AnyRow]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.campaign_id][row.state] += 1
    for row in campaigns:
        told = {str(state): row._mapping[f"n_{state}"] for state in MessageState if row._mapping[f"n_{state}"]}
        if told != dict(counts[row.id]) or row.total != sum(counts[row.id].values()):
            verdict.miscounted.append(f"{row.id}: tells {told} of {row.total}, has {dict(counts[row.id])}")
        if row.in_flight < 0:
            verdict.miscounted.append(f"{row.id}: {row.in_flight} in flight")

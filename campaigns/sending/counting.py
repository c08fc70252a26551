"""Counting: what settled messages change in their campaigns, in the transaction that settles them.

The counters tell when a campaign has nothing left and ends, and when its first messages have all failed: then it
pauses itself, before it goes on to annoy its sender's account.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Integer, String, bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.charging import Bills, Moved, charge
from campaigns.schedules.following import follow
from campaigns.schedules.succession import REPEATS, continue_series
from campaigns.sending.ending import end_state
from campaigns.sending.lanes import wake_campaign_at, wake_next_at
from campaigns.sending.models import OPEN_STATES, CampaignState, MessageState
from campaigns.sending.outcomes import Turn
from campaigns.sending.tables import campaign, campaign_sender
from campaigns.sending.telling import COMPLETED_COLUMNS, MAY_BE_HEARD, Settled, tell_of_ends, tell_of_messages
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS, AnyRow

FIRST_FAILURES = 20
"""After so many failures and no success a campaign pauses itself."""

NOBODY = -1
_COUNTED = ("queued", "sending", "sent", "unconfirmed", "failed", "cancelled", "skipped")
_counts = batch(
    "counts",
    id=ID,
    in_flight=Integer(),
    turn=Integer(),
    answer_at=SECONDS,
    last_sender_id=Integer(),
    found_sender_id=Integer(),
    **{name: Integer() for name in _COUNTED},
)
_ENDING_COLUMNS = (
    campaign.c.id,
    campaign.c.state,
    campaign.c.auto_pause,
    campaign.c.auto_paused,
    campaign.c.total,
    *(campaign.c[f"n_{name}"] for name in ("queued", "sending", "sent", "delivered", "read")),
    *(campaign.c[f"n_{name}"] for name in ("unconfirmed", "failed", "skipped")),
)
_last_sender_id = func.coalesce(_counts.c.last_sender_id, campaign.c.last_sender_id)
_COUNT = (
    update(campaign)
    .where(campaign.c.id == _counts.c.id)
    .values(
        in_flight=campaign.c.in_flight + _counts.c.in_flight,
        turn=func.coalesce(_counts.c.turn, campaign.c.turn),
        last_answer_at=func.coalesce(_counts.c.answer_at, campaign.c.last_answer_at),
        # where another one has sent since, the message that was found may be the older one: then any is another sender
        last_sender_id=case(
            (_counts.c.found_sender_id.is_(None), _last_sender_id),
            (_last_sender_id == _counts.c.found_sender_id, _counts.c.found_sender_id),
        ),
        # one that is back in the queue may be the next; NULL stays NULL
        next_at=campaign.c.next_at * case((_counts.c.queued > 0, 0.0), else_=1.0),
        **{f"n_{name}": campaign.c[f"n_{name}"] + _counts.c[name] for name in _COUNTED},
    )
    .returning(*_ENDING_COLUMNS, campaign.c.account_id, campaign.c.client_id, campaign.c.price, MAY_BE_HEARD)
)
_ENDED = select(*_ENDING_COLUMNS).where(
    is_among(campaign.c.id, "ids", ID),
    campaign.c.state.in_(OPEN_STATES),
    campaign.c.n_queued == 0,
    campaign.c.n_sending == 0,
)
_ends = batch("ends", id=ID, state=String(), reason=String())
_CLOSE = (
    update(campaign)
    .where(campaign.c.id == _ends.c.id, campaign.c.state.in_((*OPEN_STATES, CampaignState.SCHEDULED)))
    .values(
        state=_ends.c.state,
        finished_at=bindparam("now", type_=SECONDS),
        alarm_at=None,
        reason=func.coalesce(_ends.c.reason, campaign.c.reason),
    )
    .returning(*COMPLETED_COLUMNS, campaign.c.state, MAY_BE_HEARD, REPEATS)
)
_LEAVE_LANES = update(campaign_sender).where(is_among(campaign_sender.c.campaign_id, "ids", ID)).values(open=False)
_PAUSE = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"), campaign.c.state == CampaignState.RUNNING)
    .values(state=CampaignState.PAUSED, auto_paused=True, reason=bindparam("b_reason"))
)


class End(NamedTuple):
    """How a campaign ends; `reason` is for people, and None where the campaign's own stays."""

    campaign_id: str
    state: CampaignState
    reason: str | None = None


@dataclass(slots=True)
class Tally:
    """What a batch changes in one campaign. `gated`: its messages leave one by one."""

    moves: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    answer_at: float | None = None
    last_sender_id: int | None = None
    found_sender_id: int | None = None
    turn: int | None = None
    gated: bool = False
    failure: str = ""

    def answered(self, at: float, sender_id: int) -> None:
        """Note when WAHA answered, and through whom."""
        if self.answer_at is None or at >= self.answer_at:
            self.answer_at, self.last_sender_id = at, sender_id

    def found(self, at: float, sender_id: int) -> None:
        """Note what was only found out now to have left through somebody, as late as now for all we know."""
        several = self.found_sender_id not in (None, sender_id)
        self.answer_at = at if self.answer_at is None else max(at, self.answer_at)
        self.found_sender_id = NOBODY if several else sender_id


class Tallies(defaultdict[str, Tally]):
    """Tallies by campaign."""

    def __init__(self) -> None:
        super().__init__(Tally)


async def count(tx: AsyncConnection, turn: Turn, tallies: Tallies, settled: Callable[[], Sequence[Settled]]) -> None:
    """Write what was counted, tell it, wake who may go on, and end or pause campaigns where that follows.

    `settled` gives the messages that have left or failed; it is asked where somebody may listen.
    """
    rows = [
        (
            key,
            tally.in_flight,
            tally.turn,
            tally.answer_at,
            tally.last_sender_id,
            tally.found_sender_id,
            *(tally.moves[name] for name in _COUNTED),
        )
        for key, tally in sorted(tallies.items())
    ]
    after = (await tx.execute(_COUNT, {"counts": pack(rows)})).all()
    await charge(tx, _bills(after, tallies), turn.now)
    accounts = {row.id: row.account_id for row in after if row.heard}
    if accounts:
        await tell_of_messages(tx, settled(), accounts)
    await _wake_others(tx, turn, tallies)
    await _end_all(tx, turn, after)
    for row in after:
        if tallies[row.id].moves[MessageState.FAILED] > 0:
            await _pause_hopeless(tx, turn, row, tallies[row.id].failure)


def _bills(rows: Sequence[AnyRow], tallies: Tallies) -> Bills:
    """What clients owe for what was settled, which was being sent before."""
    bills = Bills()
    for row in rows:
        if row.client_id is not None:
            moves = tallies[row.id].moves
            sent = moves[MessageState.SENT]
            bills.add(row.client_id, row.price, Moved(paid=sent, left=sent + moves[MessageState.UNCONFIRMED]))
    return bills


async def _wake_others(tx: AsyncConnection, turn: Turn, tallies: Tallies) -> None:
    """A campaign that goes on through another lane, or got a message back: have its lanes looked at in time."""
    for key, tally in sorted(tallies.items()):
        gate = turn.now if tally.answer_at is None or not tally.gated else tally.answer_at + turn.delays.switch
        if tally.moves[MessageState.QUEUED] > 0:  # it may have had nothing left, and its lanes been idle
            await wake_campaign_at(tx, turn.delays, key, gate)
        elif tally.gated:
            await wake_next_at(tx, turn.delays, key, gate, turn.now)


async def finish_campaigns(tx: AsyncConnection, turn: Turn, touched: Iterable[str]) -> None:
    """Close those of the campaigns that have nothing left to send."""
    await _end_all(tx, turn, (await tx.execute(_ENDED, {"ids": pack_values(touched)})).all())


async def _end_all(tx: AsyncConnection, turn: Turn, rows: Iterable[AnyRow]) -> None:
    """Close those that have nothing left: together, as a thousand may end at once, and others wait for their turn."""
    ends = [
        End(
            row.id,
            end_state(failed=row.n_failed, skipped=row.n_skipped, unconfirmed=row.n_unconfirmed, total=row.total),
        )
        for row in rows
        if row.state in OPEN_STATES and not row.n_queued and not row.n_sending
    ]
    await close_campaigns(tx, ends, turn.now)
    turn.finished += [(end.campaign_id, end.state) for end in ends]


async def close_campaign(
    tx: AsyncConnection, campaign_id: str, state: CampaignState, now: float, *, reason: str | None = None
) -> bool:
    """As `close_campaigns`; False if it has ended before."""
    return bool(await close_campaigns(tx, [End(campaign_id, state, reason)], now))


async def close_campaigns(tx: AsyncConnection, ends: Sequence[End], now: float) -> set[str]:
    """Move open or scheduled campaigns to their final states, and tell it; their lanes stop looking at them.

    Returns those that have ended by that, and not before.
    """
    if not ends:
        return set()
    rows = (await tx.execute(_CLOSE, {"ends": pack(sorted(map(tuple, ends))), "now": now})).all()
    closed = {row.id for row in rows}
    if not closed:
        return set()
    await tx.execute(_LEAVE_LANES, {"ids": pack_values(sorted(closed))})
    await follow(tx, sorted(closed))
    await tell_of_ends(tx, [(row, row.state) for row in rows if row.heard])
    for row in rows:
        if row.repeats:  # it may be cancelled at the campaign's own door before it has begun
            await continue_series(tx, row.id, now)
    return closed


async def _pause_hopeless(tx: AsyncConnection, turn: Turn, row: AnyRow, failure: str) -> None:
    """Pause a campaign whose first messages have all failed for good; once, so that a person may let it go on."""
    reached = row.n_sent + row.n_delivered + row.n_read + row.n_unconfirmed
    hopeless = row.n_failed >= FIRST_FAILURES and not reached
    if not (hopeless and row.auto_pause and row.n_queued) or row.auto_paused or row.state != CampaignState.RUNNING:
        return
    reason = f"paused by itself: its first {row.n_failed} messages all failed; the last one: {failure}"
    await tx.execute(_PAUSE, {"b_id": row.id, "b_reason": reason})
    turn.halted.append((row.id, reason))

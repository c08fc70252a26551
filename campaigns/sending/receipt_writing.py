"""What a receipt does to a message, and writing many of them in one transaction.

A receipt is known by the session that tells it and WhatsApp's id of the message; one that names another session than
the message left through is nobody's. It moves a message forward and never back. Where it turns a message of an ended
campaign into a failure, or a failure into a success, the campaign's last word follows. Where the last of a campaign's
first messages is refused, and all of them were, it pauses itself.

A message that is queued again under its id, because it was not found, has nobody that it left through. A receipt of one
of its campaign's sessions proves that it has left: then it does not go once more.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.charging import Bills, Moved, charge
from campaigns.schedules.following import follow
from campaigns.sending.claim_statements import CAMPAIGN_HEARD
from campaigns.sending.counting import FIRST_FAILURES, finish_campaigns
from campaigns.sending.ending import ENDED_STATES, end_state
from campaigns.sending.models import MESSAGE_TRANSITIONS, CampaignState, MessageState
from campaigns.sending.outcomes import Turn
from campaigns.sending.pacing import Delays
from campaigns.sending.tables import campaign, campaign_sender, message, sender, session
from campaigns.sending.telling import Settled, tell_of_messages
from gateway.db import AnyRow, read_now

REFUSED_CODE = "refused_by_whatsapp"
REFUSED = "WhatsApp refused it after WAHA had taken it; WAHA does not say why"

_STATE_OF_ACK = {
    1: MessageState.SENT,
    2: MessageState.DELIVERED,
    3: MessageState.READ,
    4: MessageState.READ,
}
_STRENGTH = {level: strength for strength, level in enumerate((0, -1, 1, 2, 3, 4))}
_SESSION = func.coalesce(session.c.name, sender.c.number)
_COLUMNS = (
    message.c.id,
    message.c.campaign_id,
    message.c.seq,
    message.c.wa_id,
    message.c.phone,
    sender.c.id.label("sender_id"),
    sender.c.number,
    message.c.state,
    message.c.ack,
    message.c.uncertain_at,
    message.c.sent_at,
    message.c.error_code,
    _SESSION.label("session"),
    campaign.c.client_id,
    campaign.c.price,
)


def _locked(tables: FromClause, *chosen: ColumnElement[bool]) -> Select[Any]:
    """The messages of some ids, with the senders that tell of them."""
    return (
        select(*_COLUMNS)
        .select_from(tables.outerjoin(session, session.c.sender_id == sender.c.id))
        .where(message.c.wa_id.in_(bindparam("ids", expanding=True)), *chosen)
        .order_by(message.c.id)
        .with_for_update(of=message)
    )


_LOCK = _locked(
    message.join(sender, sender.c.id == message.c.sender_id).outerjoin(campaign, campaign.c.id == message.c.campaign_id)
)
_LOCK_QUEUED = _locked(
    message.join(campaign, campaign.c.id == message.c.campaign_id)
    .join(campaign_sender, campaign_sender.c.campaign_id == campaign.c.id)
    .join(sender, sender.c.id == campaign_sender.c.sender_id),
    message.c.state == MessageState.QUEUED,
    _SESSION.in_(bindparam("names", expanding=True)),
)
_LEFT_THROUGH = update(message).where(message.c.id == bindparam("b_id")).values(sender_id=bindparam("b_sender_id"))
_HEAR = update(message).where(message.c.id.in_(bindparam("ids", expanding=True))).values(ack=bindparam("b_ack"))
_MOVE = _HEAR.values(
    state=bindparam("b_state"),
    sent_at=func.coalesce(message.c.sent_at, bindparam("b_sent_at")),
    delivered_at=func.coalesce(message.c.delivered_at, bindparam("b_delivered_at")),
    read_at=func.coalesce(message.c.read_at, bindparam("b_read_at")),
    finished_at=func.coalesce(bindparam("b_finished_at"), message.c.finished_at),
    error_code=bindparam("b_error_code"),
    error=bindparam("b_error"),
)
_COUNTERS = tuple(f"n_{state}" for state in MessageState)
_COUNT = (
    update(campaign)
    .where(campaign.c.id == bindparam("b_id"))
    .values({name: campaign.c[name] + bindparam(f"b_{name}") for name in _COUNTERS})
)
_FIRST = (
    select(message.c.state)
    .where(
        message.c.campaign_id == campaign.c.id,
        message.c.state.not_in((MessageState.SKIPPED, MessageState.CANCELLED)),  # nobody wanted to send these
    )
    .order_by(message.c.seq)
    .limit(FIRST_FAILURES)
    .correlate(campaign)
    .subquery("first")
)
_FIRST_FAILED = select(func.count()).select_from(_FIRST).where(_FIRST.c.state == MessageState.FAILED).scalar_subquery()
_PAUSE_HOPELESS = (
    update(campaign)
    .where(
        campaign.c.id == bindparam("b_id"),
        campaign.c.auto_pause,
        ~campaign.c.auto_paused,
        campaign.c.state == CampaignState.RUNNING,
        campaign.c.n_queued > 0,
        campaign.c.n_failed >= FIRST_FAILURES,
        _FIRST_FAILED == FIRST_FAILURES,
    )
    .values(
        state=CampaignState.PAUSED,
        auto_paused=True,
        reason=f"paused by itself: its first {FIRST_FAILURES} messages all failed; {REFUSED}",
    )
)
_NOT_SENT = frozenset({MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED, MessageState.FAILED})
_CHANGES_THE_END = frozenset({MessageState.FAILED, MessageState.UNCONFIRMED})


class Key(NamedTuple):
    """What a receipt is about."""

    session: str
    wa_id: str


@dataclass(frozen=True, slots=True)
class Written:
    """What receipts were about: the ones that are ours, messages that they settled, and campaigns that they paused.

    `left_through` are the senders of messages that were queued again, and had left; `finished` the campaigns of which
    nothing was left by that, with their states.
    """

    ours: set[Key] = field(default_factory=set)
    settled: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    left_through: list[int] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)


def stronger(known: int | None, ack: int) -> int:
    """The level that says more: an error says more than "handed over", and any proof of arrival says more than it."""
    return ack if known is None or _STRENGTH[ack] > _STRENGTH[known] else known


def after_receipt(state: MessageState, ack: int, known: int | None, *, uncertain: bool) -> MessageState | None:
    """The state that a receipt moves a message to; None if it stays.

    A receipt proves that WhatsApp has the message, so it also settles one that was uncertain, or is queued again. An
    error counts only if nothing better was ever heard. A message in flight is moved by `sent` only if nobody waits for
    its answer. Level 0 says only that WAHA has handed the message over, as its 201 does.
    """
    waits = state in (MessageState.QUEUED, MessageState.UNCONFIRMED)
    unsettled = waits or (state is MessageState.SENDING and uncertain)
    if ack == 0:
        return MessageState.SENT if unsettled else None
    if ack < 0:
        refused = state in (MessageState.SENT, MessageState.SENDING, MessageState.UNCONFIRMED)
        return MessageState.FAILED if refused and (known is None or known < 1) else None
    after = _STATE_OF_ACK.get(ack)
    if after is None or after not in MESSAGE_TRANSITIONS[state]:
        return None
    if after is MessageState.SENT and state is MessageState.SENDING and not uncertain:
        return None  # its answer is on its way and says the same, with the time
    return after


async def write_receipts(tx: AsyncConnection, acks: Mapping[Key, int]) -> Written:
    """Move the messages that `acks` are about, and their campaigns' counters."""
    rows = list((await tx.execute(_LOCK, {"ids": list({key.wa_id for key in acks})})).all())
    rows += await _lock_queued(tx, acks.keys() - {Key(row.session, row.wa_id) for row in rows})
    written = Written()
    moves: dict[tuple[MessageState | None, int], list[str]] = defaultdict(list)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys((f"b_{name}" for name in _COUNTERS), 0))
    bills = Bills()
    ends: set[str] = set()
    hopeless: set[str] = set()
    told: list[tuple[AnyRow, bool]] = []
    for row in rows:
        key = Key(row.session, row.wa_id)
        ack = acks.get(key)
        if ack is None:
            continue  # another session's word
        written.ours.add(key)
        before = MessageState(row.state)
        after = after_receipt(before, ack, row.ack, uncertain=row.uncertain_at is not None)
        best = stronger(row.ack, ack)
        if after is None and best == row.ack:
            continue
        moves[after, best].append(row.id)
        if after is None:
            continue
        if before is MessageState.SENDING and row.uncertain_at is not None:
            written.settled.append(row.id)
        counts[row.campaign_id][f"b_n_{before}"] -= 1
        counts[row.campaign_id][f"b_n_{after}"] += 1
        bills.add(row.client_id, row.price, Moved.by_receipt(before, after, has_left=_has_left(row)))
        if before in _CHANGES_THE_END or after in _CHANGES_THE_END:
            ends.add(row.campaign_id)
        if after is MessageState.FAILED:
            hopeless.add(row.campaign_id)
        if after is MessageState.FAILED or before in _NOT_SENT:
            told.append((row, after is MessageState.FAILED))
    now = await _move(tx, moves)
    if counts:
        await tx.execute(_COUNT, [{"b_id": key, **counts[key]} for key in sorted(counts)])
        await charge(tx, bills, now)
    await tell_of_messages(tx, [_settled(row, now, failed=failed) for row, failed in told])
    await _end_waiting(tx, [row for row, _ in told if row.state == MessageState.QUEUED], now, written)
    if ends:
        await correct_ends(tx, sorted(ends))
    for campaign_id in sorted(hopeless):
        if (await tx.execute(_PAUSE_HOPELESS, {"b_id": campaign_id})).rowcount:
            written.paused.append(campaign_id)
    return written


def _has_left(row: AnyRow) -> bool:
    """Whether WAHA had answered that it was sent, or a receipt has moved it, if only to a refusal."""
    return row.sent_at is not None or row.error_code == REFUSED_CODE


async def _lock_queued(tx: AsyncConnection, keys: Collection[Key]) -> Sequence[AnyRow]:
    """Messages that are queued again, of campaigns of whose sessions one tells of them."""
    if not keys:
        return []
    told = {"ids": sorted({key.wa_id for key in keys}), "names": sorted({key.session for key in keys})}
    rows = (await tx.execute(_LOCK_QUEUED, told)).all()
    return list({row.id: row for row in rows if Key(row.session, row.wa_id) in keys}.values())


async def _end_waiting(tx: AsyncConnection, again: Sequence[AnyRow], now: float, written: Written) -> None:
    """Messages that waited to be sent once more have left: note through whom, and end what has nothing left by that."""
    if not again:
        return
    await tx.execute(_LEFT_THROUGH, [{"b_id": row.id, "b_sender_id": row.sender_id} for row in again])
    heard = [{"b_id": row.campaign_id, "b_sender_id": row.sender_id, "b_at": now} for row in again]
    await tx.execute(CAMPAIGN_HEARD, heard)
    turn = Turn(now, 0.0, Delays(0.0, 0.0))
    await finish_campaigns(tx, turn, {row.campaign_id for row in again})
    written.left_through.extend(row.sender_id for row in again)
    written.finished.extend(turn.finished)


async def _move(tx: AsyncConnection, moves: Mapping[tuple[MessageState | None, int], list[str]]) -> float:
    """One statement for all messages with the same new state and level: there are a handful of these at most.

    Returns the time that was written.
    """
    now = await read_now(tx) if moves else 0.0
    for (after, ack), ids in moves.items():
        if after is None:
            await tx.execute(_HEAR, {"ids": ids, "b_ack": ack})
        else:
            await tx.execute(_MOVE, {"ids": ids, "b_ack": ack, **_values(after, now)})
    return now


def _settled(row: AnyRow, now: float, *, failed: bool) -> Settled:
    return Settled(
        id=row.id,
        campaign_id=row.campaign_id,
        phone=row.phone,
        sender_number=row.number,
        wa_id=row.wa_id,
        sent_at=None if failed else now,
        error_code=REFUSED_CODE if failed else "",
        error=REFUSED if failed else "",
    )


def _values(after: MessageState, now: float) -> dict[str, Any]:
    arrived = after in (MessageState.DELIVERED, MessageState.READ)
    failed = after is MessageState.FAILED
    return {
        "b_state": after,
        "b_sent_at": now if arrived or after is MessageState.SENT else None,
        "b_delivered_at": now if arrived else None,
        "b_read_at": now if after is MessageState.READ else None,
        "b_finished_at": now if failed else None,
        "b_error_code": REFUSED_CODE if failed else None,
        "b_error": REFUSED if failed else None,
    }


async def correct_ends(tx: AsyncConnection, campaigns: Sequence[str]) -> None:
    """Have ended campaigns end as their counters say now. Their rows are locked: we have just counted in them."""
    rows: Sequence[AnyRow] = (
        await tx.execute(
            select(
                campaign.c.id,
                campaign.c.state,
                campaign.c.n_failed,
                campaign.c.n_skipped,
                campaign.c.n_unconfirmed,
                campaign.c.total,
            ).where(campaign.c.id.in_(campaigns), campaign.c.state.in_(ENDED_STATES))
        )
    ).all()
    for row in rows:
        after = end_state(failed=row.n_failed, skipped=row.n_skipped, unconfirmed=row.n_unconfirmed, total=row.total)
        if after != row.state:
            await tx.execute(
                update(campaign).where(campaign.c.id == row.id, campaign.c.state == row.state).values(state=after)
            )
            await follow(tx, [row.id])

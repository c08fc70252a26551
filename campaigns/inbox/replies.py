"""Replies: which message of ours somebody answers, that it counts once, and what need not be sent any more.

A message that quotes one of ours answers that one. Else it answers the last one that this sender sent to this person,
if that is not longer ago than the setting says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, String, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.correspondents import spellings
from campaigns.inbox.models import Kind
from campaigns.inbox.tables import incoming_message
from campaigns.sending.counting import finish_campaigns
from campaigns.sending.models import MessageState
from campaigns.sending.outcomes import Turn
from campaigns.sending.pacing import Delays
from campaigns.sending.queries import end_queued
from campaigns.sending.tables import campaign, message
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS

REPLIED = "replied"
"""Why a message was skipped: its recipient has answered an earlier one."""
REPLIED_REASON = "they have answered, and the campaign stops then"
SKEW_SECONDS = 5.0
"""WhatsApp's times are whole seconds of its own clock: an answer may seem to be a little older than its message."""
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A stored message that may answer one of ours. `phone` are digits, None while only a hidden id is known."""

    id: str
    account_id: str
    sender_id: int
    phone: str | None
    kind: str
    at: float
    quoted_wa_id: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The message of ours that a stored one answers."""

    message_id: str
    campaign_id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Reactions:
    """What messages answer, by their ids; and campaigns that have ended by that, with their states."""

    answers: dict[str, Answered]
    ended: list[tuple[str, str]]


_QUOTED = (
    select(message.c.wa_id, message.c.sender_id, message.c.phone, message.c.id, campaign.c.id, campaign.c.account_id)
    .join(campaign, campaign.c.id == message.c.campaign_id)
    .where(is_among(message.c.wa_id, "quoted", String()))
)
_heard = batch("heard", id=ID, sender_id=Integer(), phone=String(), at=SECONDS)
_LAST_ID = (
    select(message.c.id)
    .where(
        message.c.phone == _heard.c.phone,
        message.c.sender_id == _heard.c.sender_id,
        literal_column("message.sent_at IS NOT NULL"),
        message.c.sent_at <= _heard.c.at + SKEW_SECONDS,
        message.c.sent_at >= _heard.c.at - bindparam("seconds", type_=SECONDS),
    )
    .order_by(message.c.sent_at.desc())
    .limit(1)
    .correlate(_heard)
    .scalar_subquery()
)
_LAST = select(_heard.c.id, message.c.sent_at, message.c.id, campaign.c.id, campaign.c.account_id).select_from(
    _heard.join(message, message.c.id == _LAST_ID).join(campaign, campaign.c.id == message.c.campaign_id)
)
_answering = batch("answering", id=ID, message_id=ID, campaign_id=ID)
_TIE = (
    update(incoming_message)
    .where(incoming_message.c.id == _answering.c.id)
    .values(answers_id=_answering.c.message_id, campaign_id=_answering.c.campaign_id)
)
_LOCK_FIRST = (
    select(message.c.id)
    .where(is_among(message.c.id, "ids", ID), message.c.replied_at.is_(None))
    .order_by(message.c.id)
    .with_for_update()
)
_first = batch("first", id=ID, at=SECONDS)
_REPLIED = (
    update(message)
    .where(message.c.id == _first.c.id, message.c.replied_at.is_(None))
    .values(replied_at=_first.c.at)
    .returning(message.c.campaign_id)
)
_counted = batch("counted", id=ID, replies=Integer())
_COUNT = (
    update(campaign).where(campaign.c.id == _counted.c.id).values(n_replied=campaign.c.n_replied + _counted.c.replies)
)
_stopped_by = batch("stopped_by", campaign_id=ID, phone=String())
_theirs = campaign.alias("theirs")
_TO_SKIP = (
    select(message.c.id, message.c.campaign_id)
    .select_from(
        _stopped_by.join(_theirs, _theirs.c.id == _stopped_by.c.campaign_id)
        .join(message, message.c.phone == _stopped_by.c.phone)
        .join(campaign, campaign.c.id == message.c.campaign_id)
    )
    .where(
        literal_column("message.state = 'queued'"),
        literal_column("message.stoppable"),
        campaign.c.account_id == _theirs.c.account_id,
        (campaign.c.id == _theirs.c.id) | ((campaign.c.label != "") & (campaign.c.label == _theirs.c.label)),
    )
)
_LOCK_CAMPAIGNS = (
    select(campaign.c.id).where(is_among(campaign.c.id, "ids", ID)).order_by(campaign.c.id).with_for_update()
)


async def react(tx: AsyncConnection, heard: Sequence[Heard], now: float, reply_days: float) -> Reactions:
    """Tie messages to what they answer, count them, and skip what stops by that.

    What WhatsApp's own notices seem to say answers nothing.
    """
    heard = [one for one in heard if one.kind != Kind.OTHER]
    answers = await _find_quoted(tx, heard)
    answers |= await _find_last(tx, [one for one in heard if one.id not in answers], reply_days)
    if not answers:
        return Reactions({}, [])
    rows = sorted((key, found.message_id, found.campaign_id) for key, found in answers.items())
    await tx.execute(_TIE, {"answering": pack(rows)})
    await _count(tx, heard, answers)
    return Reactions(answers, await _stop(tx, heard, answers, now))


async def _find_quoted(tx: AsyncConnection, heard: Sequence[Heard]) -> dict[str, Answered]:
    quoting = [one for one in heard if one.quoted_wa_id is not None]
    if not quoting:
        return {}
    rows = await tx.execute(_QUOTED, {"quoted": pack_values(sorted({one.quoted_wa_id for one in quoting}))})
    ours = {(row[0], row[1]): row for row in rows.all()}
    found: dict[str, Answered] = {}
    for one in quoting:
        row = ours.get((one.quoted_wa_id, one.sender_id))
        if row is not None and (one.phone is None or row[2] in spellings(one.phone)):
            found[one.id] = Answered(*row[3:])
    return found


async def _find_last(tx: AsyncConnection, heard: Sequence[Heard], reply_days: float) -> dict[str, Answered]:
    asked = [(one.id, one.sender_id, phone, one.at) for one in heard if one.phone for phone in spellings(one.phone)]
    if not asked:
        return {}
    rows = (await tx.execute(_LAST, {"heard": pack(asked), "seconds": reply_days * DAY})).all()
    return {row[0]: Answered(*row[2:]) for row in sorted(rows, key=lambda row: row[1])}  # the later one wins


async def _count(tx: AsyncConnection, heard: Sequence[Heard], answers: dict[str, Answered]) -> None:
    """Count the messages that were answered for the first time."""
    first: dict[str, float] = {}
    for one in heard:
        if found := answers.get(one.id):
            first[found.message_id] = min(one.at, first.get(found.message_id, one.at))
    await tx.execute(_LOCK_FIRST, {"ids": pack_values(sorted(first))})
    campaigns = (await tx.execute(_REPLIED, {"first": pack(sorted(first.items()))})).scalars().all()
    if campaigns:
        counted = sorted((key, campaigns.count(key)) for key in set(campaigns))
        await tx.execute(_LOCK_CAMPAIGNS, {"ids": pack_values(key for key, _ in counted)})
        await tx.execute(_COUNT, {"counted": pack(counted)})


async def _stop(
    tx: AsyncConnection, heard: Sequence[Heard], answers: dict[str, Answered], now: float
) -> list[tuple[str, str]]:
    """Skip what is still queued for those who answered, where that stops it; campaigns that have ended by it."""
    pairs = {
        (answers[one.id].campaign_id, phone)
        for one in heard
        if one.id in answers and one.phone
        for phone in spellings(one.phone)
    }
    if not pairs:
        return []
    rows = (await tx.execute(_TO_SKIP, {"stopped_by": pack(sorted(pairs))})).all()
    stopped: dict[str, list[str]] = {}
    for row in rows:
        stopped.setdefault(row.campaign_id, []).append(row.id)
    if not stopped:
        return []
    await tx.execute(_LOCK_CAMPAIGNS, {"ids": pack_values(sorted(stopped))})
    for campaign_id, ids in sorted(stopped.items()):
        theirs = [message.c.id.in_(ids)]
        await end_queued(
            tx, campaign_id, MessageState.SKIPPED, REPLIED, REPLIED_REASON, now, limit=len(ids), where=theirs
        )
    turn = Turn(now=now, monotonic=0.0, delays=Delays(0.0, 0.0))  # to end a campaign needs neither
    await finish_campaigns(tx, turn, sorted(stopped))
    return turn.finished

"""Skipping at the claim what may not be sent: to people who have opted out, and to those who had enough for now.

Taking a message (`claim_statements.TAKE_MESSAGE`) refuses those who have opted out, at the cost of two looks into an
index. Only where it has refused one is more done: the first messages that the campaign has queued are looked through
with it, so that a long list of opted-out people is passed a thousand at a time.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import Integer, String, bindparam, or_, select, update

from campaigns.audience.optouts.queries import OPTED_OUT, find_suppressed
from campaigns.sending.claim_statements import IS_QUEUED
from campaigns.sending.counting import finish_campaigns
from campaigns.sending.models import MessageState, Purpose
from campaigns.sending.offers import Pick, Round
from campaigns.sending.tables import campaign, message
from campaigns.sending.telling import Settled, tell_of_messages
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import ID, SECONDS

WINDOW = 1000
"""So many of a campaign's queued messages are looked through in one turn: all lanes wait for it."""

_first = (
    select(message.c.id)
    .where(message.c.campaign_id == bindparam("campaign"), IS_QUEUED)
    .order_by(message.c.seq)
    .limit(WINDOW)
)
_LOOK_THROUGH = select(message.c.id, message.c.phone).where(
    or_(message.c.id.in_(_first), is_among(message.c.id, "ids", ID)), IS_QUEUED
)
_skipped = batch("skipped", id=ID, code=String(), reason=String())
_SKIP = (
    update(message)
    .where(message.c.id == _skipped.c.id, IS_QUEUED)
    .values(
        state=MessageState.SKIPPED,
        finished_at=bindparam("now", type_=SECONDS),
        error_code=_skipped.c.code,
        error=_skipped.c.reason,
    )
    .returning(message.c.id, message.c.campaign_id, message.c.phone, message.c.seq)
)
_counted = batch("counted", id=ID, count=Integer())
_COUNT = (
    update(campaign)
    .where(campaign.c.id == _counted.c.id)
    .values(n_queued=campaign.c.n_queued - _counted.c.count, n_skipped=campaign.c.n_skipped + _counted.c.count)
)
Skip = tuple[str, str, str]
"""A message's id, and why it is skipped: the code, and a sentence."""


async def skip_opted_out(round_: Round, refused: Sequence[Pick]) -> None:
    """Of picks that could not be taken, skip those to people who have opted out, and have their lanes look again."""
    groups: dict[tuple[str, tuple[str, ...]], list[Pick]] = defaultdict(list)
    for pick in refused:
        if pick.share.campaign.row.purpose != Purpose.CONFIRMATION:
            groups[pick.share.campaign.row.id, accounts_of(pick)].append(pick)
    skips: list[Skip] = []
    for (campaign_id, accounts), picks in sorted(groups.items(), key=lambda group: group[0]):
        ids = [pick.head.id for pick in picks if pick.head is not None]
        found = await round_.tx.execute(_LOOK_THROUGH, {"campaign": campaign_id, "ids": pack_values(ids)})
        phones = {row.id: row.phone for row in found}
        reasons = await find_suppressed(round_.tx, accounts, set(phones.values()))
        skips += [(one, OPTED_OUT, reasons[phone]) for one, phone in phones.items() if phone in reasons]
    if skips:
        gone = await skip(round_, skips)
        round_.again |= {pick.lane.sender_id for pick in refused if pick.head is not None and pick.head.id in gone}


async def skip(round_: Round, skips: Sequence[Skip]) -> set[str]:
    """Skip messages, count and tell them, and end campaigns that have nothing left; the ids of those that waited."""
    found = await round_.tx.execute(_SKIP, {"skipped": pack(sorted(set(skips))), "now": round_.turn.now})
    rows = sorted(found.all(), key=lambda row: (row.campaign_id, row.seq))
    if rows:
        counts = Counter(row.campaign_id for row in rows)
        await round_.tx.execute(_COUNT, {"counted": pack(sorted(counts.items()))})
        why = {message_id: (code, reason) for message_id, code, reason in skips}
        told = [(row, *why[row.id]) for row in rows]
        await tell_of_messages(
            round_.tx,
            [Settled(row.id, row.campaign_id, row.phone, error_code=code, error=text) for row, code, text in told],
        )
        await finish_campaigns(round_.tx, round_.turn, sorted(counts))
    return {row.id for row in rows}


def accounts_of(pick: Pick) -> tuple[str, ...]:
    """The accounts whose suppressions count: the campaign's, and the sender's, which mostly is the same one."""
    mine, owner = pick.share.campaign.row.account_id, pick.lane.account_id
    return (mine,) if mine == owner else (mine, owner)

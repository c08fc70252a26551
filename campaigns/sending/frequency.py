"""How often an account writes to the same person: judged when a message is about to be claimed.

Counted are messages of campaigns of the account (replies and confirmations are not) to the number, through whatever
sender, that have left in the last so many days of 24 hours (`ix_message_left`), those of which nobody can tell whether
they have (`ix_message_unconfirmed`), and those that are on their way. Whoever has had enough is skipped, and told so;
nobody waits.

Two replicas that claim for one person at the same moment must not both find that there is room for one more: on
PostgreSQL a lock on account and person says who judges first, and the other one looks again at once.
"""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Integer, Select, String, and_, func, literal_column, select, union_all

from campaigns.sending.models import MessageState, Purpose
from campaigns.sending.offers import Pick, Round
from campaigns.sending.skipping import Skip, skip
from campaigns.sending.tables import campaign, lane, message
from gateway.batch import batch, is_among, pack, pack_values
from gateway.db import SECONDS

CODE = "frequency_cap"
DAY_SECONDS = 86_400.0

_wanted = batch("wanted", place=Integer(), phone=String(), account_id=String(), since=SECONDS)


def _counted(*which: ColumnElement[bool]) -> Select[int, int]:
    """How many such messages of the account there are to each that is wanted."""
    return (
        select(_wanted.c.place, func.count())
        .select_from(
            _wanted.join(message, and_(message.c.phone == _wanted.c.phone, *which)).join(
                campaign, campaign.c.id == message.c.campaign_id
            )
        )
        .where(campaign.c.account_id == _wanted.c.account_id, campaign.c.purpose == Purpose.CAMPAIGN)
        .group_by(_wanted.c.place)
    )


_HAD = union_all(
    _counted(message.c.sent_at.is_not(None), message.c.sent_at > _wanted.c.since),
    # as the index says it: only then SQLite uses it
    _counted(literal_column("message.state = 'unconfirmed'"), message.c.started_at > _wanted.c.since),
)
_ON_THEIR_WAY = (
    select(campaign.c.account_id, message.c.phone, func.count())
    .select_from(
        lane.join(message, message.c.id == lane.c.message_id).join(campaign, campaign.c.id == message.c.campaign_id)
    )
    .where(
        is_among(message.c.phone, "phones", String()),
        message.c.state == MessageState.SENDING,
        campaign.c.purpose == Purpose.CAMPAIGN,
    )
    .group_by(campaign.c.account_id, message.c.phone)
)
_locked = batch("locked", place=Integer(), key=String())
_LOCK = select(_locked.c.place).where(func.pg_try_advisory_xact_lock(func.hashtextextended(_locked.c.key, 0)))


def is_capped(pick: Pick) -> bool:
    """Whether a pick's campaign says how often people may be written to."""
    row = pick.share.campaign.row
    return row.cap_messages is not None and row.purpose == Purpose.CAMPAIGN


async def leave_out(round_: Round, picks: Sequence[Pick]) -> list[Pick]:
    """The picks without those to people who have had enough, which are skipped; their lanes look again."""
    capped = [pick for pick in picks if is_capped(pick)]
    if not capped:
        return list(picks)
    judged = await _first_to_judge(round_, capped)
    had, skips = await _had(round_, judged), list[Skip]()
    taken: Counter[tuple[str, str]] = Counter()  # in this round
    over: list[Pick] = [pick for pick in capped if pick not in judged]
    for pick in judged:
        row, head = pick.share.campaign.row, pick.head
        assert head is not None
        count = had[row.account_id, head.phone, row.cap_days or 0] + taken[row.account_id, head.phone]
        if count >= (row.cap_messages or 0):
            skips.append((head.id, CODE, _reason(row.cap_messages or 0, row.cap_days or 0)))
            over.append(pick)
        else:
            taken[row.account_id, head.phone] += 1
    if skips:
        await skip(round_, skips)
    round_.again |= {pick.lane.sender_id for pick in over}
    return [pick for pick in picks if pick not in over]


def _reason(messages: int, days: int) -> str:
    return f"at most {messages} campaign messages in {days} days to one person, and they have had them"


async def _first_to_judge(round_: Round, picks: Sequence[Pick]) -> list[Pick]:
    """Those of which no other replica is judging the person just now."""
    if round_.tx.dialect.name == "sqlite":
        return list(picks)
    rows = [(place, f"{pick.share.campaign.row.account_id} {_phone(pick)}") for place, pick in enumerate(picks)]
    got = set((await round_.tx.execute(_LOCK, {"locked": pack(rows)})).scalars())
    return [pick for place, pick in enumerate(picks) if place in got]


async def _had(round_: Round, picks: Sequence[Pick]) -> Counter[tuple[str, str, int]]:
    """How many messages people have had of an account in so many days, and are about to have."""
    had: Counter[tuple[str, str, int]] = Counter()
    offered = [(pick.share.campaign.row, _phone(pick)) for pick in picks]
    keys = sorted({(row.account_id, phone, row.cap_days or 0) for row, phone in offered})
    rows = [
        (place, phone, account_id, round_.turn.now - days * DAY_SECONDS)
        for place, (account_id, phone, days) in enumerate(keys)
    ]
    for place, count in (await round_.tx.execute(_HAD, {"wanted": pack(rows)})).all():
        had[keys[place]] += count
    phones = sorted({phone for _, phone, _ in keys})
    under_way = (await round_.tx.execute(_ON_THEIR_WAY, {"phones": pack_values(phones)})).all()
    for account_id, phone, count in under_way:
        for key in keys:
            had[key] += count if key[:2] == (account_id, phone) else 0
    return had


def _phone(pick: Pick) -> str:
    return "" if pick.head is None else pick.head.phone

"""Replies: what a sender that WhatsApp lets write to nobody new may still send.

People who have written to it are no new contacts. So a locked lane looks for messages to them, among the first
of what its campaigns have queued; it looks seldom, and nobody else pays for it.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, bindparam, exists, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.claim_statements import HEAD_COLUMNS, IS_QUEUED
from campaigns.sending.rows import Head, fetch
from campaigns.sending.tables import correspondent, message, sender

WINDOW = 1000
"""How many of a campaign's queued messages are looked through."""

_WITH_CORRESPONDENTS = select(sender.c.id).where(
    sender.c.id.in_(bindparam("senders", expanding=True)),
    exists(select(correspondent.c.phone).where(correspondent.c.sender_id == sender.c.id)),
)


def _replies(*, of_share: bool) -> Select[*tuple[object, ...]]:
    """The first messages to people who wrote to the sender; of its own share, or of all that nobody else was dealt."""
    window = select(message.c.id, message.c.seq).where(message.c.campaign_id == bindparam("campaign"), IS_QUEUED)
    if of_share:
        window = window.where(message.c.sender_id == bindparam("sender"))
    first = window.order_by(message.c.seq).limit(literal_column(str(WINDOW))).subquery()
    return (
        select(*HEAD_COLUMNS)
        .select_from(
            first.join(message, message.c.id == first.c.id).join(
                correspondent, correspondent.c.phone == message.c.phone
            )
        )
        .where(
            correspondent.c.sender_id == bindparam("sender"),
            or_(message.c.sender_id.is_(None), message.c.sender_id == bindparam("sender")),
            message.c.not_before <= bindparam("now"),
        )
        .order_by(first.c.seq)
        .limit(bindparam("count"))
    )


_OF_CAMPAIGN = _replies(of_share=False)
_OF_SHARE = _replies(of_share=True)


async def with_correspondents(tx: AsyncConnection, senders: Sequence[int]) -> set[int]:
    """Those of `senders` to whom anybody has ever written."""
    return set((await tx.execute(_WITH_CORRESPONDENTS, {"senders": senders})).scalars())


async def correspondents_of(
    connection: AsyncConnection, senders: Sequence[int], phones: Sequence[str]
) -> list[tuple[int, str]]:
    """Who of `phones` has written to which of `senders`."""
    found = select(correspondent.c.sender_id, correspondent.c.phone).where(
        correspondent.c.sender_id.in_(senders), correspondent.c.phone.in_(phones)
    )
    return [(row.sender_id, row.phone) for row in await connection.execute(found)]


async def find_reply(
    tx: AsyncConnection, campaign_id: str, sender_id: int, now: float, gone: Collection[str], *, of_share: bool
) -> Head | None:
    """A queued message of the campaign to somebody who wrote to the sender, but none of `gone` (ids); None if none."""
    params = {"campaign": campaign_id, "sender": sender_id, "now": now, "count": len(gone) + 1}
    rows = await tx.execute(_OF_SHARE if of_share else _OF_CAMPAIGN, params)
    return next((row for row in fetch(Head, rows) if row.id not in gone), None)

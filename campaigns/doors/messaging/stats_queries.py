"""What statistics count: campaigns' own counters, found by account and time, so that no message is looked at."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import MessageState
from campaigns.sending.tables import campaign
from gateway.auth.owned import owned
from gateway.db import AnyRow

SLOT_SECONDS = 900
"""Days begin at a quarter of an hour of UTC, in every time zone."""
_SLOT: ColumnElement[int] = literal_column(str(SLOT_SECONDS))
STATES = tuple(MessageState)
_SUMS = [
    func.coalesce(func.sum(campaign.c[name]), 0).label(name)
    for name in ("total", "n_replied", *(f"n_{state}" for state in STATES))
]
_NOTHING: ColumnElement[str] = literal_column("''")  # no parameter: a group is to be known again in its query
_CALLED = func.coalesce(func.nullif(campaign.c.label, _NOTHING), campaign.c.name)


async def by_slot(connection: AsyncConnection, account_id: str | None, since: float) -> Sequence[AnyRow]:
    """The sums of the campaigns that were made in each slot of `SLOT_SECONDS` (column: slot, its number since 1970)."""
    at = campaign.c.created_at / _SLOT
    whole = at if connection.dialect.name == "sqlite" else func.floor(at)  # SQLite's cast rounds down by itself
    slot = cast(whole, BigInteger)
    query = select(slot.label("slot"), *_SUMS).where(*_within(account_id, since)).group_by(slot)
    return (await connection.execute(query)).all()


async def by_campaign(
    connection: AsyncConnection, account_id: str | None, since: float, most: int
) -> tuple[Sequence[AnyRow], int]:
    """The sums by label, or name where there is none (column: called), the largest first; and how many there are."""
    query = select(_CALLED.label("called"), *_SUMS).where(*_within(account_id, since)).group_by(_CALLED)
    largest = query.order_by(func.sum(campaign.c.total).desc(), _CALLED).limit(most)
    counting = select(func.count(_CALLED.distinct())).where(*_within(account_id, since))
    return (await connection.execute(largest)).all(), int((await connection.execute(counting)).scalar_one())


def _within(account_id: str | None, since: float) -> tuple[ColumnElement[Any], ...]:
    return owned(campaign, account_id), campaign.c.created_at >= since, campaign.c.total > 0

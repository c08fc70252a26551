"""How many messages of each client may be claimed now, whatever its lanes could send: the rest waits for midnight.

A client with a daily limit is locked while its messages are claimed, by one replica at a time. What may be claimed is
the limit, less what has left today, less what is in flight: of that nobody knows on which side of midnight it will be
found, so it counts on both. A claim ahead of midnight, of what leaves after it, has the next day's limit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.metering.tables import client
from campaigns.sending.caps import day_end
from campaigns.sending.finishing import Day
from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.tables import campaign
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow

MAY_BE_IN_FLIGHT = (*OPEN_STATES, CampaignState.CANCELLED)
"""The states of campaigns of which messages may be in flight."""

_AMONG = is_among(client.c.id, "ids", ID)
_LIMITED = select(client.c.id).where(_AMONG, client.c.daily_limit.is_not(None))
_LOCK = (
    select(client.c.id, client.c.timezone, client.c.daily_limit, client.c.day_ends_at, client.c.sent_today)
    .where(_AMONG, client.c.daily_limit.is_not(None))
    .order_by(client.c.id)
    .with_for_update(skip_locked=True)
)
_LIMIT = select(client.c.timezone, client.c.daily_limit, client.c.day_ends_at, client.c.sent_today)
_IN_FLIGHT = (
    select(campaign.c.client_id, func.sum(campaign.c.n_sending).label("total"))
    .where(is_among(campaign.c.client_id, "ids", ID), campaign.c.state.in_(MAY_BE_IN_FLIGHT))
    .group_by(campaign.c.client_id)
)


@dataclass(slots=True)
class Allowance:
    """How many messages of a client may still be claimed, none of which leaves before `opens_at` (epoch seconds).

    With none left it depends on others whether more may leave today, unless it `is_used_up` until `day_ends_at`.
    """

    left: int
    opens_at: float
    day_ends_at: float
    is_used_up: bool

    def opens(self) -> float | None:
        """When the next message may leave; None while that depends on what is in flight."""
        if self.left > 0:
            return self.opens_at
        return self.day_ends_at if self.is_used_up else None


def allowance_of(row: AnyRow, in_flight: int, now: float) -> Allowance:
    """What a client (columns: timezone, daily_limit, day_ends_at, sent_today) may send at `now`. Pure."""
    same_day = row.day_ends_at > now
    day_ends_at = row.day_ends_at if same_day else day_end(now, row.timezone)
    sent = row.sent_today if same_day else 0
    if sent < row.daily_limit:
        return Allowance(row.daily_limit - sent - in_flight, 0.0, day_ends_at, is_used_up=False)
    # nothing more today; of tomorrow's limit, what is in flight may still take its part
    return Allowance(row.daily_limit - in_flight, day_ends_at, day_ends_at, is_used_up=True)


async def lock_allowances(
    tx: AsyncConnection, client_ids: Collection[str], now: float
) -> Mapping[str | None, Allowance | None]:
    """The allowances of those clients that have a daily limit; None for one that another transaction holds."""
    limited = (await tx.execute(_LIMITED, {"ids": pack_values(sorted(client_ids))})).scalars().all()
    if not limited:
        return {}
    ids = {"ids": pack_values(sorted(limited))}
    rows = (await tx.execute(_LOCK, ids)).all()
    in_flight = {row.client_id: int(row.total) for row in await tx.execute(_IN_FLIGHT, ids)}
    found = {row.id: allowance_of(row, in_flight.get(row.id, 0), now) for row in rows}
    return {client_id: found.get(client_id) for client_id in limited}


def day_of(row: AnyRow | None, at: float) -> Day | None:
    """What a client (columns as in `allowance_of`) may send on the day of `at`; None without a client or a limit."""
    if row is None or not row.daily_limit:
        return None
    if row.day_ends_at > at:
        return Day(row.daily_limit, max(0, row.daily_limit - row.sent_today), row.day_ends_at)
    return Day(row.daily_limit, row.daily_limit, day_end(at, row.timezone))


async def limit_of_client(connection: AsyncConnection, client_id: str) -> AnyRow | None:
    """A client's daily limit and what is used of it, for `day_of`."""
    return (await connection.execute(_LIMIT.where(client.c.id == client_id))).first()


async def limit_of_account(connection: AsyncConnection, account_id: str) -> AnyRow | None:
    """As `limit_of_client`, of the client whose account it is; None if it is nobody's."""
    return (await connection.execute(_LIMIT.where(client.c.account_id == account_id))).first()


def used_up_until(row: AnyRow | None, now: float) -> float | None:
    """Until when a client (as in `day_of`) sends nothing more because of its daily limit; None if it may."""
    if row is None or row.daily_limit is None or row.sent_today < row.daily_limit or row.day_ends_at <= now:
        return None
    return float(row.day_ends_at)

"""Which senders are a client's: an operator gives it numbers, and takes them back. SQL and what follows from it."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.tables import campaign, campaign_sender, sender
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import AnyRow
from gateway.errors import Conflict
from sessions import ownership

WAITING = (CampaignState.SCHEDULED, *OPEN_STATES)
"""The states of campaigns that may still send."""


async def numbers_of(connection: AsyncConnection, account_ids: Collection[str]) -> dict[str, list[str]]:
    """The numbers (digits) of each account, in their order."""
    found: dict[str, list[str]] = {account_id: [] for account_id in account_ids}
    query = select(sender.c.account_id, sender.c.number).where(sender.c.account_id.in_(account_ids), sender.c.proven)
    for row in await connection.execute(query.order_by(sender.c.number)):
        found[row.account_id].append(row.number)
    return found


async def set_numbers(tx: AsyncConnection, client: AnyRow, wanted: Sequence[str], now: float) -> None:
    """Have a client own these numbers and no others; what it gives back is the account `local`'s.

    Raises:
        Conflict: one belongs to another account, or waits to send for the account that it leaves.
    """
    present = (await numbers_of(tx, [client.account_id]))[client.account_id]
    for number in sorted(set(wanted) - set(present)):
        await _hand_over(tx, number, client.account_id, now)
    for number in sorted(set(present) - set(wanted)):
        await _hand_over(tx, number, LOCAL_ACCOUNT, now)


async def _hand_over(tx: AsyncConnection, number: str, account_id: str, now: float) -> None:
    sender_id = await ownership.hand_over(tx, number, account_id, now)
    waits = (
        select(campaign.c.id)
        .join(campaign_sender, campaign_sender.c.campaign_id == campaign.c.id)
        .where(
            campaign_sender.c.sender_id == sender_id,
            campaign.c.account_id != account_id,
            campaign.c.state.in_(WAITING),
        )
    )
    if (await tx.execute(waits.limit(1))).first() is not None:
        raise Conflict(f"+{number} has campaigns of another account that are not done; finish or cancel them first")

"""Removing deliveries that nobody looks at any more. They keep what they tell, so no event waits for them."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import Database
from gateway.notifications.webhooks.models import DeliveryState
from gateway.notifications.webhooks.queries import forget_ended, forget_stranded

DELIVERED_SECONDS = 7 * 86_400.0
GIVEN_UP_SECONDS = 30 * 86_400.0
STRANDED_SECONDS = 30 * 86_400.0
"""What waits for an endpoint that is switched off."""
SLICE = 1_000


async def forget_old(db: Database, now: float) -> None:
    """Remove what is too old at `now` (epoch seconds, by the database's clock), some rows at a time."""
    await _repeat(db, lambda tx: forget_ended(tx, DeliveryState.DELIVERED, now - DELIVERED_SECONDS, SLICE))
    await _repeat(db, lambda tx: forget_ended(tx, DeliveryState.GIVEN_UP, now - GIVEN_UP_SECONDS, SLICE))
    await _repeat(db, lambda tx: forget_stranded(tx, now - STRANDED_SECONDS, SLICE))


async def _repeat(db: Database, forget: Callable[[AsyncConnection], Awaitable[int]]) -> None:
    while True:
        async with db.write(bulk=True) as tx:
            removed = await forget(tx)
        if removed < SLICE:
            return

"""SQL of delivering: who serves an endpoint, what is due there, and what became of it.

Whoever serves an endpoint holds it by a lease in its row. Each of these begins by renewing it (`renew`), which also
locks the row: nothing is written for somebody who has lost it meanwhile.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import exists, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow
from gateway.notifications.webhooks.models import EndpointState
from gateway.notifications.webhooks.tables import delivery, endpoint

_NOW = func.gateway_now()
IS_OPEN = delivery.c.state.in_((literal_column("'pending'"), literal_column("'retrying'")))
"""In literals, as the partial index has it."""


def _is_free() -> tuple[Any, ...]:
    """Nobody serves the endpoint, and something is due there."""
    due = exists().where(delivery.c.endpoint_id == endpoint.c.id, IS_OPEN, delivery.c.next_at <= _NOW)
    return (
        endpoint.c.state == EndpointState.ACTIVE,
        endpoint.c.lease_until <= _NOW,
        endpoint.c.hold_until <= _NOW,
        due.correlate(endpoint),
    )


async def has_free(connection: AsyncConnection) -> bool:
    """Whether there is an endpoint to be served: a look that locks nothing."""
    return (await connection.execute(select(endpoint.c.id).where(*_is_free()).limit(1))).first() is not None


async def claim(tx: AsyncConnection, replica: str, lease_seconds: float, limit: int) -> Sequence[AnyRow]:
    """Begin to serve some endpoints: their ids and epochs, those that were served longest ago first."""
    free = (
        select(endpoint.c.id)
        .where(*_is_free())
        .order_by(endpoint.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(endpoint)
        .where(endpoint.c.id.in_(free.scalar_subquery()))
        .values(owner=replica, epoch=endpoint.c.epoch + 1, lease_until=_NOW + lease_seconds)
        .returning(endpoint.c.id, endpoint.c.epoch)
    )
    return (await tx.execute(statement)).all()


async def renew(tx: AsyncConnection, endpoint_id: str, replica: str, epoch: int, lease_seconds: float) -> AnyRow | None:
    """Go on serving: the endpoint's row, with the time as `now`; None where it is gone or served by somebody else."""
    statement = (
        update(endpoint)
        .where(endpoint.c.id == endpoint_id, endpoint.c.owner == replica, endpoint.c.epoch == epoch)
        .values(lease_until=_NOW + lease_seconds)
        .returning(endpoint, _NOW.label("now"))
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def release(tx: AsyncConnection, endpoint_id: str) -> None:
    """Serve it no longer. The time says when it was served last."""
    values = {"owner": None, "lease_until": _NOW}
    await tx.execute(update(endpoint).where(endpoint.c.id == endpoint_id).values(**values))


async def due(tx: AsyncConnection, endpoint_id: str, under_way: Collection[str], limit: int) -> Sequence[AnyRow]:
    """What is to be sent now, in order, but for the lines that are under way."""
    query = select(delivery).where(delivery.c.endpoint_id == endpoint_id, IS_OPEN, delivery.c.next_at <= _NOW)
    if under_way:
        query = query.where(delivery.c.line.not_in(list(under_way)))
    query = query.order_by(delivery.c.next_at, delivery.c.sequence).limit(limit)
    return (await tx.execute(query)).all()


async def settle_delivery(tx: AsyncConnection, row: AnyRow, values: Mapping[str, Any]) -> bool:
    """Write what came of an attempt, unless it was settled otherwise meanwhile; whether it was written."""
    statement = (
        update(delivery)
        .where(
            delivery.c.endpoint_id == row.endpoint_id,
            delivery.c.event_id == row.event_id,
            delivery.c.attempts == row.attempts,
            IS_OPEN,
        )
        .values(**values)
    )
    return (await tx.execute(statement)).rowcount == 1


async def settle_endpoint(tx: AsyncConnection, endpoint_id: str, values: Mapping[str, Any]) -> None:
    """Write how an endpoint does."""
    await tx.execute(update(endpoint).where(endpoint.c.id == endpoint_id).values(**values))

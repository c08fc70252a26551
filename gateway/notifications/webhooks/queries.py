"""SQL of endpoints and of what was delivered to them, for those who own them; None is everybody's."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.models import LOCAL_ACCOUNT, Account
from gateway.auth.owned import owned
from gateway.db import AnyRow, table_of
from gateway.notifications.models import EVERYBODY, IDLE
from gateway.notifications.tables import listener
from gateway.notifications.webhooks.models import ENDPOINT_TRANSITIONS, DeliveryState, EndpointState
from gateway.notifications.webhooks.tables import delivery, endpoint

account = table_of(Account)
_NOW = func.gateway_now()
_HAS_ENDED = delivery.c.state.in_((literal_column("'delivered'"), literal_column("'given_up'")))
"""In literals, as the partial index has it."""


# --- endpoints --------------------------------------------------------------------------------------------------------


async def count_of(tx: AsyncConnection, account_id: str) -> int:
    """How many endpoints an account has; nobody can add another one before the transaction ends."""
    whose = LOCAL_ACCOUNT if account_id == EVERYBODY else account_id
    await tx.execute(select(account.c.id).where(account.c.id == whose).with_for_update())
    query = select(func.count()).select_from(endpoint).where(endpoint.c.account_id == account_id)
    return int((await tx.execute(query)).scalar_one())


async def insert_endpoint(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    """Store an endpoint; gives its row."""
    statement = insert(endpoint).values(**values).returning(endpoint, _NOW.label("now"))
    row: AnyRow = (await tx.execute(statement)).one()
    return row


async def find_endpoint(
    connection: AsyncConnection, endpoint_id: str, account_id: str | None, *, lock: bool = False
) -> AnyRow | None:
    """An endpoint, with the time as `now`."""
    query = select(endpoint, _NOW.label("now")).where(endpoint.c.id == endpoint_id, owned(endpoint, account_id))
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def list_endpoints(
    connection: AsyncConnection, account_id: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of endpoints, oldest first, and how many there are."""
    query = select(endpoint, _NOW.label("now")).where(owned(endpoint, account_id)).order_by(endpoint.c.id)
    return await _page(connection, query, offset, limit)


async def update_endpoint(tx: AsyncConnection, endpoint_id: str, values: Mapping[str, Any]) -> AnyRow:
    """Change an endpoint that was found and locked in this transaction; gives its row."""
    statement = (
        update(endpoint)
        .where(endpoint.c.id == endpoint_id)
        .values(**values, updated_at=_NOW)
        .returning(endpoint, _NOW.label("now"))
    )
    row: AnyRow = (await tx.execute(statement)).one()
    return row


async def move_endpoint(tx: AsyncConnection, endpoint_id: str, to: EndpointState, now: float, reason: str = "") -> bool:
    """Move an endpoint's state, if it may be moved there; whether it was. An active one listens, others do not.

    One that begins anew is given the benefit of the doubt, and what is open there is sent at once.
    """
    sources = [state for state, targets in ENDPOINT_TRANSITIONS.items() if to in targets]
    values: dict[str, Any] = {"state": to, "reason": reason, "updated_at": now}
    if to is EndpointState.ACTIVE:
        values |= {"failures": 0, "failing_since": None, "hold_until": 0}
    statement = update(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.state.in_(sources))
    row = (await tx.execute(statement.values(**values).returning(endpoint.c.account_id))).first()
    if row is None:
        return False
    if to is EndpointState.ACTIVE:
        await listen(tx, endpoint_id, row.account_id)
    else:
        await unlisten(tx, endpoint_id)
    return True


async def disable_endpoint(tx: AsyncConnection, endpoint_id: str, reason: str, now: float) -> bool:
    """Switch an endpoint off; whether it was on."""
    return await move_endpoint(tx, endpoint_id, EndpointState.DISABLED, now, reason)


async def delete_endpoint(tx: AsyncConnection, endpoint_id: str) -> None:
    """Remove an endpoint that was found and locked in this transaction, with all its deliveries."""
    await unlisten(tx, endpoint_id)
    await tx.execute(delete(delivery).where(delivery.c.endpoint_id == endpoint_id))
    await tx.execute(delete(endpoint).where(endpoint.c.id == endpoint_id))


async def listen(tx: AsyncConnection, endpoint_id: str, account_id: str) -> None:
    """Have events of this account written for the endpoint from now on."""
    await unlisten(tx, endpoint_id)
    await tx.execute(insert(listener).values(key=_key(endpoint_id), account_id=account_id, until=IDLE))


async def unlisten(tx: AsyncConnection, endpoint_id: str) -> None:
    """Have no more events written for the endpoint."""
    await tx.execute(delete(listener).where(listener.c.key == _key(endpoint_id)))


def _key(endpoint_id: str) -> str:
    return f"webhook {endpoint_id}"


# --- deliveries -------------------------------------------------------------------------------------------------------


async def list_deliveries(
    connection: AsyncConnection,
    endpoint_id: str,
    *,
    state: DeliveryState | None,
    kind: str | None,
    offset: int,
    limit: int,
) -> tuple[Sequence[AnyRow], int]:
    """A page of an endpoint's deliveries, newest first, and how many there are."""
    query = select(delivery).where(delivery.c.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(delivery.c.state == state)
    if kind is not None:
        query = query.where(delivery.c.kind == kind)
    return await _page(connection, query.order_by(delivery.c.event_id.desc()), offset, limit)


async def insert_delivery(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    """Store a delivery; gives its row."""
    row: AnyRow = (await tx.execute(insert(delivery).values(**values).returning(delivery))).one()
    return row


async def replay_delivery(tx: AsyncConnection, endpoint_id: str, event_id: str) -> AnyRow | None:
    """Have an event sent again, now, as if it never had been; gives its row, None where there is no such delivery."""
    values = {"state": DeliveryState.PENDING, "attempts": 0, "next_at": _NOW, "ended_at": None}
    statement = (
        update(delivery)
        .where(delivery.c.endpoint_id == endpoint_id, delivery.c.event_id == event_id)
        .values(**values)
        .returning(delivery)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def wake_deliveries(tx: AsyncConnection, endpoint_id: str) -> None:
    """Have everything that is open at an endpoint sent now."""
    is_open = delivery.c.state.in_((literal_column("'pending'"), literal_column("'retrying'")))
    statement = update(delivery).where(delivery.c.endpoint_id == endpoint_id, is_open, delivery.c.next_at > _NOW)
    await tx.execute(statement.values(next_at=_NOW))


async def forget_ended(tx: AsyncConnection, state: DeliveryState, before: float, limit: int) -> int:
    """Remove some deliveries that ended in this state before then (epoch seconds); how many it were."""
    old = select(delivery.c.endpoint_id, delivery.c.event_id).where(
        _HAS_ENDED, delivery.c.state == state, delivery.c.ended_at < before
    )
    return await _forget(tx, old, limit)


async def forget_stranded(tx: AsyncConnection, before: float, limit: int) -> int:
    """Remove some open deliveries from before then of endpoints that are not active; how many it were."""
    old = (
        select(delivery.c.endpoint_id, delivery.c.event_id)
        .join(endpoint, endpoint.c.id == delivery.c.endpoint_id)
        .where(
            endpoint.c.state != EndpointState.ACTIVE,
            delivery.c.state.in_((literal_column("'pending'"), literal_column("'retrying'"))),
            delivery.c.created_at < before,
        )
    )
    return await _forget(tx, old, limit)


async def _forget(tx: AsyncConnection, old: Select[Any], limit: int) -> int:
    some = old.limit(limit).subquery()
    mine = (delivery.c.endpoint_id == some.c.endpoint_id) & (delivery.c.event_id == some.c.event_id)
    return (await tx.execute(delete(delivery).where(select(some.c.event_id).where(mine).exists()))).rowcount


async def _page(
    connection: AsyncConnection, query: Select[Any], offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    rows = (await connection.execute(query.offset(offset).limit(limit))).all()
    counting = select(func.count()).select_from(query.order_by(None).subquery())
    return rows, int((await connection.execute(counting)).scalar_one())

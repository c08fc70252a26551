"""Which endpoints are told an event: rows of deliveries, made in the transaction that gives the event its number.

So there is no event without its deliveries, whatever crashes; and what is told in one order is sent in that order.
"""

from sqlalchemy import ColumnElement, String, cast, func, insert, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.notifications.models import EVERYBODY
from gateway.notifications.tables import event
from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.models import DeliveryState, EndpointState
from gateway.notifications.webhooks.tables import delivery, endpoint


def _wanted() -> ColumnElement[bool]:
    """Whether an endpoint's JSON list has the event's kind, or `*`: taken out of the text, something is missing."""
    without_kind = func.replace(endpoint.c.events, literal('"') + event.c.kind + '"', "")
    return or_(endpoint.c.events == f'["{EventKind.ANY}"]', without_kind != endpoint.c.events)


_COLUMNS = {
    "endpoint_id": endpoint.c.id,
    "event_id": event.c.id,
    "sequence": event.c.sequence,
    "line": func.coalesce(cast(event.c.campaign_id, String), event.c.sender_number, ""),
    "kind": event.c.kind,
    "at": event.c.at,
    "data": event.c.data,
    "state": literal(DeliveryState.PENDING.value),
    "attempts": literal(0),
    "next_at": func.gateway_now(),
    "response": literal(""),
    "error": literal(""),
    "created_at": func.gateway_now(),
}


async def fan_out(tx: AsyncConnection, first: int, last: int) -> None:
    """Make the deliveries of the events with these sequence numbers, both included; one statement."""
    rows = select(*_COLUMNS.values()).where(
        event.c.sequence.between(first, last),
        endpoint.c.account_id.in_((event.c.account_id, EVERYBODY)),
        endpoint.c.state == EndpointState.ACTIVE,
        _wanted(),
    )
    await tx.execute(insert(delivery).from_select(list(_COLUMNS), rows))

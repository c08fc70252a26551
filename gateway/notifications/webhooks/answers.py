"""What is told of endpoints and deliveries."""

from datetime import UTC, datetime

import orjson

from gateway.db import AnyRow
from gateway.notifications.models import EVERYBODY
from gateway.notifications.webhooks.models import OPEN, EndpointState
from gateway.notifications.webhooks.schemas import DeliveryOut, WebhookOut


def webhook_out(row: AnyRow) -> WebhookOut:
    """An endpoint's row, with the time as `now`, as the API tells it: without its secrets."""
    old_until = row.old_secret_until
    return WebhookOut(
        id=row.id,
        url=row.url,
        events=orjson.loads(row.events),
        description=row.description,
        all_accounts=row.account_id == EVERYBODY,
        state=row.state,
        enabled=row.state == EndpointState.ACTIVE,
        reason=row.reason or None,
        failures=row.failures,
        failing_since=_time(row.failing_since),
        last_success_at=_time(row.last_success_at),
        old_secret_until=_time(old_until if old_until is not None and old_until > row.now else None),
        created_at=_utc(row.created_at),
        updated_at=_utc(row.updated_at),
    )


def delivery_out(row: AnyRow) -> DeliveryOut:
    """A delivery's row as the API tells it."""
    return DeliveryOut(
        id=row.event_id,
        event=row.kind,
        timestamp=_utc(row.at),
        sequence=row.sequence,
        data=orjson.loads(row.data),
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        response=row.response,
        error=row.error or None,
        duration_seconds=row.seconds,
        created_at=_utc(row.created_at),
        last_attempt_at=_time(row.last_attempt_at),
        next_attempt_at=_utc(row.next_at) if row.state in OPEN else None,
        ended_at=_time(row.ended_at),
    )


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else _utc(seconds)

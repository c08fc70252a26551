"""What an event looks like to a client: the same over a WebSocket and in a webhook."""

from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.db import AnyRow


def as_text(seconds: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def payload_of(row: AnyRow) -> dict[str, Any]:
    """A row of the table `event` as it is told; its `data` stays the JSON that it is."""
    return {"event": row.kind, "id": row.id, "timestamp": as_text(row.at), "data": orjson.Fragment(row.data)}

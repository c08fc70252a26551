"""An event as a webhook tells it."""

import orjson

from gateway.notifications.payload import as_text


def write_body(event_id: str, kind: str, at: float, data: str, sequence: int | None) -> bytes:
    """The JSON of a request: the same bytes for the same event, however often it is sent.

    `at` is in epoch seconds, `data` the JSON object of what has happened. Without `sequence` it has no place among the
    others: a test.
    """
    told = {
        "event": kind,
        "id": event_id,
        "sequence": sequence,
        "timestamp": as_text(at),
        "data": orjson.Fragment(data),
    }
    return orjson.dumps(told)

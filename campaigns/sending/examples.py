"""Examples of what the sending routes give, shown in /docs and /redoc; a test holds each against its model."""

from typing import Any

Example = dict[str, Any]

CAMPAIGN: Example = {
    "campaign_id": "01a1fb76-b031-7b43-9d8e-a57d616216a1",
    "name": "Orders of today",
    "sender_number": "+447700900001",
    "sender_numbers": ["+447700900001", "+447700900002"],
    "status": "running",
    "priority": "normal",
    "total": 120,
    "pending": 77,
    "sent": 42,
    "delivered": 40,
    "read": 12,
    "failed": 1,
    "unconfirmed": 0,
    "skipped": 0,
    "cancelled": 0,
    "replied": 5,
    "progress": 35.8,
    "template": "Hello {{name}}, your order is ready.",
    "media_url": None,
    "created_at": "2026-11-21T09:00:00Z",
    "start_time": "2026-11-21T09:00:00.250000Z",
    "end_time": None,
    "reason": "",
    "start_at": None,
    "expires_at": "2026-11-22T20:00:00Z",
    "timezone": "Europe/London",
    "quiet_hours": {"from": "21:00", "to": "08:00"},
    "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat"],
    "auto_pause": True,
    "label": "orders",
    "stop_on_reply": False,
}
WAITING: Example = {
    "reason": "session_not_connected",
    "message": "the sender's session is not connected: scan its QR code",
    "until": None,
    "sender_number": "+447700900002",
}
MESSAGE: Example = {
    "id": "01a1fb76-b031-7273-b754-4d16dc8ff1fd",
    "recipient": "+447700900100",
    "grade": "valid",
    "status": "delivered",
    "text": "Hello Ada, your order is ready.",
    "sender_number": "+447700900001",
    "receipt": 2,
    "attempts": 1,
    "timestamp": "2026-11-21T09:00:02.600000Z",
    "created_at": "2026-11-21T09:00:00Z",
    "started_at": "2026-11-21T09:00:00.250000Z",
    "sent_at": "2026-11-21T09:00:00.700000Z",
    "delivered_at": "2026-11-21T09:00:02.600000Z",
    "read_at": None,
    "error": None,
    "error_code": None,
    "waiting": None,
    "note": None,
    "personalization": None,
}
STATUS: Example = CAMPAIGN | {"waiting": [WAITING], "estimated_finish": "2026-11-21T09:03:10Z", "messages": None}
DETAILED_STATUS: Example = STATUS | {
    "messages": {"items": [MESSAGE], "total": 120, "page": 1, "pages": 2, "per_page": 100}
}
SENT: Example = CAMPAIGN | {
    "status": "queued",
    "pending": 120,
    "sent": 0,
    "delivered": 0,
    "read": 0,
    "failed": 0,
    "replied": 0,
    "progress": 0.0,
    "start_time": None,
    "duplicates": 3,
    "invalid": [],
    "grades": {"valid": 118, "possible": 2},
    "estimated_finish": "2026-11-21T09:05:00Z",
}
PREVIEW: Example = {
    "valid": 120,
    "duplicates": 3,
    "invalid": [{"index": 7, "recipient": "n/a", "reason": "there are letters in it", "code": "invalid_format"}],
    "invalid_count": 1,
    "missing_variables": [
        {"index": 9, "recipient": "+447700900109", "reason": "no value for name", "code": "missing_variable"}
    ],
    "missing_variables_count": 1,
    "opted_out": [
        {"recipient": "+447700900110", "reason": "opted out (they wrote 'STOP' on 2026-11-20)", "code": "opted_out"}
    ],
    "opted_out_count": 1,
    "grades": {"valid": 118, "possible": 2},
    "samples": [{"recipient": "+447700900100", "text": "Hello Ada, your order is ready."}],
    "shares": {"+447700900001": 60, "+447700900002": 60},
    "not_connected": [],
    "duration_seconds": 297.5,
    "finish_time": "2026-11-21T09:05:00Z",
    "note": "",
}


def shown(*examples: Example) -> Example:
    """The `json_schema_extra` of a model with these examples."""
    return {"examples": list(examples)}

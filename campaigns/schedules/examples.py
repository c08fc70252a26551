"""Examples of what the schedule routes take and give, for the documentation of the API."""

from typing import Any

from pydantic import JsonValue

ID = "01a1fb76-b031-7b43-9d8e-a57d616216a5"
MESSAGE: dict[str, Any] = {"id": "01a1fb76-b031-7b43-9d8e-a57d616216a1", "title": "Welcome Message"}
CONTENT: dict[str, Any] = MESSAGE | {"content": "Hello {{name}}! Welcome to our service."}
GROUP: dict[str, Any] = {"id": "01a1fb76-b031-7b43-9d8e-a57d616216a3", "name": "VIP Customers"}
OPTIONS: dict[str, Any] = {
    "sender_numbers": ["+447700900001"],
    "max_lateness": 3600.0,
    "priority": "normal",
    "rotation": "even",
    "failover": True,
    "auto_pause": True,
    "expires_at": None,
    "quiet_hours": None,
    "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "next_occurrences": ["2026-12-28T15:00:00Z", "2027-01-04T15:00:00Z", "2027-01-11T15:00:00Z"],
}
REPEATS: dict[str, Any] = {
    "recurrence": "FREQ=WEEKLY;BYDAY=MO",
    "timezone": "UTC",
    "local_time": False,
    "series_id": "01a1fb76-b031-7b43-9d8e-a57d616216a6",
    "occurrence": 1,
    "missed_occurrences": 0,
}
CREATED: dict[str, Any] = {
    "id": ID,
    "message": MESSAGE,
    "group": GROUP,
    "scheduled_time": "2026-12-21T15:00:00Z",
    "status": "pending",
    "created_at": "2026-11-21T09:00:00Z",
    "task_id": ID,
    "recipient_count": 25,
    "content_read_at": None,
    **OPTIONS,
    **REPEATS,
}
ITEM: dict[str, Any] = {
    "id": ID,
    "message": CONTENT,
    "group": GROUP | {"recipient_count": 25},
    "scheduled_time": "2026-12-21T15:00:00Z",
    "status": "pending",
    "created_at": "2026-11-21T09:00:00Z",
    "sent_at": None,
    "error_message": None,
    "recipient_count": 25,
    "sent_count": 0,
    "failed_count": 0,
    "task_id": ID,
    "content_read_at": None,
    **REPEATS,
}
DETAILS: dict[str, Any] = (
    ITEM
    | {
        "group": GROUP
        | {
            "recipient_count": 25,
            "recipients": [
                {
                    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a2",
                    "name": "Ada",
                    "phone_number": "+447700900100",
                    "status": "sent",
                    "sent_at": "2026-12-21T15:00:30Z",
                    "error": None,
                }
            ],
        },
        "status": "sent",
        "sent_at": "2026-12-21T15:00:35Z",
        "sent_count": 25,
        "content_read_at": "2026-12-21T15:00:00.100000Z",
        "processing_started_at": "2026-12-21T15:00:00.100000Z",
        "processing_time": 35,
        "cancelled_at": None,
        "cancelled_by": None,
        "archived_at": None,
        "created_by": "user@example.com",
    }
    | OPTIONS
)
REQUESTS: list[JsonValue] = [
    {"message_id": MESSAGE["id"], "group_id": GROUP["id"], "scheduled_time": "2026-12-21T15:00:00Z"},
    {
        "message_id": MESSAGE["id"],
        "group_id": GROUP["id"],
        "scheduled_time": "2026-12-24T09:00:00+01:00",
        "sender_number": "+447700900001",
        "timezone": "Europe/Berlin",
        "quiet_hours": {"from": "21:00", "to": "08:00"},
    },
    {
        "message_id": MESSAGE["id"],
        "group_id": GROUP["id"],
        "scheduled_time": "2026-12-28T09:00:00+01:00",
        "timezone": "Europe/Berlin",
        "recurrence": "FREQ=WEEKLY;BYDAY=MO",
    },
    {
        "message_id": MESSAGE["id"],
        "group_id": GROUP["id"],
        "scheduled_time": "2026-12-24T09:00:00",
        "local_time": True,
    },
]

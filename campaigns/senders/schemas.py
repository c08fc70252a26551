"""What the list of senders looks like."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from sessions.schemas import SESSION_EXAMPLE, SessionOut

_SENDER: dict[str, Any] = SESSION_EXAMPLE | {
    "sent_today": 42,
    "effective_daily_cap": 500,
    "effective_message_delay": 2,
    "effective_timezone": "Europe/London",
    "day_ends_at": "2026-11-22T00:00:00Z",
}


class SenderOut(SessionOut):
    """A sender: its session, and how much it has sent and may send."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SENDER]})

    sent_today: int = Field(description="Messages that WAHA took in the present day of its time zone")
    effective_daily_cap: int = Field(description="So many it may send in a day; 0: any number")
    effective_message_delay: float = Field(description="Seconds between the answer to a message and the next one")
    effective_timezone: str = Field(description="IANA name; its days end at midnight there")
    day_ends_at: datetime | None = Field(description="When its count begins anew; null: nothing was sent today")

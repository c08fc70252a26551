"""What the report gives."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class Funnel(BaseModel):
    """How far the messages came. `sent`, `delivered` and `read` count each message at every step that it has passed."""

    queued: int = Field(description="All of them")
    waiting: int = Field(description="Not sent yet, or being sent")
    sent: int = Field(description="WhatsApp took it, whatever came after")
    delivered: int
    read: int
    replied: int = Field(description="Messages that their recipients have answered")
    unconfirmed: int
    failed: int
    skipped: int
    opted_out: int = Field(description="Of the skipped: the recipient does not want to be written to")
    cancelled: int
    delivery_rate: float | None = Field(description="Delivered of sent, 0 to 1; null before the first was sent")
    read_rate: float | None = Field(description="Read of sent, 0 to 1")
    reply_rate: float | None = Field(description="Replied of sent, 0 to 1")


class SenderShare(BaseModel):
    """What left, or failed, through one sender."""

    sender_number: str
    sent: int
    delivered: int
    read: int
    failed: int
    unconfirmed: int


class Hour(BaseModel):
    """What happened in one hour of the clock of the report's time zone; hours in which nothing did are left out."""

    hour: datetime = Field(description="When it begins")
    sent: int
    delivered: int
    read: int


class Failure(BaseModel):
    """Messages that were not sent, or of which nobody knows, for one kind of reason."""

    code: str
    status: str = Field(description="failed, skipped or unconfirmed")
    count: int
    example: str | None = Field(description="The reason of one of them")
    advice: str = Field(description="What to do")


class CampaignReport(BaseModel):
    """What became of a campaign."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "campaign_id": "01a1fb76-b031-7b43-9d8e-a57d616216a1",
                    "name": "Orders of today",
                    "status": "completed_with_errors",
                    "timezone": "Europe/London",
                    "funnel": {
                        "queued": 120,
                        "waiting": 0,
                        "sent": 118,
                        "delivered": 115,
                        "read": 60,
                        "replied": 12,
                        "unconfirmed": 0,
                        "failed": 1,
                        "skipped": 1,
                        "opted_out": 1,
                        "cancelled": 0,
                        "delivery_rate": 0.9746,
                        "read_rate": 0.5085,
                        "reply_rate": 0.1017,
                    },
                    "senders": [
                        {
                            "sender_number": "+447700900001",
                            "sent": 118,
                            "delivered": 115,
                            "read": 60,
                            "failed": 1,
                            "unconfirmed": 0,
                        }
                    ],
                    "hours": [{"hour": "2026-11-21T09:00:00Z", "sent": 118, "delivered": 115, "read": 60}],
                    "first_sent_at": "2026-11-21T09:00:00.700000Z",
                    "last_sent_at": "2026-11-21T09:05:12.100000Z",
                    "median_seconds_to_delivered": 1.4,
                    "median_seconds_to_read": 312.0,
                    "failures": [
                        {
                            "code": "not_on_whatsapp",
                            "status": "failed",
                            "count": 1,
                            "example": "the number is not on WhatsApp",
                            "advice": "Remove the number from your list, or correct it: WhatsApp does not know it.",
                        }
                    ],
                }
            ]
        }
    )

    campaign_id: str
    name: str
    status: str
    timezone: str
    funnel: Funnel
    senders: list[SenderShare] = Field(description="By number; those through which nothing left yet are left out")
    hours: list[Hour]
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    median_seconds_to_delivered: float | None = Field(
        description="Since WhatsApp took it; to a tenth of a second within an hour, to a minute beyond"
    )
    median_seconds_to_read: float | None
    failures: list[Failure] = Field(description="The most frequent first")

"""What the messaging API takes and gives beside single messages: numbers, the account, campaigns and statistics."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from campaigns.doors.messaging.schemas import Text
from campaigns.sending.models import Priority
from campaigns.sending.schemas import MAX_VARIABLES, BadRow, OptedOutRow, PhoneText, PlainText, Variables, refuse_nul

MOST_NUMBERS = 10_000
_ID = "01a1fb76-b031-7b43-9d8e-a57d616216a1"


def _shown(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class NumberIn(BaseModel):
    """A number to look at."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"phone_number": "+447700900100"}]})

    phone_number: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(refuse_nul)]


class NumberOut(BaseModel):
    """What is known of a number."""

    model_config = _shown(
        {
            "is_valid": True,
            "formatted_number": "+12125550123",
            "can_receive_messages": True,
            "carrier_info": None,
            "checked_at": 1758736926.44,
            "region": "US",
            "type": "fixed_line_or_mobile",
            "reason": None,
        }
    )

    is_valid: bool = Field(description="Whether its country's plan has such a number")
    formatted_number: str | None = Field(description="As all the API shows it; null if it cannot be read as a number")
    can_receive_messages: bool | None = Field(description="Whether it is on WhatsApp; null if nobody could be asked")
    carrier_info: str | None = Field(
        description="The carrier that was given its range; null where that is not known, or numbers move between them"
    )
    checked_at: float = Field(description="Epoch seconds: when WhatsApp was asked, or else now")
    region: str | None = Field(description="ISO 3166 code of two letters")
    type: str | None = Field(description="mobile, fixed_line, fixed_line_or_mobile, voip, ...")
    reason: str | None = Field(description="What is wrong with it, or why nobody could be asked")


class BalanceOut(BaseModel):
    """What the account may still send. Without a client there is neither a balance nor a limit."""

    model_config = _shown(
        {
            "balance": 1000.50,
            "currency": "USD",
            "messages_sent_today": 150,
            "messages_limit_daily": 1000,
            "messages_remaining": 850,
        }
    )

    balance: float | None = Field(description="Exactly, with two to six decimals")
    currency: str | None
    messages_sent_today: int = Field(description="What has left since midnight, or may have")
    messages_limit_daily: int | None = Field(description="null: any number")
    messages_remaining: int | None = Field(description="Of today's limit")


class NumbersCampaign(BaseModel):
    """One text for many numbers."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "campaign_name": "My Marketing Campaign",
                    "message_template": "Hello {{name}}! Special offer for you!",
                    "phone_numbers": ["+447700900100", "+447700900101"],
                    "priority": "normal",
                    "use_ai_personalization": False,
                }
            ]
        },
    )

    message_template: Text = Field(
        description="The text, with {{name}} and {{ name | fallback }}: values are those of the account's recipients. "
        "The name of somebody who is none of them is their number"
    )
    phone_numbers: list[PhoneText] = Field(
        min_length=1, max_length=MOST_NUMBERS, description="For more there is `POST /api/send`"
    )
    campaign_name: PlainText = ""
    priority: Priority = Priority.NORMAL
    variables: Variables = Field(default={}, max_length=MAX_VARIABLES, description="Values for all who have none")
    use_ai_personalization: StrictBool = Field(
        default=False, description="Have a service of the operator write each text: `NOT_CONFIGURED` if there is none"
    )


class QueuedCampaign(BaseModel):
    """A campaign was queued: the good numbers of it."""

    model_config = _shown(
        {
            "success": True,
            "campaign_id": _ID,
            "campaign_name": "My Marketing Campaign",
            "status": "queued",
            "priority": "normal",
            "total": 4,
            "queued": 1,
            "duplicates": 1,
            "invalid_count": 1,
            "invalid": [
                {"index": 2, "recipient": "n/a", "reason": "there are letters in it", "code": "invalid_format"}
            ],
            "opted_out_count": 1,
            "opted_out": [
                {
                    "recipient": "+447700900110",
                    "reason": "opted out (they wrote 'STOP' on 2026-11-20)",
                    "code": "opted_out",
                }
            ],
            "estimated_finish": "2026-11-21T09:05:00Z",
            "personalization": None,
        }
    )

    success: bool = True
    campaign_id: str = Field(description="For `/api/status/{campaign_id}` and all else about campaigns")
    campaign_name: str
    status: str
    priority: Priority
    total: int = Field(description="How many numbers were given")
    queued: int
    duplicates: int = Field(description="Repeated numbers, left out")
    invalid_count: int
    invalid: list[BadRow] = Field(description="The first 100 that cannot be written to")
    opted_out_count: int
    opted_out: list[OptedOutRow] = Field(description="The first 100 who do not want to be written to: they are skipped")
    estimated_finish: datetime
    personalization: dict[str, int] | None = Field(
        description="If it was asked for: how many texts are `personalized`, and how many are not, by the reason"
    )


_COUNTS = {"total": 120, "queued": 2, "sending": 0, "sent": 10, "delivered": 45, "read": 60, "failed": 3}


class Counts(BaseModel):
    """How many messages there are, and how many of them are in which status now."""

    total: int
    queued: int
    sending: int
    sent: int
    delivered: int
    read: int
    failed: int


class DayStats(Counts):
    """The messages of one day."""

    date: date


class CampaignStats(Counts):
    """The messages of one label (`campaign_id` of single messages), or of the campaigns of one name."""

    campaign: str
    replied: int
    reply_rate: float | None


class StatsOut(BaseModel):
    """What the account has queued in the last days, each message by the day on which its campaign was made."""

    model_config = _shown(
        {
            "success": True,
            "days": 30,
            "timezone": "Europe/London",
            "since": "2026-10-23T23:00:00Z",
            "totals": {"messages": 120, "sent": 115, "delivered": 105, "read": 60, "failed": 3, "replied": 12},
            "delivery_rate": 0.913,
            "reply_rate": 0.1043,
            "by_status": {name: count for name, count in _COUNTS.items() if name != "total"},
            "by_day": [{"date": "2026-11-21", **_COUNTS}],
            "by_campaign": [{"campaign": "spring", **_COUNTS, "replied": 12, "reply_rate": 0.1043}],
            "campaigns": 1,
        }
    )

    success: bool = True
    days: int
    timezone: str = Field(description="Whose days they are: the client's")
    since: datetime = Field(description="The midnight with which the first day begins")
    totals: dict[str, int] = Field(description="`sent` and `delivered` count also what came further")
    delivery_rate: float | None = Field(description="Delivered of sent, 0 to 1; null before the first was sent")
    reply_rate: float | None = Field(description="Answered of sent, 0 to 1")
    by_status: dict[str, int]
    by_day: list[DayStats] = Field(description="Days without a message are left out")
    by_campaign: list[CampaignStats] = Field(description="The 100 with the most messages")
    campaigns: int = Field(description="How many labels and names there are")

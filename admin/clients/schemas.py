"""What the operator's routes about clients take and give."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from campaigns.sending.hours_schemas import Moment
from campaigns.sending.schemas import PlainText
from campaigns.sending.wall_clock import is_zone
from gateway.auth.clients.scopes import ALL_SCOPES, ApiScope
from gateway.money import Amount, Price

MOST_SENDERS = 1000


def _trimmed(text: str) -> str:
    trimmed = " ".join(text.split())
    if not trimmed:
        raise ValueError("is empty")
    return trimmed


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("is not an IANA time zone, such as Europe/London")
    return name


def _not_nothing(amount: Any) -> Any:
    if amount == 0:
        raise ValueError("must not be 0")
    return amount


Name = Annotated[PlainText, Field(min_length=1, max_length=200), AfterValidator(_trimmed)]
KeyName = Annotated[PlainText, Field(max_length=200)]
Zone = Annotated[
    str, Field(max_length=64, description="IANA; its day ends at midnight there"), AfterValidator(_known_zone)
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
DailyLimit = Annotated[StrictInt, Field(ge=0, le=1_000_000_000)]
PerMinute = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Number = Annotated[str, Field(max_length=40)]
Scopes = Annotated[
    list[ApiScope], Field(min_length=1, max_length=len(ALL_SCOPES), description="`read` to look, `send` to send")
]
CLIENT: dict[str, Any] = {
    "id": "019a5f3e-8f0b-7c3e-9d8e-0c2f6b7a1d42",
    "name": "infinity",
    "account": "019a5f3e-8f0b-7c3e-9d8e-0c2f6b7a1d42",
    "senders": ["+447700900001"],
    "daily_limit": 1000,
    "sent_today": 12,
    "timezone": "Europe/London",
    "messages_per_minute": None,
    "effective_messages_per_minute": 60,
    "balance": "100.00",
    "price": "0.05",
    "currency": "EUR",
    "disabled": False,
    "created_at": "2026-01-02T10:00:00Z",
}
KEY: dict[str, Any] = {
    "id": "019a5f3e-8f0b-7c3e-9d8e-0c2f6b7a1d43",
    "name": "shop",
    "prefix": "wgk_2qDgJh",
    "scopes": ["read", "send"],
    "expires_at": None,
    "last_used_at": None,
    "created_at": "2026-01-02T10:00:00Z",
    "revoked_at": None,
}
SHOWN_ONCE = (
    "Send it as `Authorization: Bearer ...`; it is stored as a hash and never shown again: null where an "
    "`Idempotency-Key` gives an earlier answer again"
)
SECRET = {"api_key": "wgk_2qDgJh0yV8nX..."}


class ClientIn(BaseModel):
    """A new client."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "infinity",
                    "senders": ["+447700900001"],
                    "daily_limit": 1000,
                    "balance": "100.00",
                    "price": "0.05",
                    "currency": "EUR",
                    "timezone": "Europe/London",
                }
            ]
        },
    )

    name: Name
    senders: list[Number] = Field(default=[], max_length=MOST_SENDERS, description="Numbers that become its own")
    daily_limit: DailyLimit | None = Field(default=None, description="Messages a day; null: any number")
    messages_per_minute: PerMinute | None = Field(default=None, description="null: `limits.messages_per_minute`")
    balance: Amount = Field(default=Decimal(0), description="At most six decimals")
    price: Price = Field(default=Decimal(0), description="Of one message that was sent; at most six decimals")
    currency: Currency = "USD"
    timezone: Zone = "UTC"


class ClientChangeIn(BaseModel):
    """What changes of a client; what is left out stays. Its balance changes by `/credit` only."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"daily_limit": 2000, "price": "0.04"}]})

    name: Name | None = None
    senders: list[Number] | None = Field(
        default=None, max_length=MOST_SENDERS, description="All that are to be its own"
    )
    daily_limit: DailyLimit | None = Field(default=None, description="null: any number")
    messages_per_minute: PerMinute | None = Field(default=None, description="null: `limits.messages_per_minute`")
    price: Price | None = Field(default=None, description="Of campaigns that are submitted from now on")
    timezone: Zone | None = None
    disabled: StrictBool | None = Field(default=None, description="Its keys open nothing; what is queued goes on")


class ClientOut(BaseModel):
    """A client, without its keys."""

    model_config = ConfigDict(json_schema_extra={"examples": [CLIENT]})

    id: str
    name: str
    account: str = Field(description="Whose data and senders its keys open")
    senders: list[str] = Field(description="Its numbers")
    daily_limit: int | None
    sent_today: int = Field(description="What has left since midnight in its time zone, or may have")
    timezone: str
    messages_per_minute: int | None
    effective_messages_per_minute: int = Field(description="Its own, or the general number")
    balance: str = Field(description="In `currency`; charged when a message was sent")
    price: str
    currency: str
    disabled: bool
    created_at: datetime


class ClientCreated(ClientOut):
    """A client with its first key, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [CLIENT | SECRET]})

    api_key: str | None = Field(description=SHOWN_ONCE)


class CreditIn(BaseModel):
    """What is added to a balance; a negative amount is taken from it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount": "50.00"}]})

    amount: Annotated[Amount, AfterValidator(_not_nothing)]


class CreditOut(BaseModel):
    """A balance after something was added to it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount": "50.00", "balance": "150.00", "currency": "EUR"}]}
    )

    amount: str
    balance: str
    currency: str


class KeyIn(BaseModel):
    """A new key."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "shop", "scopes": ["read", "send"]}]}
    )

    name: KeyName = ""
    scopes: Scopes = Field(default=sorted(ALL_SCOPES))
    expires_at: Moment | None = Field(default=None, description="null: never")


class KeyOut(BaseModel):
    """A key as it is listed."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY]})

    id: str
    name: str
    prefix: str = Field(description="Its first characters, to recognise it by")
    scopes: list[ApiScope]
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Within a minute")
    created_at: datetime
    revoked_at: datetime | None


class KeyCreated(KeyOut):
    """A new key, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY | SECRET]})

    api_key: str | None = Field(description=SHOWN_ONCE)

"""What the webhook routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from gateway.guarded import MAX_URL
from gateway.notifications.webhooks.kinds import EventFamily, EventKind
from gateway.notifications.webhooks.models import DeliveryState, EndpointState

_URL = "https://your-app.com/webhooks/whatsapp"
_ENDPOINT: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a1",
    "url": _URL,
    "events": ["message.sent", "message.failed"],
    "description": "The shop",
    "all_accounts": False,
    "state": "active",
    "enabled": True,
    "reason": None,
    "failures": 0,
    "failing_since": None,
    "last_success_at": "2026-11-21T09:00:00Z",
    "old_secret_until": None,
    "created_at": "2026-11-21T08:00:00Z",
    "updated_at": "2026-11-21T08:00:00Z",
}
_SECRETS = {"secret": "your-webhook-secret", "signing_secret": "whsec_eW91ci13ZWJob29rLXNlY3JldA=="}
_DELIVERY: dict[str, Any] = {
    "id": "01a1fb76-b031-7b43-9d8e-a57d616216a2",
    "event": "message.sent",
    "timestamp": "2026-11-21T09:00:00Z",
    "sequence": 4711,
    "data": {"message_id": "true_447700900001@c.us_AAA", "sent_at": "2026-11-21T09:00:00Z"},
    "state": "delivered",
    "attempts": 1,
    "status": 200,
    "response": "OK",
    "error": None,
    "duration_seconds": 0.12,
    "created_at": "2026-11-21T09:00:00Z",
    "last_attempt_at": "2026-11-21T09:00:00Z",
    "next_attempt_at": None,
    "ended_at": "2026-11-21T09:00:00Z",
}


_FAMILIES = ", ".join(EventFamily)


def _refuse_unprintable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("there are invisible characters in it")
    return text


def _tell_once(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """One error where neither a kind nor a family is named, instead of one for each."""
    try:
        return read(value)
    except ValidationError:
        raise ValueError(
            f"is no event: use {EventKind.ANY}, a kind of docs/webhooks.md, or one of {_FAMILIES}"
        ) from None


def _once_each(events: list[EventKind | EventFamily]) -> list[EventKind]:
    kinds = [kind for one in events for kind in (one.kinds if isinstance(one, EventFamily) else [one])]
    return [EventKind.ANY] if EventKind.ANY in kinds else list(dict.fromkeys(kinds))


UrlText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
AnEvent = Annotated[EventKind | EventFamily, WrapValidator(_tell_once)]
Events = Annotated[list[AnEvent], Field(min_length=1, max_length=100), AfterValidator(_once_each)]
Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(_refuse_unprintable)]
SecretText = Annotated[str, StringConstraints(min_length=16, max_length=255), AfterValidator(_refuse_unprintable)]


class WebhookDetails(BaseModel):
    """An address, and what it is told: all that can be said of it again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": _URL, "events": ["message.sent", "message.failed"]}]},
    )

    url: UrlText = Field(description="Where events are sent by POST: http or https, to the public internet")
    events: Events = Field(description="Which events; `*` for all, `message.*` for those of messages")
    description: Description = Field(default="", description="For people")


class WebhookIn(WebhookDetails):
    """A new webhook."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": _URL, "events": ["message.sent", "message.failed"], "secret": _SECRETS["secret"]}]
        }
    )

    secret: SecretText | None = Field(default=None, description="What it is signed with; made if it is missing")
    all_accounts: StrictBool = Field(default=False, description="Events of every account; for the operator only")


class WebhookReplace(WebhookDetails):
    """All that can be changed of a webhook."""

    enabled: StrictBool = Field(default=True, description="Whether it is told anything")


class WebhookPatch(BaseModel):
    """What is to be changed of a webhook; the rest stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    url: UrlText | None = Field(default=None, description="As in creating one")
    events: Events | None = Field(default=None, description="As in creating one")
    description: Description | None = Field(default=None, description="As in creating one")
    enabled: StrictBool | None = Field(default=None, description="Whether it is told anything")

    @model_validator(mode="after")
    def _refuse_nothing(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say what is to be changed")
        return self


class NewSecret(BaseModel):
    """The secret that is to count from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"secret": "your-next-webhook-secret"}]})

    secret: SecretText | None = Field(default=None, description="Made if it is missing")


class WebhookOut(BaseModel):
    """A webhook; its secret is not told again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    id: UUID
    url: str
    events: list[EventKind]
    description: str
    all_accounts: bool = Field(description="Whether it is told the events of every account")
    state: EndpointState = Field(description="`disabled` is one that we have switched off")
    enabled: bool = Field(description="Whether it is told anything")
    reason: str | None = Field(description="Why it is disabled")
    failures: int = Field(description="Attempts that failed since the last success")
    failing_since: datetime | None
    last_success_at: datetime | None
    old_secret_until: datetime | None = Field(description="Until then the secret before this one counts too")
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookOut):
    """A webhook and its secret, which is shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT | _SECRETS]})

    secret: str = Field(description="The key of `X-Webhook-Signature`, as it is written")
    signing_secret: str = Field(description="The same for libraries of Standard Webhooks")


class DeliveryOut(BaseModel):
    """One event at one webhook, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: UUID = Field(description="The event's id, which is the `webhook-id` of the request")
    event: EventKind
    timestamp: datetime = Field(description="When it happened")
    sequence: int | None = Field(description="Its place among all events; none for a test")
    data: dict[str, Any] = Field(description="What is told of it")
    state: DeliveryState = Field(description="`retrying` has failed and will be tried again")
    attempts: int
    status: int | None = Field(description="The HTTP status of the last answer")
    response: str = Field(description="How the last answer begins")
    error: str | None = Field(description="Why the last attempt failed")
    duration_seconds: float | None = Field(description="How long the last attempt took")
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = Field(description="When it is sent, if it is to be sent")
    ended_at: datetime | None = Field(description="When it was delivered or given up")

"""The routes of the messaging API, each with a slash at its end, as its document has them, and without."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from campaigns.doors.messaging.account_schemas import (
    BalanceOut,
    NumberIn,
    NumberOut,
    NumbersCampaign,
    QueuedCampaign,
    StatsOut,
)
from campaigns.doors.messaging.balance import read_balance
from campaigns.doors.messaging.campaigns import Campaigns
from campaigns.doors.messaging.errors import DoorRoute
from campaigns.doors.messaging.looks import NumberLooks
from campaigns.doors.messaging.rates import Rate, Rates
from campaigns.doors.messaging.schemas import BulkIn, BulkOut, MessageStatusOut, SingleMessage, SingleSent
from campaigns.doors.messaging.service import Messages
from campaigns.doors.messaging.stats import read_stats
from gateway.auth.access import Access, Caller
from gateway.db import Database
from gateway.http.problems import CLIENT_RESPONSES
from gateway.idempotency.header import KeyHeader
from gateway.late_routes import LateRouter

PREFIX = "/api/messaging"
_POSTS = ("send-message", "send-bulk", "validate-phone", "create-campaign-send")
RAW_PATHS = tuple(f"{PREFIX}/{post}{slash}" for post in _POSTS for slash in ("/", ""))
"""Where the door looks at the JSON of a body by itself."""

Days = Annotated[int, Query(ge=1, le=365, description="How many days, with today")]
MessageId = Annotated[
    str, Path(max_length=100, description="As it was given: `custom_msg_` with the number and more digits")
]


@dataclass(frozen=True, slots=True)
class MessagingParts:
    """What the routes need."""

    db: Database
    access: Access
    rates: Rates
    messages: Messages
    campaigns: Campaigns
    looks: NumberLooks


def build_router(parts: MessagingParts) -> APIRouter:
    """The routes under `/api/messaging`."""
    messages, rates, access = parts.messages, parts.rates, parts.access
    router = LateRouter(prefix=PREFIX, tags=["messaging"], route_class=DoorRoute)
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type

    async def rate_of(request: Request, caller: Who) -> Rate:
        """How much the caller may ask for."""
        return await rates.of(caller, request.client.host if request.client else "")

    Paced = Annotated[Rate, Depends(rate_of)]  # noqa: N806 - a type

    async def send(caller: Who, rate: Paced, body: SingleMessage, idempotency_key: KeyHeader = None) -> SingleSent:
        """Queue a text for one number, through whichever of your numbers is free, or the one you name.

        409 `SESSION_NOT_CONNECTED` if the account has no number. A client gets 402 `INSUFFICIENT_BALANCE` for more than
        its balance covers, and 429 for more than its minute (`RATE_LIMIT_EXCEEDED`) or its day (`DAILY_LIMIT_REACHED`)
        allows.
        """
        return await messages.send(caller, body, rate, idempotency_key)

    async def send_bulk(caller: Who, rate: Paced, body: BulkIn, idempotency_key: KeyHeader = None) -> BulkOut:
        """Queue many messages, each with a result of its own, in their order: a wrong one does not stop the others.

        Each message counts for the caller's minute. With an `Idempotency-Key` the same request again queues only what
        was refused before.
        """
        return await messages.send_many(caller, body, rate, idempotency_key)

    async def status(caller: Who, message_id: MessageId) -> MessageStatusOut:
        """What has become of a message and, while it waits, why."""
        return await messages.status(caller, message_id)

    async def validate(caller: Who, rate: Paced, body: NumberIn) -> NumberOut:
        """What a number is: by its country's plan, and by WhatsApp, which is asked through one of your numbers.

        WhatsApp's answer is kept for 30 days. Asking for a new one counts for the caller's minute of number checks: 429
        where that is used up.
        """
        return await parts.looks.look(caller, body.phone_number, rate)

    async def balance(caller: Who) -> Response:
        """What the account may still send: its balance, and what is left of today."""
        told = await read_balance(parts.db, caller)
        amount = told["balance"]
        exact = None if amount is None else orjson.Fragment(amount)  # a number with the decimals that it is shown with
        return Response(orjson.dumps(told | {"balance": exact}), media_type="application/json")

    async def create_campaign(caller: Who, body: NumbersCampaign, idempotency_key: KeyHeader = None) -> QueuedCampaign:
        """Queue one text for many numbers, in turn through all of yours. Bad numbers are told, and the others go.

        422 if no number is a good one, and `NOT_CONFIGURED` for `use_ai_personalization`. A client gets 402
        `INSUFFICIENT_BALANCE` for more than its balance covers, and 429 `DAILY_LIMIT_REACHED` for more than it may send
        today.
        """
        return await parts.campaigns.send(caller, body, idempotency_key)

    async def stats(caller: Who, days: Days = 30) -> StatsOut:
        """What was queued in the last days, today included, and how far it came: in all, by day and by campaign."""
        return await read_stats(parts.db, caller, days)

    def add(method: str, path: str, route: Callable[..., Any], summary: str, **options: Any) -> None:
        for slash in ("/", ""):
            router.add_api_route(
                f"{path}{slash}",
                route,
                methods=[method],
                summary=summary,
                include_in_schema=slash == "/",
                **options,
            )

    add(
        "POST", "/send-message", send, "Send one message", responses=CLIENT_RESPONSES, response_model_exclude_unset=True
    )
    add("POST", "/send-bulk", send_bulk, "Send many messages", response_model_exclude_unset=True)
    add("GET", "/message/{message_id}/status", status, "What became of a message")
    add("POST", "/validate-phone", validate, "What a number is")
    add("GET", "/account/balance", balance, "What may still be sent", response_model=BalanceOut)
    add("POST", "/create-campaign-send", create_campaign, "Send a campaign", responses=CLIENT_RESPONSES)
    add("GET", "/stats", stats, "What was sent")
    return router

"""The door of the support API: its words for sending a message and for one that came in. Translation only.

Its errors have the shape of all others, and its own `error` on top.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ValidationError

from campaigns.doors.support_schemas import (
    ArrivedMessage,
    ReceivedAnswer,
    SentAnswer,
    SupportMessage,
    TimedMessage,
)
from campaigns.inbox.receiving import Posted, Receiving
from campaigns.inbox.service import InboxService
from gateway.auth.access import Access, AdminToken, BearerToken, Caller, SenderToken
from gateway.errors import FieldError, GatewayError, InvalidPayload, Unauthorized, ValidationFailed
from gateway.http.validation import field_error, malformed_json
from gateway.idempotency.header import KeyHeader
from gateway.late_routes import LateRouter
from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.schemas import MessageAnyEvent, parse_event
from sessions.news.webhook import SIGNATURE, is_signed
from sessions.schemas import in_utc

M = TypeVar("M", bound=BaseModel)

SEND, HOOK = "/api/send-message", "/api/webhook"
RAW_PATHS = (SEND, f"{SEND}/", HOOK, f"{HOOK}/")
"""Where the door reads the body by itself."""
INVALID = "Invalid payload"
MOST_ERRORS = 20


def build_router(
    service: InboxService, receiving: Receiving, access: Access, *, secret: str, trusts_anybody: bool
) -> APIRouter:
    """The routes of the support API.

    `secret` is what WAHA signs with, empty for none. `trusts_anybody`: in open mode a message may be posted without any
    credential, because only this machine reaches us; else anybody could say anything in anybody's name.
    """
    router = LateRouter(tags=["support"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type

    async def poster(
        request: Request,
        x_admin_token: AdminToken = None,
        x_sender_token: SenderToken = None,
        bearer: BearerToken = None,
    ) -> Caller | None:
        """Who posts a message: None is whoever has signed it as WAHA does."""
        headers = dict(request.scope["headers"])
        if SIGNATURE in headers:
            if not secret or not is_signed(secret.encode(), headers, await request.body()):
                raise Unauthorized("the signature in X-Webhook-Hmac is not that of waha.webhook_secret")
            return None
        caller = await access.caller(x_admin_token, x_sender_token, bearer)
        if caller.is_open and not trusts_anybody:
            raise Unauthorized("a message is taken with a credential, or signed as WAHA signs")
        return caller

    async def send(request: Request, response: Response, caller: Who, idempotency_key: KeyHeader = None) -> SentAnswer:
        """Queue a message, before everything else that its sender has queued; it is sent soon.

        400 if a field is missing or wrong. 409 `SESSION_NOT_CONNECTED` if the sender was never paired; one that is away
        for now sends it later.
        """
        with _own_errors():
            body = _read(SupportMessage, _json(await request.body()))
            sender = service.phones.digits(body.sender, "sender")
            receiver = service.phones.digits(body.receiver, "receiver")
            campaign = await service.send(caller, sender, receiver, body.content, idempotency_key)
        response.headers["Location"] = f"/api/status/{campaign['id']}"
        return SentAnswer(data=_timed(body, campaign["created_at"]))

    async def receive(
        request: Request,
        caller: Annotated[Caller | None, Depends(poster)],
        server: Annotated[
            str | None, Query(description="Of an event: the id of its WAHA server", max_length=36)
        ] = None,
    ) -> ReceivedAnswer:
        """Store a message that came in, posted in this form or as WAHA's own event; it is stored before the answer.

        It takes a credential that opens the receiver's data, or WAHA's signature; neither is needed in open mode on a
        loopback address.
        """
        with _own_errors():
            told = _json(await request.body())
            if isinstance(told, dict) and "event" in told:
                return await _hear(receiving, caller, server, told)
            body = _read(ArrivedMessage, told)
            posted = Posted(
                sender=service.phones.digits(body.sender, "sender"),
                receiver=service.phones.digits(body.receiver, "receiver"),
                content=body.content,
                wa_id=body.id,
                at=body.timestamp.timestamp() if body.timestamp else None,
            )
            return ReceivedAnswer(data=_timed(body, await receiving.take(caller, posted)))

    for slash in ("/", ""):
        shown = slash == "/"
        router.post(
            SEND + slash,
            status_code=201,
            summary="Send a message",
            openapi_extra=_body_of(SupportMessage),
            include_in_schema=shown,
        )(send)
        router.post(
            HOOK + slash,
            summary="Tell of a message that came in",
            openapi_extra=_body_of(ArrivedMessage),
            include_in_schema=shown,
        )(receive)
    return router


async def _hear(
    receiving: Receiving, caller: Caller | None, server: str | None, told: dict[str, Any]
) -> ReceivedAnswer:
    """Take WAHA's own event: `message` says of what came in the same as `message.any`."""
    if told["event"] == "message":
        told = told | {"event": "message.any"}
    try:
        event = parse_event(told)
    except WahaMalformedEvent as error:
        raise ValidationFailed(error.message, errors=[FieldError("body", error.message, "malformed_event")]) from None
    heard = await receiving.hear(caller, server, event) if isinstance(event, MessageAnyEvent) else None
    if heard is None:
        return ReceivedAnswer(data=None)
    noted, number = heard
    sender = f"+{noted.phone}" if noted.phone else noted.lid or ""
    return ReceivedAnswer(
        data=TimedMessage(sender=sender, receiver=f"+{number}", content=noted.text, timestamp=in_utc(noted.at))
    )


def _timed(body: SupportMessage, at: float) -> TimedMessage:
    return TimedMessage(sender=body.sender, receiver=body.receiver, content=body.content, timestamp=in_utc(at))


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed_json(f"{error.msg} (at character {error.pos})") from None


def _read(model: type[M], told: Any) -> M:
    """The body as a model; raises `ValidationFailed` that names what is wrong."""
    try:
        return model.model_validate(told)
    except ValidationError as error:
        found = error.errors(include_url=False)[:MOST_ERRORS]
        fields = [field_error({**one, "loc": ("body", *one["loc"])}, told) for one in found]
        raise ValidationFailed(INVALID, errors=fields) from None


@contextmanager
def _own_errors() -> Iterator[None]:
    """Tell errors in this API's words too: 400 where a field is wrong, and `error` on top of what all others have."""
    try:
        yield
    except ValidationFailed as error:
        if any(one.code == "key_reused" for one in error.errors):
            raise
        invalid = InvalidPayload(error.detail, errors=error.errors)
        invalid.extra["error"] = INVALID
        raise invalid from None
    except GatewayError as error:
        error.extra["error"] = error.detail
        raise


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    invalid = {
        "description": INVALID,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"400": invalid},
    }

"""`POST /api/webhook/waha`: where WAHA tells what happens, if it does so by webhooks.

Whoever calls proves with an HMAC over the raw body that it is one of our WAHA servers; nothing is parsed before. WAHA
repeats whatever is not answered with 2xx. So 200 means that what the event says is committed, and it is also the
answer to what no repeat could mend: an event that cannot be read, or that is about nothing of ours.
"""

import hashlib
import hmac
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import NotFound, PayloadTooLarge, ServiceUnavailable, Unauthorized
from gateway.http.problems import Problem
from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.schemas import parse_event
from sessions.news.intake import Intake
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

WEBHOOK_PATH = "/api/webhook/waha"
MAX_BYTES = 1024 * 1024
"""An event has some thousand bytes, and the largest ones a small picture."""
ALGORITHM = "sha512"
_OK = b'{"status":"ok"}'

_EVENT = {
    "id": "evt_01k9zj5t7r8e2m4q6s8v0x2z4b",
    "timestamp": 1795251602600,
    "event": "message.ack",
    "session": "447700900001",
    "payload": {"id": "true_447700900100@c.us_3EB0A1B2C3D4E5F6A7B8C9", "fromMe": True, "ack": 2, "ackName": "DEVICE"},
}
_DOCUMENTATION: dict[str, Any] = {
    "parameters": [
        {
            "name": "server",
            "in": "query",
            "description": "The id of the WAHA server, as the gateway wrote it into the session",
            "schema": {"type": "string"},
        },
        {
            "name": "X-Webhook-Hmac",
            "in": "header",
            "required": True,
            "description": "HMAC-SHA512 of the raw body with `waha.webhook_secret`, in hex",
            "schema": {"type": "string"},
        },
        {
            "name": "X-Webhook-Hmac-Algorithm",
            "in": "header",
            "description": f"If it is there, it says {ALGORITHM}",
            "schema": {"type": "string", "const": ALGORITHM},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"title": "Event", "type": "object", "examples": [_EVENT]}}},
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Taken and stored, or passed over because no repeat would help",
        "content": {
            "application/json": {
                "schema": {
                    "title": "Taken",
                    "type": "object",
                    "properties": {"status": {"const": "ok"}},
                    "examples": [{"status": "ok"}],
                }
            }
        },
    },
    413: {"model": Problem, "description": f"More than {MAX_BYTES} bytes"},
}


class RawRoute(APIRoute):
    """A route whose endpoint takes the request as it came: nothing is read or validated on the way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def build_router(intake: Intake, fleet: Fleet, secret: str, look: Callable[[str], None]) -> APIRouter:
    """The route for WAHA's webhooks; without a `secret` it is not there.

    `look` has a server looked at now, by its id.
    """
    router = APIRouter(tags=["waha"], route_class=RawRoute)
    key = secret.encode()

    @router.post(
        WEBHOOK_PATH,
        summary="What WAHA tells",
        responses=_ANSWERS,
        openapi_extra=_DOCUMENTATION,
        response_class=Response,
    )
    async def take_event(request: Request) -> Response:
        """For WAHA servers only, with `waha.events = "webhook"`. Answered once what the event says is stored.

        A repeated or late event changes nothing. What is not signed with `waha.webhook_secret` gets 401; while no
        secret is set, this is 404.
        """
        if not key:
            raise NotFound
        body = await _read(request)
        if not _is_signed(request, body, key):
            log.warning("webhook_refused", reason="not signed with our secret", length=len(body))
            raise Unauthorized
        member = fleet.member(request.query_params.get("server", ""))
        if member is None:
            log.debug("webhook_ignored", reason="not a server of ours")
            return _ok()
        try:
            event = parse_event(body)
        except WahaMalformedEvent as error:
            log.warning("waha_event_malformed", server=member.name, reason=error.message, length=len(body))
            return _ok()
        if event is None:
            log.debug("webhook_ignored", reason="not a kind of event that we take", server=member.name)
            return _ok()
        if intake.is_full:
            raise ServiceUnavailable("more comes in than the database takes; tell it again in some seconds")
        if not await intake.accept(member, event):
            look(member.id)
        return _ok()

    return router


def _ok() -> Response:
    return Response(_OK, media_type="application/json")


def _is_signed(request: Request, body: bytes, key: bytes) -> bool:
    headers = request.headers
    if headers.get("x-webhook-hmac-algorithm", ALGORITHM).lower() != ALGORITHM:
        return False
    told = headers.get("x-webhook-hmac", "").lower().encode("latin-1", "replace")
    return hmac.compare_digest(told, hmac.new(key, body, hashlib.sha512).hexdigest().encode())


async def _read(request: Request) -> bytes:
    """The raw body; raises `PayloadTooLarge` before more than that was kept."""
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length[:19]) > MAX_BYTES:
        raise _too_large(length[:19])
    chunks: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > MAX_BYTES:
            raise _too_large(f"more than {MAX_BYTES}")
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(length: str) -> PayloadTooLarge:
    log.warning("webhook_refused", reason="too large", length=length)
    return PayloadTooLarge(f"An event may have {MAX_BYTES} bytes at most.")

"""`POST /api/webhook/waha`: where WAHA tells what happens, if it does so by webhooks.

Whoever calls proves with an HMAC over the raw body that it is one of our WAHA servers; nothing is parsed before. WAHA
repeats whatever is not answered with 2xx. So 200 means that what the event says is committed, and it is also the
answer to what no repeat could mend: an event that cannot be read, or that is about nothing of ours.

It is an ASGI middleware in front of everything else: WAHA calls more often than all others together, by whatever
address it was given and through whatever proxy, and none of what guards the other routes is needed where callers sign.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import GatewayError, NotFound, PayloadTooLarge, ServiceUnavailable, Unauthorized
from gateway.http.problems import PROBLEM_RESPONSES, problem_response
from gateway.waha.errors import WahaMalformedEvent
from gateway.waha.schemas import parse_event
from sessions.news.intake import Intake
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

WEBHOOK_PATH = "/api/webhook/waha"
MAX_BYTES = 1024 * 1024
"""An event has some thousand bytes, and the largest ones a small picture."""
ALGORITHM = b"sha512"
SIGNATURE = b"x-webhook-hmac"
_OK = b'{"status":"ok"}'
_OK_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_OK)).encode())],
}
_OK_BODY = {"type": "http.response.body", "body": _OK}


class WebhookDoor:
    """ASGI middleware, the outermost one: answers WAHA's webhooks, and passes everything else on.

    Args:
        app: What gets all other requests.
        intake: Takes the events.
        fleet: Knows our servers.
        secret: The key of the HMAC; without one there is no webhook (404).
        look: Has a server looked at now, by its id.
    """

    def __init__(self, app: ASGIApp, *, intake: Intake, fleet: Fleet, secret: str, look: Callable[[str], None]) -> None:
        self.app = app
        self._intake = intake
        self._fleet = fleet
        self._key = secret.encode()
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != WEBHOOK_PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
        elif (problem := await self._answer(scope, receive)) is not None:
            await problem_response(problem, Headers(scope=scope))(scope, receive, send)
        else:
            await send(_OK_START)
            await send(_OK_BODY)

    async def _answer(self, scope: Scope, receive: Receive) -> GatewayError | None:
        """Take one event; None where there is nothing to complain of."""
        try:
            await self._take(scope, receive)
        except GatewayError as error:
            return error
        except (SQLAlchemyError, OSError) as error:
            log.warning("webhook_not_stored", error=str(error))
            return ServiceUnavailable("the database does not answer just now; tell it again in some seconds")
        return None

    async def _take(self, scope: Scope, receive: Receive) -> None:
        """Take one event.

        Raises:
            GatewayError: it is refused, or cannot be taken now.
            SQLAlchemyError, OSError: the database did not take it.
        """
        if not self._key:
            raise NotFound
        headers = dict(scope["headers"])
        body = await _read(headers, receive)
        if not is_signed(self._key, headers, body):
            log.warning("webhook_refused", reason="not signed with our secret", length=len(body))
            raise Unauthorized
        member = self._fleet.member(_server_of(scope["query_string"]))
        if member is None:
            log.debug("webhook_ignored", reason="not a server of ours")
            return
        try:
            event = parse_event(body)
        except WahaMalformedEvent as error:
            log.warning("waha_event_malformed", server=member.name, reason=error.message, length=len(body))
            return
        if event is None:
            log.debug("webhook_ignored", reason="not a kind of event that we take", server=member.name)
            return
        if self._intake.is_full:
            raise ServiceUnavailable("more comes in than the database takes; tell it again in some seconds")
        if not await self._intake.accept(member, event):
            self._look(member.id)


def is_signed(key: bytes, headers: Mapping[bytes, bytes], body: bytes) -> bool:
    """Whether a request was signed with `key` as WAHA signs: an HMAC over the raw body, in a header."""
    if headers.get(b"x-webhook-hmac-algorithm", ALGORITHM).lower() != ALGORITHM:
        return False
    told = headers.get(SIGNATURE, b"").lower()
    return hmac.compare_digest(told, hmac.new(key, body, hashlib.sha512).hexdigest().encode())


@lru_cache(maxsize=1024)
def _server_of(query: bytes) -> str:
    return parse_qs(query.decode("latin-1")).get("server", [""])[0]


async def _read(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The raw body; raises `PayloadTooLarge` before more than that was kept. Of a caller who hung up, what came."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:19]) > MAX_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        received += len(chunk)
        if received > MAX_BYTES:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large() -> PayloadTooLarge:
    log.warning("webhook_refused", reason="too large")
    return PayloadTooLarge(f"An event may have {MAX_BYTES} bytes at most.")


# --- what the API's documentation says of it ---------------------------------------------------------------------

_EVENT = {
    "id": "evt_01k9zj5t7r8e2m4q6s8v0x2z4b",
    "timestamp": 1795251602600,
    "event": "message.ack",
    "session": "447700900001",
    "payload": {"id": "true_447700900100@c.us_3EB0A1B2C3D4E5F6A7B8C9", "fromMe": True, "ack": 2, "ackName": "DEVICE"},
}
OPERATION: dict[str, Any] = {
    "tags": ["waha"],
    "summary": "What WAHA tells",
    "description": (
        'For WAHA servers only, with `waha.events = "webhook"`. Answered once what the event says is stored. A '
        "repeated or late event changes nothing. What is not signed with `waha.webhook_secret` gets 401; while no "
        "secret is set, this is 404."
    ),
    "operationId": "take_waha_event",
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
            "description": "If it is there, it says sha512",
            "schema": {"type": "string", "const": "sha512"},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"title": "Event", "type": "object", "examples": [_EVENT]}}},
    },
    "responses": {
        "200": {
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
        **{
            str(status): {"description": why, "content": PROBLEM_RESPONSES[status]["content"]}
            for status, why in ((401, "Not signed"), (404, "There is no webhook"), (503, "Tell it again"))
        },
        "413": {"description": f"More than {MAX_BYTES} bytes"},
    },
}
"""The operation as OpenAPI has it: the door is no route of the framework's, which would make one of its own."""

"""Turns what httpx, aiohttp and WAHA's statuses say into the tree of `errors.py`: the only place that does.

Two questions, two functions: why did no answer come (`translate_transport_error`), and what does this answer
refuse (`translate_answer`). Both lean to *uncertain*: an error counts as surely not sent only if it is known.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import httpcore
import httpx
import orjson

from gateway.waha.errors import (
    ContactLimited,
    EngineDisconnected,
    LookupUnavailable,
    MessageNotFound,
    RateLimited,
    RecipientNotOnWhatsApp,
    SessionAlreadyExists,
    SessionAlreadyStarted,
    SessionBusy,
    SessionNotFound,
    SessionNotWorking,
    WahaConnectionLost,
    WahaError,
    WahaInvalidRequest,
    WahaNotFound,
    WahaNotImplemented,
    WahaRejected,
    WahaServerError,
    WahaTimeout,
    WahaUnauthorized,
    WahaUnexpectedAnswer,
    WahaUnreachable,
    WhatsAppRefused,
)
from gateway.waha.json_values import as_object, as_text
from gateway.waha.redaction import redact

TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError)
"""All that a transport raises for a request that got no whole answer. (TimeoutError is an OSError.)"""

# httpx-aiohttp calls nearly everything ConnectTimeout, also a reset long after WAHA acted, so with it only the
# cause tells. The bare httpx types count where no such cause is there: httpx-aiohttp never raises them alone.
_NEVER_LEFT_CAUSES = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.UnsupportedProtocol,
)
_NEVER_LEFT = (httpx.ConnectError, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_TIMEOUTS = (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)


MAX_RETRY_AFTER_SECONDS = 86_400.0
"""Nobody is left waiting for longer because of one header."""


def translate_transport_error(exc: Exception, private: Iterable[str] = ()) -> WahaError:
    """Say what it means for a send that no whole answer came."""
    foreign = (aiohttp.ClientError, httpcore.NetworkError, httpcore.TimeoutException, OSError)
    cause = exc.__cause__ if isinstance(exc.__cause__, foreign) else exc
    if isinstance(cause, _NEVER_LEFT_CAUSES) or (cause is exc and isinstance(exc, _NEVER_LEFT)):
        return WahaUnreachable(redact(f"WAHA cannot be reached: {cause}", private))
    if isinstance(cause, _TIMEOUTS) or isinstance(exc, _TIMEOUTS):
        return WahaTimeout("WAHA gave no answer in time")
    return WahaConnectionLost(f"the connection to WAHA broke: {type(cause).__name__}")


def translate_answer(response: httpx.Response, private: Iterable[str] = ()) -> WahaError:
    """Say what an answer other than success means. `private` are strings to hide (see `redact`)."""
    status = response.status_code
    body = _decode(response.content)
    if status >= 500 and status != 501:
        return _server_error(status, body, private)
    raw = _message_of(body) or f"WAHA answered {status}"
    message = redact(raw, private)
    if status == 429:
        return RateLimited(message, status_code=status, retry_after=_seconds(response.headers.get("Retry-After")))
    if status == 404:
        return _not_found(raw.lower(), message)
    if status == 422:
        return _unprocessable(raw, message, body)
    if status == 400 and "enable noweb store" in raw.lower():
        return LookupUnavailable(message, status_code=status)
    kind = _REFUSALS.get(status, WahaUnexpectedAnswer)
    return kind(message, status_code=status)


_REFUSALS: Mapping[int, type[WahaError]] = {
    400: WahaInvalidRequest,
    401: WahaUnauthorized,
    403: WahaUnauthorized,
    405: WahaInvalidRequest,
    413: WahaInvalidRequest,
    414: WahaInvalidRequest,
    415: WahaInvalidRequest,
    431: WahaInvalidRequest,
    501: WahaNotImplemented,
}


def _decode(content: bytes) -> Mapping[str, Any]:
    """The JSON object of an error body; an empty one for HTML and the like."""
    try:
        return as_object(orjson.loads(content))
    except orjson.JSONDecodeError:
        return {}


def _message_of(body: Mapping[str, Any]) -> str | None:
    """The message line of WAHA's 4xx bodies: `message` (a text or a list of texts), else `error`."""
    message = body.get("message", body.get("error"))
    if isinstance(message, list):
        return "; ".join(line for line in message if isinstance(line, str))
    return as_text(message)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; its date form is not used by anything we talk to."""
    if not retry_after or not retry_after.isascii() or not retry_after.isdigit():
        return None
    return min(float(retry_after), MAX_RETRY_AFTER_SECONDS)


def _not_found(text: str, message: str) -> WahaRejected:
    """404: three of WAHA's own sentences, or something that is not WAHA."""
    if text.startswith("message") and "not found" in text:
        return MessageNotFound(message, status_code=404)
    if text.startswith("we didn't find a session"):  # said of a stopped session too
        return SessionNotWorking(message, status_code=404, expected=("WORKING",))
    if text.startswith("session") and "not found" in text:
        return SessionNotFound(message, status_code=404)
    return WahaNotFound(message, status_code=404)


_CODE_ONLY_WHILE_PAIRING = re.compile(
    r"can request code only in (\w+) status\. the current status is (\w+)", re.IGNORECASE
)


def _unprocessable(raw: str, message: str, body: Mapping[str, Any]) -> WahaRejected:
    """422: mostly "not in this status", in four shapes."""
    session = as_text(body.get("session"))
    expected = body.get("expected")
    if isinstance(expected, list):
        return SessionNotWorking(
            message,
            status_code=422,
            session=session,
            status=as_text(body.get("status")),
            expected=[status for status in expected if isinstance(status, str)],
        )
    if "does not exist" in raw and session is not None:  # said of a stopped session too
        return SessionNotWorking(message, status_code=422, session=session, expected=("WORKING",))
    if pairing := _CODE_ONLY_WHILE_PAIRING.search(raw):
        return SessionNotWorking(message, status_code=422, status=pairing[2], expected=(pairing[1],))
    if "already exists" in raw:
        return SessionAlreadyExists(message, status_code=422)
    if "already started" in raw:
        return SessionAlreadyStarted(message, status_code=422)
    return WahaInvalidRequest(message, status_code=422)


_GRPC = r"(?:\d+ [A-Z_]+: )?"
_WRAPPED = _GRPC + r"(?:[\w ]+: )*"
# WhatsApp's 4xx are refusals; its 5xx are failures of its own, after which the message may be out.
_REFUSED_WITH_CODE = re.compile(_GRPC + r"server returned error (4\d\d)")
_SENTENCES: tuple[tuple[re.Pattern[str], type[WahaError]], ...] = (
    (re.compile(_GRPC + r"no LID found for \S+(?: from server)?"), RecipientNotOnWhatsApp),
    (re.compile(_WRAPPED + r"rate-overlimit"), RateLimited),
    (re.compile(_WRAPPED + r"the store doesn't contain a device JID"), EngineDisconnected),
    (re.compile(r"Connection Closed"), EngineDisconnected),
    (re.compile(r"(?:async-lock timed out|Maximum execution time is exceeded).*"), SessionBusy),
)


def _server_error(status: int, body: Mapping[str, Any], private: Iterable[str]) -> WahaError:
    """5xx: uncertain, but for the few sentences of engines that are known to precede the write or to refuse.

    The whole sentence must match: a sentence that merely contains one may be an echo of somebody's message.
    Not among them is "websocket not connected": GOWS says it before a write, and also when the connection
    broke after a write and the write could not be repeated.
    """
    raw = as_text(as_object(body.get("exception")).get("message"))
    if status != 500 or raw is None:
        return WahaServerError(f"WAHA answered {status}", status_code=status)
    raw = raw.strip()
    message = redact(raw, private) or "WAHA gave no reason"
    if refused := _REFUSED_WITH_CODE.fullmatch(raw):
        return _refused_by_whatsapp(int(refused[1]), message)
    kinds = (kind for sentence, kind in _SENTENCES if sentence.fullmatch(raw))
    return next(kinds, WahaServerError)(message, status_code=500)


def _refused_by_whatsapp(code: int, message: str) -> WahaRejected:
    """WhatsApp's server answered the message itself with an error: a known refusal."""
    if code == 463:
        return ContactLimited(message, status_code=500, code=code)
    if code == 429:
        return RateLimited(message, status_code=500)
    return WhatsAppRefused(message, status_code=500, code=code)

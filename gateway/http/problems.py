"""The one shape in which every error leaves the gateway, and the handlers that bring every error into it.

    {"detail": "...", "status_code": 422, "error_code": "VALIDATION_ERROR",
     "errors": [{"field": "recipients.3.phone", "message": "...", "code": "..."}]}

A caller whose `Accept` names `application/problem+json` gets the same object with `type`, `title` and `status`
added: a problem of RFC 9457.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from gateway.db import DatabaseAway
from gateway.errors import FieldError, GatewayError, ServiceUnavailable
from gateway.http.methods import methods_of
from gateway.http.validation import malformed_body, validation_failed

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"
DATABASE_RETRY_SECONDS = "2"

ERROR_CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    402: "INSUFFICIENT_BALANCE",
    403: "FORBIDDEN",
    404: "RESOURCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    502: "WHATSAPP_API_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
INTERNAL_DETAIL = "Something went wrong inside the gateway. It has been logged."


class FieldProblem(BaseModel):
    """One wrong field: its dotted path, a sentence for people, and a word for programs."""

    field: str = Field(examples=["recipients.3.phone"])
    message: str = Field(examples=["Field required"])
    code: str = Field(examples=["missing"])


class Problem(BaseModel):
    """Every error of this API. Sent as `application/problem+json` (RFC 9457) to those who ask for that type."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "detail": "recipients.3.phone: Field required",
                "status_code": 422,
                "error_code": "VALIDATION_ERROR",
                "errors": [{"field": "recipients.3.phone", "message": "Field required", "code": "missing"}],
            }
        }
    )

    detail: str = Field(description="What went wrong, as a sentence")
    status_code: int = Field(description="The HTTP status, repeated")
    error_code: str = Field(description="A stable word for programs", examples=["VALIDATION_ERROR"])
    errors: list[FieldProblem] = Field(description="The wrong fields of the request, when there are any")


def _problem_response(status: int, detail: str, error_code: str | None = None) -> dict[str, Any]:
    example = {"detail": detail, "status_code": status, "error_code": error_code or ERROR_CODES[status], "errors": []}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": HTTPStatus(status).phrase, "content": content}


PROBLEM_RESPONSES: dict[int, dict[str, Any]] = {
    401: _problem_response(401, "A valid credential is required."),
    403: _problem_response(403, "This is not allowed."),
    404: _problem_response(404, "There is no such thing, or it is not yours."),
    409: _problem_response(409, "The sender's WhatsApp session is not connected.", "SESSION_NOT_CONNECTED"),
    429: _problem_response(429, "Too many requests; try again in 12 seconds."),
    503: _problem_response(503, "A needed part is not reachable just now; try again."),
}
"""What every route may answer, by status, as the OpenAPI document tells it."""

CLIENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    402: _problem_response(402, "the balance is 0.05 EUR, and 0.10 EUR are needed; nothing was queued"),
    429: _problem_response(429, "at most 1000 messages a day (Europe/London)", "DAILY_LIMIT_REACHED"),
}
"""What a client may be answered where something is queued."""


def problem_response(error: GatewayError, request_headers: Headers) -> Response:
    """Render an error of ours for a caller with these request headers.

    An error may carry `retry_after` (seconds), sent as `Retry-After`, and `headers` of its own. The text of a plain
    500 stays inside.
    """
    headers = dict(getattr(error, "headers", None) or {})
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if error.status_code == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    detail = INTERNAL_DETAIL if error.status_code == 500 else error.detail
    body = _body(error.status_code, detail, error.error_code, error.errors)
    return _render(error.extra | body, request_headers, headers)


def _body(status: int, detail: str, error_code: str, errors: list[FieldError]) -> dict[str, Any]:
    fields = [{"field": _clean(e.field), "message": _clean(e.message), "code": _clean(e.code)} for e in errors]
    return {"detail": _clean(detail), "status_code": status, "error_code": error_code, "errors": fields}


def _clean(text: str) -> str:
    """The text without lone surrogates: they cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _render(body: dict[str, Any], request_headers: Headers, headers: dict[str, str]) -> Response:
    media_type = "application/json"
    if _asks_for_problem_json(request_headers):
        media_type = PROBLEM_JSON
        status = body["status_code"]
        body = {"type": "about:blank", "title": _phrase(status), "status": status, **body}
    return Response(orjson.dumps(body), body["status_code"], headers, media_type)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _asks_for_problem_json(headers: Headers) -> bool:
    for entry in ",".join(headers.getlist("accept")).lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        if media_type == PROBLEM_JSON:
            return not any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters)
    return False


class _WebSocketEnd(Response):
    """Ends an accepted WebSocket, for which it is too late to send an HTTP answer."""

    def __init__(self, status: int, reason: str, *, open_still: bool) -> None:
        super().__init__(status_code=status)
        self.close: Message = {"type": "websocket.close", "code": 1008 if status < 500 else 1011, "reason": reason}
        self.open_still = open_still

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.open_still:
            await send(self.close)


def _fit(response: Response, connection: HTTPConnection, reason: str) -> Response:
    """The response as it is for HTTP and for a handshake; for an accepted WebSocket its close."""
    if not isinstance(connection, WebSocket) or connection.application_state == WebSocketState.CONNECTING:
        return response
    open_still = connection.application_state == WebSocketState.CONNECTED
    return _WebSocketEnd(response.status_code, reason, open_still=open_still)


async def _on_gateway_error(connection: HTTPConnection, exc: Exception) -> Response:
    assert isinstance(exc, GatewayError)
    if exc.status_code == 500:
        log.exception("unexpected_error", path=connection.url.path, exc_info=exc)
    elif exc.status_code > 500:
        log.warning("request_failed", path=connection.url.path, error_code=exc.error_code, detail=exc.detail)
    return _fit(problem_response(exc, connection.headers), connection, exc.error_code)


async def _on_database_away(connection: HTTPConnection, exc: Exception) -> Response:
    log.warning("database_away", path=connection.url.path, error=str(exc))
    error = ServiceUnavailable("The database does not answer just now; try again, with the same Idempotency-Key.")
    response = problem_response(error, connection.headers)
    response.headers["Retry-After"] = DATABASE_RETRY_SECONDS
    return _fit(response, connection, error.error_code)


async def _on_validation_error(connection: HTTPConnection, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError | WebSocketRequestValidationError)
    error = validation_failed(exc)
    return _fit(problem_response(error, connection.headers), connection, error.error_code)


async def _on_http_exception(connection: HTTPConnection, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    status = exc.status_code
    if status in (204, 304):
        return Response(status_code=status, headers=exc.headers)
    if (malformed := malformed_body(exc)) is not None:
        return problem_response(malformed, connection.headers)
    detail = exc.detail if isinstance(exc.detail, str) else _phrase(status)
    code = ERROR_CODES.get(status) or ("INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
    headers = dict(exc.headers or {})
    if status in (404, 405) and isinstance(connection, Request) and (allowed := _allowed(connection)):
        status, detail, code = 405, _phrase(405), ERROR_CODES[405]
        headers["Allow"] = ", ".join(allowed)
    if status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    body = _body(status, detail, code, [])
    return _fit(_render(body, connection.headers, headers), connection, code)


def _allowed(request: Request) -> list[str]:
    """The methods that the path of a request takes; none where this one is among them, or the path is not there."""
    app = request.app
    allowed = methods_of(app.routes, getattr(app.state, "answered_elsewhere", {}), request.url.path)
    return [] if request.method in allowed else allowed


async def _on_unexpected_error(request: Request, exc: Exception) -> Response:
    log.exception("unexpected_error", method=request.method, path=request.url.path, exc_info=exc)
    return problem_response(GatewayError(), request.headers)


class UnexpectedErrors:
    """ASGI middleware: an exception that nobody handles becomes a logged 500 without internals.

    Starlette's own place for this is outside every other middleware, so its answer would miss their headers, and it
    raises the exception again for the server to log a second time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as exc:
            if started:
                raise  # half an answer is out: only cutting the connection can tell the caller
            response = await _on_unexpected_error(Request(scope), exc)
            await response(scope, receive, send)


def install_error_handlers(app: FastAPI) -> None:
    """Render every error of this app in the one shape. Call it before any other middleware is added."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(DatabaseAway, _on_database_away)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(WebSocketRequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected_error)  # for a fault in a middleware of ours
    app.add_middleware(UnexpectedErrors)

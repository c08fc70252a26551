"""Reading requests and writing answers as WAHA does, among them no answer at all."""

from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.simulator.connections import Connections, cut
from gateway.simulator.errors import (
    ConnectionCut,
    CutConnection,
    EngineFault,
    JsonObject,
    WahaError,
    malformed_json,
)
from gateway.simulator.sending import Attempt
from gateway.simulator.server import WahaServer

BODY = "waha.body"
BOOT = "waha.boot"
BODY_LIMIT_BYTES = 50 * 1024 * 1024


class Json(Response):
    """A JSON answer."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        """Serialize with orjson."""
        return orjson.dumps(content)


class NoAnswer(Response):
    """Drops the connection instead of answering.

    On a real server the TCP connection is aborted; on an ASGI transport, where there is none, ConnectionCut
    is raised into the client.
    """

    def __init__(self, server: WahaServer) -> None:
        super().__init__()
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Drop the connection, and wait until the server has seen it go."""
        await drop_connection(self._server, scope, receive)


class SendAnswer(Response):
    """Another response that, when it goes out, is written into the ledger as the answer to a send."""

    def __init__(self, response: Response, attempt: Attempt, server: WahaServer) -> None:
        super().__init__()
        self._response = response
        self._attempt = attempt
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; the time is taken just before, so no client can have had it earlier."""
        transmission = self._attempt.transmission
        if transmission is not None and still_there(self._server, scope):
            transmission.answered_at = self._server.clock.now()
            transmission.answer_status = self._response.status_code
        await self._response(scope, receive, send)


def still_there(server: WahaServer, scope: Scope) -> bool:
    """Whether an answer would be heard: the process that took the request lives, and so does its client."""
    return not server.dead and scope.get(BOOT) == server.boot and server.connections.listening(scope)


async def drop_connection(server: WahaServer, scope: Scope, receive: Receive) -> None:
    """Abort the connection of a request, or raise ConnectionCut where there is none."""
    connections: Connections = server.connections
    transport = connections.find(scope)
    if transport is None and connections.listening(scope):
        raise ConnectionCut("the simulated server dropped the connection")
    if transport is not None:
        cut(transport, reset=server.sender.faults.reset)
    while (await receive())["type"] != "http.disconnect":
        pass


def waha(request: Request) -> WahaServer:
    """The simulated server behind a request."""
    server: WahaServer = request.app.state.waha
    return server


async def read_json(request: Request) -> JsonObject:
    """The body as an object; empty when it is none or not declared as JSON. 400 when it is not JSON."""
    raw = await request.body()
    if len(raw) > BODY_LIMIT_BYTES:
        raise WahaError(413, {"statusCode": 413, "message": "request entity too large"})
    if not raw or "json" not in request.headers.get("content-type", ""):
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed_json(str(error)) from error
    if not isinstance(body, dict):
        return {}
    request.scope[BODY] = body
    return body


def error_answer(request: Request, error: Exception) -> Response:
    """The response to a refusal; NoAnswer for a cut connection."""
    if isinstance(error, WahaError):
        return Json(error.body, status_code=error.status)
    if isinstance(error, CutConnection):
        return NoAnswer(waha(request))
    if isinstance(error, EngineFault):
        return Json(_fault_body(request, error), status_code=500)
    raise error


def _fault_body(request: Request, fault: EngineFault) -> JsonObject:
    """WAHA's 500: it repeats the whole request, texts and files included."""
    exception = {
        "message": fault.message,
        "name": fault.name,
        **fault.fields,
        "stack": f"{fault.name}: {fault.message}\n    at process.processTicksAndRejections (node:internal)",
    }
    return {
        "statusCode": 500,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "exception": exception,
        "request": {
            "path": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "method": request.method,
            "body": request.scope.get(BODY, {}),
            "query": dict(request.query_params),
        },
        "version": waha(request).environment(),
    }

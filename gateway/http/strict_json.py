"""JSON as RFC 8259 means it: Python's own parser takes more, and what it takes too much of breaks things later.

`NaN`, `Infinity` and `1e999` pass comparisons that they should fail; half a surrogate pair can be neither stored nor
sent; UTF-16 would hide any of them. They are refused here, for every route at once.
"""

from collections.abc import Collection

import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problems import problem_response
from gateway.http.validation import malformed_json


class StrictJson:
    """ASGI middleware: answers 422 to a JSON body that is not strict JSON in UTF-8.

    It keeps the body in memory, as FastAPI does after it, so `BodyLimit` belongs outside it.

    Args:
        app: What gets the requests with good bodies.
        raw_paths: Paths that want the bytes as they came, such as a webhook that checks a signature over them.
    """

    def __init__(self, app: ASGIApp, *, raw_paths: Collection[str] = ()) -> None:
        self.app = app
        self._raw_paths = frozenset(raw_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._raw_paths:
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return await self.app(scope, receive, send)
        body = await _read(receive)
        if body:
            try:
                orjson.loads(body)
            except orjson.JSONDecodeError as exc:
                reason = f"{exc.msg} (at character {exc.pos})"
                return await problem_response(malformed_json(reason), headers)(scope, receive, send)
        return await self.app(scope, _replay(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if the caller hung up before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes | None, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.disconnect"}]
    if body is not None:
        first = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed_receive() -> Message:
        return first.pop() if first else await receive()

    return replayed_receive

"""A request's body may have so many bytes and no more, whether its length is announced or it comes in chunks."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import PayloadTooLarge
from gateway.http.problems import problem_response

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Bytes: 100,000 recipients with some variables each take 10 to 30 million."""


class BodyTooLarge(HTTPException):
    """More came than may come. An HTTPException, because FastAPI lets only those through while it reads a body."""


class BodyLimit:
    """ASGI middleware: answers 413 to a body of more than `max_bytes`, before more than that was kept in memory."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = DEFAULT_LIMIT) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        too_large = PayloadTooLarge(f"The request's body may have {self.max_bytes} bytes at most.")
        if _announced_length(headers) > self.max_bytes:
            return await problem_response(too_large, headers)(scope, receive, send)
        received = 0
        started = False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise BodyTooLarge(413, too_large.detail)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted_receive, watched_send)
        except BodyTooLarge:
            if started:
                raise
            await problem_response(too_large, headers)(scope, receive, send)


def _announced_length(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length[:19]) if length.isascii() and length.isdigit() else 0

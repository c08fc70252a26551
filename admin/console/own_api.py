"""The console as a client of our own API, in this process: what a page shows and does goes through the same routes,
rights, checks and words as for every other client, and nothing is decided a second time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
from starlette.types import ASGIApp, Message

from admin.console.door import Visitor

ADDRESS = "http://127.0.0.1"
"""What our own requests name as their host; nothing is sent there."""
CHUNKS_AHEAD = 4

Query = Mapping[str, Any]


class Refused(Exception):
    """The API refused: `status` and `code` for programs, `detail` for people, `errors` by the name of the field."""

    def __init__(self, status: int, code: str, detail: str, errors: Mapping[str, str]) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = dict(errors)
        super().__init__(detail)


@dataclass(slots=True)
class Download:
    """What the API sends piece by piece; `chunks` end with it."""

    status: int
    headers: dict[str, str]
    chunks: AsyncIterator[bytes]


@dataclass(slots=True)
class OwnApi:
    """Calls the API for a visitor. `app` is the whole of it, with every layer that a request passes."""

    app: ASGIApp
    _client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url=ADDRESS)

    async def get(self, visitor: Visitor, path: str, query: Query | None = None) -> Any:
        """The JSON that a route gives.

        Raises:
            Refused: it does not.
        """
        return await self.call(visitor, "GET", path, query=query)

    async def call(
        self,
        visitor: Visitor,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON that a route answers, None where it answers nothing.

        Raises:
            Refused: it was not done.
        """
        content = None if body is None else orjson.dumps(body)
        sent = {**visitor.credential, **(headers or {})}
        if content is not None:
            sent["Content-Type"] = "application/json"
        params = httpx.QueryParams(urlencode(_plain(query)))
        answer = await self._client.request(method, path, params=params, content=content, headers=sent)
        return _result(answer)

    async def upload(
        self,
        visitor: Visitor,
        path: str,
        files: Sequence[tuple[str, tuple[str, bytes, str]]],
        fields: Query,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON that a route answers to a form with files.

        Raises:
            Refused: it was not done.
        """
        data = {name: str(value) for name, value in fields.items() if value is not None}
        sent = {**visitor.credential, **(headers or {})}
        answer = await self._client.post(path, files=list(files), data=data, headers=sent)
        return _result(answer)

    @asynccontextmanager
    async def download(self, visitor: Visitor, path: str, query: Query | None = None) -> AsyncIterator[Download]:
        """What a route sends piece by piece, such as an export; in memory there are a few pieces at a time.

        Raises:
            Refused: it sends nothing.
        """
        messages: asyncio.Queue[Message] = asyncio.Queue(CHUNKS_AHEAD)
        scope = _scope_of(path, query, visitor.credential)

        async def run() -> None:
            await self.app(scope, _nothing_more(), messages.put)

        task = asyncio.create_task(run(), name="download for the console")
        try:
            start = await _next_of(messages, task)
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
            chunks = _chunks(messages, task)
            if start["status"] >= 400:
                content = b"".join([chunk async for chunk in chunks])
                raise _refusal(start["status"], content)
            yield Download(start["status"], headers, chunks)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _plain(query: Query | None) -> list[tuple[str, str]]:
    """A query without what was not given; a list becomes one parameter for each of its values."""
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _word(one)) for one in values if one not in (None, "")]
    return pairs


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _result(answer: httpx.Response) -> Any:
    if answer.is_success:
        return orjson.loads(answer.content) if answer.content else None
    raise _refusal(answer.status_code, answer.content)


def _refusal(status: int, content: bytes) -> Refused:
    problem = orjson.loads(content)
    errors = {one["field"]: one["message"] for one in problem.get("errors", [])}
    return Refused(status, problem["error_code"], problem["detail"], errors)


def _scope_of(path: str, query: Query | None, credential: Mapping[str, str]) -> dict[str, Any]:
    headers = {"host": "127.0.0.1", **{name.lower(): value for name, value in credential.items()}}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(_plain(query)).encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }


def _nothing_more() -> Any:
    """A request without a body whose caller stays."""
    told = False

    async def receive() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return receive


async def _next_of(messages: "asyncio.Queue[Message]", task: "asyncio.Task[None]") -> Message:
    """The next message of an app; raises what the app ended with."""
    getting = asyncio.ensure_future(messages.get())
    await asyncio.wait({getting, task}, return_when=asyncio.FIRST_COMPLETED)
    if not getting.done() and messages.empty():
        getting.cancel()
        task.result()
        raise Refused(500, "INTERNAL_ERROR", "the answer broke off", {})
    return await getting


async def _chunks(messages: "asyncio.Queue[Message]", task: "asyncio.Task[None]") -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await _next_of(messages, task)
        more = message.get("more_body", False)
        yield message.get("body", b"")

"""Files that the API streams, passed on piece by piece to whoever looks at the console."""

from contextlib import AsyncExitStack

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from admin.console.door import Visitor
from admin.console.own_api import Download, OwnApi, Query
from admin.console.pages import NO_STORE

PASSED_ON = ("content-type", "content-disposition")


class DownloadResponse(StreamingResponse):
    """An answer that ends the API's stream however it ends itself."""

    def __init__(self, stack: AsyncExitStack, download: Download) -> None:
        headers = {name: download.headers[name] for name in PASSED_ON if name in download.headers}
        super().__init__(download.chunks, headers=headers | NO_STORE)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        async with self._stack:
            await super().__call__(scope, receive, send)


async def pass_on(api: OwnApi, visitor: Visitor, path: str, query: Query | None = None) -> Response:
    """What a route streams, as it comes.

    Raises:
        Refused: it sends nothing.
    """
    async with AsyncExitStack() as stack:
        download = await stack.enter_async_context(api.download(visitor, path, query))
        return DownloadResponse(stack.pop_all(), download)

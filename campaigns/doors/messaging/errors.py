"""This API's errors: the shape of all others, with its own `success` and `error` on top, wherever they come from."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import GatewayError
from gateway.http.validation import malformed_json, validation_failed
from gateway.late_routes import LateRoute


class DoorRoute(LateRoute):
    """A route whose errors say `success: false` too: also those of its credentials and of its body.

    It looks at the JSON of a body by itself, strictly, so the paths of its POSTs belong to those that want raw bytes.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request, as FastAPI asks for it."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            failed: GatewayError
            try:
                await _refuse_loose_json(request)
                return await handle(request)
            except RequestValidationError as error:
                failed = validation_failed(error)
            except GatewayError as error:
                failed = error
            if failed.status_code != 500:  # whose text stays inside
                failed.extra |= {"success": False, "error": failed.detail}
            raise failed

        return told


async def _refuse_loose_json(request: Request) -> None:
    """Raises `ValidationFailed` for a body that Python would take for JSON and that is none, such as NaN."""
    body = await request.body()
    if body:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise malformed_json(f"{error.msg} (at character {error.pos})") from None

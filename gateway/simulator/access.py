"""The door: dead servers drop connections, keys are checked, and a restart answers nobody."""

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.simulator.errors import forbidden, unauthorized
from gateway.simulator.http import BOOT, Json, drop_connection
from gateway.simulator.keys import ApiKey
from gateway.simulator.server import WahaServer

KEY = "waha.key"
OPEN_PATHS = ("/sim/", "/ping")


class Door:
    """ASGI middleware in front of every HTTP route but `/sim/`."""

    def __init__(self, app: ASGIApp, server: WahaServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, refuse it, or drop its connection."""
        if scope["type"] != "http" or scope["path"].startswith("/sim/"):
            await self._app(scope, receive, send)
            return
        server = self._server
        scope[BOOT] = boot = server.boot
        if server.dead:
            await drop_connection(server, scope, receive)
            return
        key = find_key(server, scope)
        if key is None and not scope["path"].startswith(OPEN_PATHS):
            refusal = unauthorized()
            await Json(refusal.body, status_code=refusal.status)(scope, receive, send)
            return
        scope[KEY] = key
        dropped = False

        async def send_if_alive(message: Message) -> None:
            nonlocal dropped
            if message["type"] == "http.response.start" and (server.dead or server.boot != boot):
                dropped = True
                await drop_connection(server, scope, receive)
            if not dropped:
                await send(message)

        await self._app(scope, receive, send_if_alive)


def find_key(server: WahaServer, scope: Scope) -> ApiKey | None:
    """The API key of a request, by header or query; None when it is missing or wrong."""
    given = Headers(scope=scope).get("x-api-key")
    if given is None:
        given = QueryParams(scope.get("query_string", b"")).get("x-api-key", "")
    return server.keys.find(given)


def check_session_access(request: Request, session: object) -> None:
    """403 when the request's key is bound to another session."""
    key: ApiKey = request.scope[KEY]
    if isinstance(session, str) and not key.reaches(session):
        raise forbidden()


def check_admin(request: Request) -> None:
    """403 when the request's key is not an admin's."""
    key: ApiKey = request.scope[KEY]
    if not key.admin:
        raise forbidden()


def session_of(request: Request) -> str:
    """The session in the path; 403 when the request's key is bound to another one."""
    session: str = request.path_params["session"]
    check_session_access(request, session)
    return session


def visible(request: Request) -> str | None:
    """The only session that the request's key may see, None for all."""
    key: ApiKey = request.scope[KEY]
    return None if key.admin else key.session

"""The ASGI application of one simulated WAHA server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from gateway.simulator import (
    control,
    control_sending,
    control_sessions,
    routes_auth,
    routes_chats,
    routes_contacts,
    routes_sending,
    routes_server,
    routes_sessions,
)
from gateway.simulator.access import Door
from gateway.simulator.clock import SimClock
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.errors import CutConnection, EngineFault, WahaError, not_found
from gateway.simulator.http import Json, error_answer
from gateway.simulator.server import WahaServer
from gateway.simulator.sockets import stream
from gateway.simulator.stored import SessionStore


def create_app(
    config: SimulatorConfig | None = None, clock: SimClock | None = None, store: SessionStore | None = None
) -> Starlette:
    """A simulated server as an ASGI app; `app.state.waha` is the server, which `aclose` ends.

    `clock` replaces the simulator's own (tests whose time is virtual). Servers with one `store` share their disk.

    It works without its lifespan too (httpx.ASGITransport does not run one). Then a dropped connection
    reaches the client as ConnectionCut, an httpx.ReadError.
    """
    server = WahaServer(config or SimulatorConfig(), clock, store)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await server.aclose()

    app = Starlette(
        routes=[
            *routes_sending.routes(),
            *routes_sessions.routes(),
            *routes_server.routes(),
            *routes_auth.routes(),
            *routes_contacts.routes(),
            *routes_chats.routes(),
            *control.routes(),
            *control_sessions.routes(),
            *control_sending.routes(),
            WebSocketRoute("/ws", stream),
        ],
        middleware=[Middleware(Door, server=server)],
        exception_handlers={
            WahaError: _answer,
            EngineFault: _answer,
            CutConnection: _answer,
            HTTPException: _unknown_route,
        },
        lifespan=lifespan,
    )
    app.state.waha = server
    return app


async def _answer(request: Request, error: Exception) -> Response:
    return error_answer(request, error)


async def _unknown_route(request: Request, error: Exception) -> Response:
    refusal = not_found(f"Cannot {request.method} {request.url.path}")
    return Json(refusal.body, status_code=refusal.status)

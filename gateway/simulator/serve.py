"""Running the simulator as a server of its own, with connections that can be cut for real."""

import asyncio
import contextlib
import socket
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from gateway.listening import listen
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.connections import Connections
from gateway.simulator.server import WahaServer

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 5
SHUTDOWN_SECONDS = 2


def serve(host: str, port: int, config: SimulatorConfig) -> None:
    """Serve until SIGINT or SIGTERM; OSError when the address cannot be listened on."""
    listener = listen(host, port)
    log.info("simulator_listening", host=host, port=listener.getsockname()[1], engine=config.engine)
    with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn after an orderly end
        build_server(create_app(config)).run(sockets=[listener])


class SimulatorServer(uvicorn.Server):
    """Ends the simulated server before it waits for requests, for some of those may hang on purpose."""

    def __init__(self, config: uvicorn.Config, waha: WahaServer) -> None:
        super().__init__(config)
        self._waha = waha

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop what is in flight and close."""
        await self._waha.aclose()
        await super().shutdown(sockets)


def build_server(app: Starlette) -> SimulatorServer:
    """A uvicorn server whose connections the app's faults can cut; give its `serve` a socket of `listen`.

    Idle connections are closed after 5 s and sockets pinged every `ping_seconds`, as Node and WAHA do.
    """
    waha: WahaServer = app.state.waha
    return SimulatorServer(
        uvicorn.Config(
            app,
            http=tracked(AutoHTTPProtocol, waha.connections),
            ws=tracked(AutoWebSocketsProtocol, waha.connections),
            ws_per_message_deflate=False,
            ws_ping_interval=waha.config.ping_seconds,
            ws_ping_timeout=waha.config.ping_seconds,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
        ),
        waha,
    )


def tracked(protocol: Any, connections: Connections) -> type[asyncio.Protocol]:
    """A uvicorn protocol class that tells `connections` of each transport that opens and closes."""

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        self.tracked_transport = transport
        connections.opened(transport)
        protocol.connection_made(self, transport)

    def connection_lost(self: Any, error: Exception | None) -> None:
        connections.lost(self.tracked_transport)
        protocol.connection_lost(self, error)

    members = {"connection_made": connection_made, "connection_lost": connection_lost}
    return type(f"Tracked{protocol.__name__}", (protocol,), members)

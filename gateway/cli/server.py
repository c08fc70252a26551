"""The HTTP server of the gateway: what it listens on, and how it ends."""

import asyncio
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.app import Gateway
from gateway.cli.failures import CommandFailed
from gateway.cli.options import base_url
from gateway.listening import listen

OPEN_STREAMS_SECONDS = 1
KEEP_ALIVE_SECONDS = 30
MAX_MESSAGE_BYTES = 16_384
"""Of what a client says on a WebSocket: a token and what it wants to hear."""
LINGER_SECONDS = 5.0


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is gone some seconds after it was closed, also where the client does not take what is left."""

    async def run_asgi(self) -> None:
        """Serve it."""
        await super().run_asgi()
        self._let_go()

    def keepalive_timeout(self) -> None:
        """The client does not answer."""
        super().keepalive_timeout()
        self._let_go()

    def _let_go(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def config_of(app: FastAPI) -> uvicorn.Config:
    """How the gateway is served."""
    return uvicorn.Config(
        app,
        http="auto",  # httptools where it is installed
        ws=BoundedWebSocket,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # events are short, and it takes memory for each socket
        lifespan="off",  # entered by the server, so that its errors reach the command
        timeout_graceful_shutdown=OPEN_STREAMS_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
    )


class GatewayServer(uvicorn.Server):
    """The HTTP server of one gateway; the gateway starts before it listens to requests, and ends after it.

    At the first SIGTERM or SIGINT nothing new is sent and no request is taken any more; requests and streams that are
    open get a second, messages in flight get the dispatcher's grace, and the process ends within 10 s. At the second
    signal it ends at once: what was in flight is looked up at the next start.
    """

    def __init__(self, gateway: Gateway, app: FastAPI, on_started: Callable[[], None]) -> None:
        super().__init__(config_of(app))
        self._gateway = gateway
        self._app = app
        self._on_started = on_started

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal; raises what keeps the gateway from starting."""
        with self.capture_signals():
            async with self._app.router.lifespan_context(self._app):
                await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests from now on."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send nothing new, end all streams, and finish the open requests; the lifespan does the rest."""
        self._gateway.streams.close()
        self._gateway.console.live.close()
        self._gateway.notifications.feed.close()
        draining = asyncio.create_task(self._gateway.dispatcher.stop())
        await super().shutdown(sockets)
        await draining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; on the second signal at once. An orderly end is a success: the signal is not raised again."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        CommandFailed: the address is taken or not ours.
    """
    try:
        return listen(host, port)
    except OSError as error:
        raise CommandFailed(
            f"cannot listen on {base_url(host, port)} ({error.strerror}); choose another with --port or server.port"
        ) from error

"""`gateway serve`: one replica of the service, from its first line to an orderly end."""

import asyncio
import os
import socket
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from gateway.app import Gateway, build_gateway, create_app
from gateway.cli.failures import CommandFailed, database_failures
from gateway.cli.options import ConfigOption, base_url, read_settings, start_logging
from gateway.settings import Settings
from gateway.simulator.serve import listen
from gateway.vault import admin_token_file

OPEN_STREAMS_SECONDS = 1
KEEP_ALIVE_SECONDS = 30


class GatewayServer(uvicorn.Server):
    """The HTTP server of one gateway; the gateway starts before it listens to requests, and ends after it.

    At the first SIGTERM or SIGINT nothing new is sent and no request is taken any more; requests and streams that are
    open get a second, messages in flight get the dispatcher's grace, and the process ends within 10 s. At the second
    signal it ends at once: what was in flight is looked up at the next start.
    """

    def __init__(self, gateway: Gateway, app: FastAPI, on_started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="auto",  # httptools where it is installed
                ws="websockets-sansio",
                lifespan="off",  # entered below, so that its errors reach the command
                timeout_graceful_shutdown=OPEN_STREAMS_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
            )
        )
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
        """Send nothing new, and finish the open requests meanwhile; the lifespan does the rest."""
        draining = asyncio.create_task(self._gateway.dispatcher.stop())
        await super().shutdown(sockets)
        await draining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; on the second signal at once. An orderly end is a success: the signal is not raised again."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on; server.host if not said.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; server.port if not said.", min=0, max=65535)] = None,
) -> None:
    """Run the service: the API, the dispatcher and the keeper of sessions. One replica."""
    settings = read_settings(config, host=host, port=port)
    start_logging(settings.logging)
    with database_failures(settings.database.url):
        gateway = build_gateway(settings)
    listener = listen_on(settings.server.host, settings.server.port)
    server = GatewayServer(gateway, create_app(gateway), lambda: typer.echo(_greeting(settings, listener)))
    with listener, database_failures(settings.database.url):
        server.run(sockets=[listener])


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


def _greeting(settings: Settings, listener: socket.socket) -> str:
    address = base_url(settings.server.host, listener.getsockname()[1])
    generated = not settings.auth.admin_token.get_secret_value()
    place = f"in {admin_token_file(settings.database.data_folder)}" if generated else "the one of auth.admin_token"
    return f"The gateway listens on {address} (see {address}/docs); the admin token is {place}"

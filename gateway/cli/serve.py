"""`gateway serve`: one replica of the service, from its first line to an orderly end."""

import socket
from typing import Annotated

import typer

from gateway.app import build_gateway
from gateway.cli.failures import database_failures
from gateway.cli.options import ConfigOption, base_url, read_settings, start_logging
from gateway.cli.server import GatewayServer, listen_on
from gateway.heap import settle_heap
from gateway.settings import Settings
from gateway.vault import admin_token_file
from gateway.web import create_app


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on; server.host if not said.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; server.port if not said.", min=0, max=65535)] = None,
) -> None:
    """Run the service: the API, the dispatcher and the watch over the sessions. One replica."""
    settings = read_settings(config, host=host, port=port)
    start_logging(settings.logging)
    with database_failures(settings.database.url):
        gateway = build_gateway(settings)
    listener = listen_on(settings.server.host, settings.server.port)
    server = GatewayServer(gateway, create_app(gateway), lambda: typer.echo(_greeting(settings, listener)))
    settle_heap()
    with listener, database_failures(settings.database.url):
        server.run(sockets=[listener])


def _greeting(settings: Settings, listener: socket.socket) -> str:
    address = base_url(settings.server.host, listener.getsockname()[1])
    generated = not settings.auth.admin_token.get_secret_value()
    place = f"in {admin_token_file(settings.database.data_folder)}" if generated else "the one of auth.admin_token"
    return f"The gateway listens on {address} (see {address}/docs); the admin token is {place}"

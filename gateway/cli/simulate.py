"""`gateway simulate`: a WAHA server without WhatsApp, on a port of its own."""

import contextlib
from typing import Annotated

import typer

from gateway.cli.options import base_url, start_logging
from gateway.cli.server import listen_on
from gateway.settings import LoggingSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.serve import build_server


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes any free one.", min=0, max=65535)] = 3000,
    engine: Annotated[EngineName, typer.Option(help="Whose habits it has.", case_sensitive=False)] = "GOWS",
    auto_scan: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Scan each shown QR by itself after so long.", min=0),
    ] = None,
    latency: Annotated[
        float, typer.Option(metavar="SECONDS", help="Median time that a send takes.", min=0, max=3600)
    ] = 0.3,
    speed: Annotated[float, typer.Option(metavar="N", help="60: a minute of its time lasts a second.", min=0.001)] = 1,
    api_key: Annotated[str, typer.Option(help="The key to ask for; none if empty.", envvar="WAHA_API_KEY")] = "",
) -> None:
    """Run a WAHA server without WhatsApp: pair, send and receive receipts without a phone."""
    start_logging(LoggingSettings(file="", format="text", level="WARNING"))
    config = SimulatorConfig(
        engine=engine, auto_scan_seconds=auto_scan, latency_seconds=latency, speed=speed, api_key=api_key
    )
    with listen_on(host, port) as listener:
        address = base_url(host, listener.getsockname()[1])
        typer.echo(f"A simulated WAHA ({engine}) listens on {address}; its ledger is {address}/sim/ledger")
        with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn after an orderly end
            build_server(create_app(config)).run(sockets=[listener])

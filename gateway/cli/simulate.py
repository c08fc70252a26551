"""`gateway simulate`: WAHA servers without WhatsApp, each on a port of its own."""

import asyncio
import contextlib
import dataclasses
import socket
from contextlib import ExitStack
from typing import Annotated, get_args

import typer
import uvicorn

from gateway.cli.options import base_url, start_logging
from gateway.cli.server import listen_on
from gateway.settings import LoggingSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.fleet import fleet_configs, serve_fleet, servers_block
from gateway.simulator.serve import build_server
from gateway.simulator.stored import SessionStore

MAX_SERVERS = 50
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def _parse_engines(text: str) -> list[EngineName]:
    """Read `GOWS,NOWEB`; typer.BadParameter names what is no engine."""
    engines: list[EngineName] = []
    for word in text.split(","):
        name = next((one for one in ENGINES if one == word.strip().upper()), None)
        if name is None:
            raise typer.BadParameter(f"'{word.strip()}' is none of {', '.join(ENGINES)}")
        engines.append(name)
    return engines


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(help="The port of the first server, the others follow; 0 takes any free ones.", min=0, max=65535),
    ] = 3000,
    engine: Annotated[EngineName, typer.Option(help="Whose habits it has.", case_sensitive=False)] = "GOWS",
    servers: Annotated[
        int | None,
        typer.Option(help="How many servers to run; as many as --engines if not said.", min=1, max=MAX_SERVERS),
    ] = None,
    engines: Annotated[
        str | None, typer.Option(metavar="GOWS,NOWEB", help="The servers' engines in turn, instead of --engine.")
    ] = None,
    shared_store: Annotated[
        bool,
        typer.Option("--shared-store", help="The servers share their sessions: one can move to another server."),
    ] = False,
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
    """Run WAHA servers without WhatsApp: pair, send and receive receipts without a phone."""
    start_logging(LoggingSettings(file="", format="text", level="WARNING"))
    named = [engine] if engines is None else _parse_engines(engines)
    count = len(named) if servers is None else servers
    if count < len(named):
        raise typer.BadParameter(f"--engines names {len(named)} servers, --servers {count}")
    if port + count - 1 > 65535:
        raise typer.BadParameter("there are no ports above 65535")
    base = SimulatorConfig(
        engine=engine, auto_scan_seconds=auto_scan, latency_seconds=latency, speed=speed, api_key=api_key
    )
    in_turn = [named[index % len(named)] for index in range(count)]
    with ExitStack() as stack:
        ports = [port + index if port else 0 for index in range(count)]
        listeners = [stack.enter_context(listen_on(host, one)) for one in ports]
        if count == 1:
            _run_one(host, dataclasses.replace(base, engine=in_turn[0]), listeners[0])
        else:
            _run_fleet(host, fleet_configs(base, in_turn), listeners, SessionStore() if shared_store else None)


def _run_one(host: str, config: SimulatorConfig, listener: socket.socket) -> None:
    _tell(host, config, listener)
    with contextlib.suppress(KeyboardInterrupt):  # raised again by uvicorn after an orderly end
        build_server(create_app(config)).run(sockets=[listener])


def _run_fleet(
    host: str, configs: list[SimulatorConfig], listeners: list[socket.socket], store: SessionStore | None
) -> None:
    addresses = [_tell(host, config, one) for config, one in zip(configs, listeners, strict=True)]
    typer.echo(f"\nFor config.toml:\n\n{servers_block(addresses, configs[0].api_key)}")
    loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve_fleet([create_app(config, store=store) for config in configs], listeners))


def _tell(host: str, config: SimulatorConfig, listener: socket.socket) -> str:
    """Say where a server listens; returns its address."""
    address = base_url(host, listener.getsockname()[1])
    typer.echo(f"A simulated WAHA ({config.engine}) listens on {address}; its ledger is {address}/sim/ledger")
    return address

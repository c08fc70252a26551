"""Where the demo plays: a simulated WAHA and a gateway in this process, each on a free loopback port."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from gateway.app import build_gateway
from gateway.cli.options import base_url
from gateway.cli.server import GatewayServer
from gateway.demo.plan import Pace
from gateway.listening import listen
from gateway.settings import DatabaseSettings, ServerSettings, Settings, WahaServerSettings, WahaSettings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import SimulatorServer, build_server
from gateway.vault import admin_token_file
from gateway.web import create_app

HOST = "127.0.0.1"
SPEED = 4.0
"""How much faster than life the simulator's phones are: QR codes appear and receipts come in that much sooner."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs, and where."""

    gateway_url: str
    simulator_url: str
    admin_token_file: Path


class _WithoutSignals(uvicorn.Server):
    """A server beside others in one process: signals are for the process, which ends them all."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to others."""
        yield


class _Simulator(_WithoutSignals, SimulatorServer):
    """The simulated WAHA."""


class _Gateway(_WithoutSignals, GatewayServer):
    """The gateway."""


@asynccontextmanager
async def open_stage(folder: Path, pace: Pace) -> AsyncIterator[Stage]:
    """Start both, with all data in `folder`, and wait for the gateway; they end with the block, the gateway first.

    Settings of the environment and of a `config.toml` are not looked at: the demo must never touch real data.
    """
    waha_listener, gateway_listener = listen(HOST, 0), listen(HOST, 0)
    simulator_url = base_url(HOST, _port(waha_listener))
    waha = create_simulator(SimulatorConfig(latency_seconds=pace.latency * SPEED, start_seconds=1.0, speed=SPEED))
    simulator = _Simulator(build_server(waha).config, waha.state.waha)
    gateway = build_gateway(_settings(folder, simulator_url, _port(gateway_listener)))
    ready = asyncio.Event()
    server = _Gateway(gateway, create_app(gateway), ready.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running(simulator, waha_listener))
        serving = await stack.enter_async_context(_running(server, gateway_listener))
        serving.add_done_callback(lambda _: ready.set())
        await ready.wait()
        yield Stage(base_url(HOST, _port(gateway_listener)), simulator_url, admin_token_file(folder))


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def _settings(folder: Path, simulator_url: str, port: int) -> Settings:
    return Settings.model_construct(
        server=ServerSettings(host=HOST, port=port),
        database=DatabaseSettings(url=f"sqlite:///{folder / 'gateway.db'}", data_folder=folder),
        waha=WahaSettings(servers=[WahaServerSettings(name="simulator", url=simulator_url)], sweep_seconds=2),
    )


@asynccontextmanager
async def _running(server: uvicorn.Server, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve meanwhile, in this task. A server that fails closes its door, so that nobody waits for it in vain."""
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    serving.add_done_callback(lambda _: listener.close())
    try:
        yield serving
    finally:
        server.should_exit = True
        await serving

"""Several simulated servers in one process: each has its own sessions, control routes, clock and port."""

import asyncio
import contextlib
import dataclasses
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from starlette.applications import Starlette

from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.serve import SimulatorServer, build_server


class FleetMember(SimulatorServer):
    """A server beside others in one process: signals are for the process, which ends them all."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to others."""
        yield


def fleet_configs(base: SimulatorConfig, engines: Sequence[EngineName]) -> list[SimulatorConfig]:
    """One configuration per engine, each with a worker id (waha1, waha2, ...) and a seed of its own."""
    return [
        dataclasses.replace(base, engine=engine, worker_id=f"waha{index + 1}", seed=base.seed + index)
        for index, engine in enumerate(engines)
    ]


@asynccontextmanager
async def open_fleet(apps: Sequence[Starlette], listeners: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve each app on its own listening socket meanwhile; signals are left alone. Ends all, the last one first."""
    async with AsyncExitStack() as stack:
        for app, listener in zip(apps, listeners, strict=True):
            await stack.enter_async_context(_serving(app, listener))
        yield


async def serve_fleet(apps: Sequence[Starlette], listeners: Sequence[socket.socket]) -> None:
    """Serve each app on its own listening socket until SIGINT or SIGTERM, which ends them all in order."""
    ended = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows knows no such handlers, Ctrl-C cancels this there
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    async with open_fleet(apps, listeners):
        await ended.wait()


def servers_block(addresses: Sequence[str], api_key: str) -> str:
    """What to write into the gateway's config.toml so that it uses these servers."""
    blocks = []
    for number, address in enumerate(addresses, start=1):
        lines = ["[[waha.servers]]", f'name = "waha{number}"', f"url = {json.dumps(address)}"]
        if api_key:
            lines.append(f"api_key = {json.dumps(api_key)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


@asynccontextmanager
async def _serving(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """Serve meanwhile. A server that fails closes its door, so that nobody waits for it in vain."""
    server = FleetMember(build_server(app).config, app.state.waha)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    serving.add_done_callback(lambda _: listener.close())
    try:
        yield
    finally:
        server.should_exit = True
        await serving

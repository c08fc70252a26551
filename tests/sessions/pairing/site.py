"""A gateway that serves on a loopback port, with a simulated WAHA behind it, for tests that need real connections."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Gateway, build_gateway
from gateway.cli.server import GatewayServer
from gateway.listening import listen
from gateway.settings import Settings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import build_server
from gateway.simulator.server import WahaServer
from gateway.web import create_app
from tests.sessions.pairing.world import ADMIN_TOKEN, CREATE, PATH

PATIENCE_SECONDS = 20.0


class Server(GatewayServer):
    """The gateway's server; signals are for the tests' process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Site:
    """A gateway that serves, a simulated WAHA behind it, and a client."""

    def __init__(self, gateway: Gateway, server: Server, serving: "asyncio.Task[None]", waha: WahaServer) -> None:
        self.gateway = gateway
        self.server = server
        self.serving = serving
        self.waha = waha
        self.client = httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS)

    async def create(self) -> dict[str, str]:
        """Open Alice's pairing; the header with its token."""
        answer = await self.client.post("/api/sessions", json=CREATE)
        assert answer.status_code == 201, answer.text
        return {"X-Sender-Token": answer.json()["sender_token"]}

    @asynccontextmanager
    async def follow(self, headers: dict[str, str] | None = None) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of the stream of Alice's pairing."""
        async with self.client.stream("GET", f"{PATH}/qr/stream", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] in ("no-cache", "no-store")
            yield answer.aiter_lines()

    async def until_nobody_follows(self) -> None:
        """Wait until the gateway has noticed that all streams are over."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.gateway.streams.count:
                await self.client.get("/health")


@asynccontextmanager
async def open_site(
    folder: Path, sqlite_folder: Path, *, simulator: dict[str, Any] | None = None, **sections: dict[str, Any]
) -> AsyncIterator[Site]:
    """A gateway in token mode, on loopback ports; `sections` of its settings, and what the simulator is told."""
    shutil.copy(sqlite_folder / "gateway.db", folder / "gateway.db")
    waha = create_simulator(SimulatorConfig(**{"start_seconds": 0.1, **(simulator or {})}))
    waha_door, door = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    waha_server = build_server(waha)
    simulating = asyncio.create_task(waha_server.serve(sockets=[waha_door]))
    settings = Settings.model_validate(
        {
            "database": {"url": f"sqlite:///{folder}/gateway.db", "data_folder": folder},
            "auth": {"admin_token": ADMIN_TOKEN, "user_access": "token"},
            "waha": {"servers": [{"name": "waha", "url": f"http://127.0.0.1:{waha_door.getsockname()[1]}"}]},
            "logging": {"file": ""},
            **sections,
        }
    )
    parts = build_gateway(settings)
    ready = asyncio.Event()
    server = Server(parts, create_app(parts), ready.set)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    await ready.wait()
    made = Site(parts, server, serving, waha.state.waha)
    made.client.base_url = httpx.URL(f"http://127.0.0.1:{door.getsockname()[1]}")
    try:
        yield made
    finally:
        await made.client.aclose()
        server.should_exit = True
        await serving
        waha_server.should_exit = True
        await simulating

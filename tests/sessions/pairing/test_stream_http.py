"""The stream of a pairing over a real connection: what is on the wire, and how either side ends it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import fastapi.routing
import httpx
import orjson
import pytest

from gateway.app import Gateway, build_gateway, create_app
from gateway.cli.server import GatewayServer
from gateway.settings import Settings
from gateway.simulator.app import create_app as create_simulator
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import build_server, listen
from gateway.simulator.server import WahaServer
from tests.sessions.pairing.world import ADMIN_TOKEN, ALICE, CREATE, OPERATOR, PATH

pytestmark = pytest.mark.timeout(60)

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


async def event(lines: AsyncIterator[str], kind: str) -> Any:
    """The JSON of the next event of this kind."""
    async for line in lines:
        if line == f"event: {kind}":
            data = await anext(lines)
            assert data.startswith("data: ")
            return orjson.loads(data.removeprefix("data: "))
    raise AssertionError(f"the stream ended without {kind}")


@pytest.fixture
async def site(tmp_path: Path, sqlite_folder: Path) -> AsyncIterator[Site]:
    """A gateway in token mode, on loopback ports."""
    shutil.copy(sqlite_folder / "gateway.db", tmp_path / "gateway.db")
    simulator = create_simulator(SimulatorConfig(start_seconds=0.1))
    async with AsyncExitStack() as stack:
        waha_door, door = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
        waha_server = build_server(simulator)
        simulating = asyncio.create_task(waha_server.serve(sockets=[waha_door]))
        settings = Settings.model_validate(
            {
                "database": {"url": f"sqlite:///{tmp_path}/gateway.db", "data_folder": tmp_path},
                "auth": {"admin_token": ADMIN_TOKEN, "user_access": "token"},
                "waha": {"servers": [{"name": "waha", "url": f"http://127.0.0.1:{waha_door.getsockname()[1]}"}]},
                "logging": {"file": ""},
            }
        )
        parts = build_gateway(settings)
        ready = asyncio.Event()
        server = Server(parts, create_app(parts), ready.set)
        serving = asyncio.create_task(server.serve(sockets=[door]))
        await ready.wait()
        made = Site(parts, server, serving, simulator.state.waha)
        made.client.base_url = httpx.URL(f"http://127.0.0.1:{door.getsockname()[1]}")
        await stack.enter_async_context(made.client)
        yield made
        await made.client.aclose()
        server.should_exit = True
        await serving
        waha_server.should_exit = True
        await simulating


async def test_a_page_follows_a_pairing_to_its_end(site: Site) -> None:
    token = await site.create()
    async with site.follow(token) as lines:
        shown = await event(lines, "qr")
        assert (shown["status"], set(shown)) == ("WAITING_FOR_SCAN", {"status", "qr_code", "expires_at"})
        assert site.waha.lifecycle.running[ALICE].scan(ALICE)
        rest = [line async for line in lines]
    assert rest[-3:] == ["event: status", 'data: {"status":"CONNECTED"}', ""]
    await site.until_nobody_follows()


async def test_a_quiet_stream_has_a_heartbeat(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vars(fastapi.routing)["_PING_INTERVAL"] == 15.0
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.05)
    token = await site.create()
    async with site.follow(token) as lines:
        await event(lines, "qr")
        async for line in lines:
            if line.startswith(":"):
                break
        assert line == ": ping"


async def test_a_reader_who_goes_away_is_noticed(site: Site) -> None:
    token = await site.create()
    async with site.follow(token) as lines:
        await event(lines, "qr")
        assert site.gateway.streams.count == 1
    await site.until_nobody_follows()
    assert site.gateway.streams.watched == 0


async def test_the_end_of_the_gateway_ends_the_stream_in_order(site: Site) -> None:
    token = await site.create()
    async with site.follow(token) as lines:
        await event(lines, "qr")
        site.server.should_exit = True
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest = [line async for line in lines]  # a connection that is cut would raise
    assert "event: qr" not in rest
    await site.serving


async def test_a_stream_ends_before_it_shows_a_code_to_a_token_that_counts_no_more(site: Site) -> None:
    token = await site.create()
    async with site.follow(token) as lines:
        await event(lines, "qr")
        stopped = await site.client.post(f"{PATH}/logout", headers=OPERATOR)
        assert stopped.status_code == 200
        shown = await site.client.get(f"{PATH}/qr", headers=OPERATOR)
        assert shown.json()["status"] in ("STARTING", "WAITING_FOR_SCAN")
        async with asyncio.timeout(PATIENCE_SECONDS):
            rest = [line async for line in lines]
    assert "event: status" in rest
    assert "event: qr" not in rest


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (OPERATOR, 404), ({"X-Sender-Token": "wgs_wrong"}, 401)])
async def test_who_may_not_follow_gets_an_error_and_no_stream(site: Site, headers: dict[str, str], status: int) -> None:
    answer = await site.client.get(f"{PATH}/qr/stream", headers=headers)
    assert (answer.status_code, answer.json()["status_code"]) == (status, status)
    assert site.gateway.streams.count == 0

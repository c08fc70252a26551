"""Several servers in one process: what each has of its own, and how they begin and end together."""

import asyncio
import signal
import tomllib
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.listening import listen
from gateway.settings import WahaSettings
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.fleet import fleet_configs, open_fleet, serve_fleet, servers_block
from tests.simulator.conftest import FAST, SENDER, Watch

BASE = SimulatorConfig(speed=FAST, latency_seconds=0.0, auto_scan_seconds=1, seed=7)


async def pair(app: Starlette, client: httpx.AsyncClient) -> None:
    """Create a session, and wait until it works."""
    watch = Watch(app.state.waha)
    await client.post("/api/sessions", json={"name": SENDER})
    await watch.next("session.status", status="WORKING")


def test_each_server_has_its_own_engine_worker_id_and_seed() -> None:
    configs = fleet_configs(BASE, ["GOWS", "NOWEB", "GOWS"])
    assert [(one.engine, one.worker_id, one.seed) for one in configs] == [
        ("GOWS", "waha1", 7),
        ("NOWEB", "waha2", 8),
        ("GOWS", "waha3", 9),
    ]
    assert {one.auto_scan_seconds for one in configs} == {1}


async def test_each_server_has_its_own_sessions_faults_and_ledger() -> None:
    apps = [create_app(config) for config in fleet_configs(BASE, ["GOWS", "NOWEB"])]
    listeners = [listen("127.0.0.1", 0) for _ in apps]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_fleet(apps, listeners))
        first, second = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{one.getsockname()[1]}", trust_env=False)
            )
            for one in listeners
        ]
        await pair(apps[0], first)
        assert (await second.get("/api/sessions?all=true")).json() == []
        await pair(apps[1], second)
        await second.put("/sim/faults", json={"error_500": 1})
        body = {"session": SENDER, "chatId": "12125550101@c.us", "text": "hello"}
        assert (await first.post("/api/sendText", json=body)).status_code == 201
        assert (await second.post("/api/sendText", json=body)).status_code == 500
        counts = [len((await one.get("/sim/ledger")).json()["transmissions"]) for one in (first, second)]
        engines = [(await one.get("/api/server/version")).json()["engine"] for one in (first, second)]
        workers = [(await one.get("/api/server/status")).json()["worker"]["id"] for one in (first, second)]
    assert (counts, engines, workers) == ([1, 0], ["GOWS", "NOWEB"], ["waha1", "waha2"])
    assert [one.fileno() for one in listeners] == [-1, -1], "and nobody listens any more"


async def test_the_servers_of_one_seed_make_different_ids() -> None:
    apps = [create_app(config) for config in fleet_configs(BASE, ["GOWS", "GOWS"])]
    ids: list[Any] = []
    async with AsyncExitStack() as stack:
        for app in apps:
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://waha.test")
            await stack.enter_async_context(client)
            stack.push_async_callback(app.state.waha.aclose)
            await pair(app, client)
            ids.append((await client.get(f"/api/{SENDER}/new-message-id")).json()["id"])
    assert ids[0] != ids[1]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_ends_them_all(sign: signal.Signals) -> None:
    apps = [create_app(config) for config in fleet_configs(BASE, ["GOWS", "GOWS", "WEBJS"])]
    listeners = [listen("127.0.0.1", 0) for _ in apps]
    ports = [one.getsockname()[1] for one in listeners]
    serving = asyncio.create_task(serve_fleet(apps, listeners))
    async with httpx.AsyncClient(trust_env=False) as client:
        for port in ports:
            assert (await client.get(f"http://127.0.0.1:{port}/ping")).status_code == 200
        signal.raise_signal(sign)
        await asyncio.wait_for(serving, timeout=10)
        for port in ports:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{port}/ping")


def test_the_block_for_config_toml_is_one_that_the_gateway_reads() -> None:
    addresses = ["http://127.0.0.1:3000", "http://127.0.0.1:3001"]
    block = servers_block(addresses, 'a "key"')
    settings = WahaSettings.model_validate(tomllib.loads(block)["waha"])
    assert [one.name for one in settings.servers] == ["waha1", "waha2"]
    assert [str(one.url).rstrip("/") for one in settings.servers] == addresses
    assert [one.api_key.get_secret_value() for one in settings.servers] == ['a "key"'] * 2
    assert "api_key" not in servers_block(addresses, "")

"""What a sweep over a thousand sessions costs us: the simulator is another process, and so does not count."""

import gc
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest

from gateway.app import Gateway, build_gateway
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import read_now
from gateway.schema import prepare
from gateway.settings import DatabaseSettings, Settings, WahaServerSettings, WahaSettings
from gateway.waha.client import WahaClient
from sessions import queries
from sessions.lifecycle import Lifecycle
from sessions.models import SessionState
from tests.harness.databases import sqlite_url

SESSIONS = 1000
NUMBERS = [f"33639{980000 + index}" for index in range(SESSIONS)]
SWEEPS = 5
LONGEST_CPU_SECONDS = 0.1
LARGEST_BYTES = 50_000

SIMULATOR = """
import asyncio, json, socket, sys
from gateway.simulator.app import create_app
from gateway.simulator.config import SimulatorConfig
from gateway.simulator.serve import build_server
from gateway.simulator.stored import Status

async def main():
    app = create_app(SimulatorConfig(start_seconds=0.0))
    lifecycle = app.state.waha.lifecycle
    for config in json.load(open(sys.argv[2])):
        number = config["metadata"]["number"]
        await lifecycle.create(number, config, apps=None, start=True)
        while not lifecycle.running[number].scan(number):
            await asyncio.sleep(0)
        while lifecycle.running[number].status is not Status.WORKING:
            await asyncio.sleep(0)
    listener = socket.socket(fileno=int(sys.argv[1]))
    await build_server(app).serve(sockets=[listener])

asyncio.run(main())
"""


def wanted_config(number: str) -> dict[str, Any]:
    """What a session of ours has in its configuration at WAHA."""
    nothing: Any = None
    row: Any = SimpleNamespace(number=number)
    return Lifecycle(nothing, nothing, nothing).wanted_config(row)


@pytest.fixture
def waha_url(tmp_path: Path) -> Iterator[str]:
    """A simulated server in a process of its own, with a thousand sessions that work and are configured as ours."""
    configs = tmp_path / "configs.json"
    configs.write_bytes(orjson.dumps([wanted_config(number) for number in NUMBERS]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-c", SIMULATOR, str(listener.fileno()), str(configs)]
        with subprocess.Popen(command, pass_fds=[listener.fileno()]) as process:
            yield f"http://127.0.0.1:{port}"
            process.terminate()


async def store_sessions(gateway: Gateway) -> None:
    """A thousand connected sessions, as the gateway would have stored them."""
    member, now = gateway.fleet.members[0], gateway.clock.now()
    connected = {"state": SessionState.CONNECTED, "waha_status": "WORKING", "requires_auth": False}
    times = dict.fromkeys(("paired_at", "last_active", "phone_last_seen", "state_at", "created_at"), now)
    async with gateway.db.write() as tx:
        for number in NUMBERS:
            sender_id = await queries.ensure_sender(tx, number, LOCAL_ACCOUNT, now)
            place = {"sender_id": sender_id, "server_id": member.id, "name": number}
            await queries.insert_session(tx, {**place, **connected, **times})


async def sweep(gateway: Gateway, *, read_anew: bool) -> float:
    """One sweep of the only server; seconds of our own work. `read_anew`: the list is not the one of the last sweep."""
    watch = gateway.manager._watches[gateway.fleet.members[0].id]
    if read_anew:
        watch.member.client._listed = None
    async with gateway.db.read() as connection:
        now = await read_now(connection)
    began = time.process_time()
    await watch.sweep(now)
    return time.process_time() - began


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_sweep_over_a_thousand_sessions_costs_one_call_little_work_and_little_memory(
    waha_url: str, sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database=DatabaseSettings(url=sqlite_url(sqlite_folder), data_folder=sqlite_folder),
        waha=WahaSettings(sweep_seconds=3600, servers=[WahaServerSettings(name="waha", url=waha_url, capacity=2000)]),
    )
    gateway = build_gateway(settings, transports=lambda _url: None)
    await prepare(gateway.db)
    await gateway.fleet.load(settings.waha.servers)
    await store_sessions(gateway)
    try:
        tracemalloc.start()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        gateway.manager.start()
        for _ in range(2):
            await sweep(gateway, read_anew=True)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        asked: list[str] = []
        fetch = WahaClient._fetch

        async def counted(client: WahaClient, method: str, path: str, *args: Any, **options: Any) -> httpx.Response:
            asked.append(path)
            return await fetch(client, method, path, *args, **options)

        monkeypatch.setattr(WahaClient, "_fetch", counted)
        same = [await sweep(gateway, read_anew=False) for _ in range(SWEEPS)]
        anew = [await sweep(gateway, read_anew=True) for _ in range(SWEEPS)]
    finally:
        await gateway.stop()
    bytes_each = (after - before) / SESSIONS
    sys.stdout.write(
        f"a sweep of {SESSIONS} sessions: {1000 * min(same):.0f} ms of work where WAHA's list is the same, "
        f"{1000 * min(anew):.0f} ms where it is not; {bytes_each / 1000:.1f} kB per session\n"
    )
    assert asked == ["/api/sessions?all=true"] * 2 * SWEEPS
    assert min(same) <= min(anew) < LONGEST_CPU_SECONDS
    assert bytes_each < LARGEST_BYTES

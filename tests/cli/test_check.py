"""`gateway check`: what works, what does not, and what to do."""

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.sending.dispatcher import Dispatcher
from gateway.cli.findings import look_at_all, look_at_database, look_at_server
from gateway.cli.known_servers import KnownServer
from gateway.db import Database
from gateway.demo.plan import QUICK
from gateway.demo.stage import Stage, open_stage
from gateway.listening import listen
from gateway.schema import migrate, newest_revision
from gateway.settings import Settings
from gateway.simulator.app import create_app
from gateway.simulator.config import EngineName, SimulatorConfig
from gateway.simulator.serve import build_server
from gateway.waha.client import WahaClient
from sessions.servers import queries
from tests.cli.conftest import Ended, Run


@pytest.fixture
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A running gateway and a running WAHA."""
    (folder / "stage").mkdir()
    async with open_stage(folder / "stage", QUICK) as opened:
        yield opened


def told(ended: Ended) -> str:
    """The table without the line breaks of its cells."""
    return " ".join(ended.out.split())


@pytest.mark.alone  # /health gives each part two seconds of real time
async def test_all_is_well_where_gateway_database_and_servers_answer(run: Run, folder: Path, stage: Stage) -> None:
    port = stage.gateway_url.rpartition(":")[2]
    (folder / "config.toml").write_text(
        f'[server]\nport = {port}\n[database]\nurl = "sqlite:///stage/gateway.db"\ndata_folder = "stage"\n'
        f'[[waha.servers]]\nname = "one"\nurl = "{stage.simulator_url}"\n'
    )

    ended = await asyncio.to_thread(run, "check")

    assert ended.status == 0, ended
    assert "✗" not in ended.out
    assert f"stage/gateway.db, version {newest_revision()}" in told(ended)
    assert f"runs at {stage.gateway_url}, healthy" in told(ended)
    assert "GOWS 2026.7.1: no sessions" in told(ended)
    assert ended.out.endswith("All works\n")


async def test_a_gateway_whose_dispatcher_has_stopped_is_told_to_be_unhealthy(
    run: Run, folder: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.toml").write_text(f"[server]\nport = {stage.gateway_url.rpartition(':')[2]}\n")
    monkeypatch.setattr(Dispatcher, "running", False)

    ended = await asyncio.to_thread(run, "check")

    assert ended.status == 1
    assert f"runs at {stage.gateway_url}, unhealthy" in told(ended)
    assert "/health/detailed" in told(ended)


async def test_one_server_that_is_away_is_named_with_what_to_do_and_the_status_is_1(
    run: Run, folder: Path, stage: Stage
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    (folder / "config.toml").write_text(
        f'[[waha.servers]]\nname = "here"\nurl = "{stage.simulator_url}"\n'
        f'[[waha.servers]]\nname = "away"\nurl = "http://127.0.0.1:{free}"\n'
    )

    ended = await asyncio.to_thread(run, "check")

    assert ended.status == 1
    assert "✓ WAHA here" in told(ended)
    assert "✗ WAHA away" in told(ended)
    assert "start the server, or correct its url" in told(ended)
    assert ended.out.splitlines()[-1].startswith("1 of ")


def test_a_fresh_folder_misses_a_server_only_and_nothing_is_made_by_looking(run: Run, folder: Path) -> None:
    ended = run("check")

    assert ended.status == 1
    assert "no server is known" in told(ended)
    assert "data/gateway.db will be made" in told(ended)
    assert ended.out.count("✗") == 1
    assert list(folder.iterdir()) == []


def test_wrong_settings_are_one_line_and_status_2(run: Run, folder: Path) -> None:
    (folder / "config.toml").write_text("[server]\nhots = 1\n")

    ended = run("check")

    assert (ended.status, ended.failure) == (2, "gateway: server.hots: there is no such setting")


async def test_a_wrong_key_is_told_from_a_server_that_is_away() -> None:
    async with simulated("GOWS", api_key="right") as url:
        right = await look_at_server(known(url, "right"))
        wrong = await look_at_server(known(url, "wrong"))

    assert right.state == "works"
    assert wrong.state == "broken"
    assert wrong.advice.startswith("set its api_key")
    assert "wrong" not in wrong.text


async def test_an_engine_that_ignores_our_ids_is_worth_a_note() -> None:
    async with simulated("WEBJS") as url:
        finding = await look_at_server(known(url))

    assert finding.state == "note"
    assert "waits for a person" in finding.advice


async def test_an_address_where_something_else_answers_is_broken(stage: Stage) -> None:
    finding = await look_at_server(known(stage.gateway_url))

    assert finding.state == "broken"
    assert "is this the address of a WAHA?" in finding.advice


async def test_a_database_that_cannot_be_used_is_broken(folder: Path) -> None:
    (folder / "notes.txt").write_text("long enough to be taken for something, but no database at all" * 40)
    finding = await look_at_database("sqlite:///notes.txt")

    assert finding.state == "broken"
    assert "file is not a database" in finding.text


async def test_an_older_sqlite_database_is_brought_up_to_date_by_serve(folder: Path) -> None:
    sqlite3.connect(folder / "old.db").close()
    finding = await look_at_database("sqlite:///old.db")

    assert finding.state == "note"
    assert finding.advice == "gateway serve brings it up to date by itself"


async def test_a_database_of_an_unknown_version_is_told_with_what_to_do(empty_database_url: str) -> None:
    finding = await look_at_database(empty_database_url)

    if empty_database_url.startswith("sqlite"):
        assert (finding.state, finding.text.endswith("gateway.db will be made")) == ("works", True)
    else:
        assert (finding.state, finding.advice) == ("broken", "run: gateway migrate")


def known(url: str, api_key: str | None = "", **more: Any) -> KnownServer:
    """A server at this address."""
    return KnownServer(name="a", url=url, api_key=api_key, capacity=10, **more)


async def test_a_server_that_runs_over_is_told_with_what_to_do() -> None:
    async with simulated("GOWS", version="2026.5.1") as url, WahaClient(url, "") as client:
        await client.create_session("somebody-elses", {}, start=False)
        finding = await look_at_server(known(url, stored=True, draining=True, placed=10))

    assert finding.state == "note"
    assert "10 of 10 places taken" in finding.text
    assert "update it" in finding.advice
    assert "POST /api/admin/servers/a/undrain" in finding.advice
    assert "it is full" in finding.advice
    assert "not ours, and are left alone: 1" in finding.advice


async def test_a_session_of_ours_is_not_foreign() -> None:
    async with simulated("GOWS") as url, WahaClient(url, "") as client:
        await client.create_session("447700900001", {}, start=False)
        finding = await look_at_server(known(url, stored=True, placed=1, ours={"447700900001"}))

    assert finding.state == "works"


async def test_a_stored_key_that_cannot_be_read_is_told() -> None:
    finding = await look_at_server(known("http://127.0.0.1:9", None, stored=True))

    assert finding.state == "broken"
    assert "secret.key" in finding.advice


async def test_servers_of_the_database_count_and_removed_ones_of_the_settings_are_told(folder: Path) -> None:
    async with simulated("GOWS") as url:
        entries = [{"name": "new", "url": url}, {"name": "gone", "url": url}]
        database = {"url": "sqlite:///own.db", "data_folder": "."}
        settings = Settings.model_validate({"database": database, "waha": {"servers": entries}})
        db = Database(settings.database.url)
        await migrate(db)
        async with db.write() as tx:
            await queries.add(tx, {"id": "1", "name": "stored", "url": url, "capacity": 7, "created_at": 0.0})
            await queries.keep_seed(tx, "gone", "")
        await db.close()
        findings = {finding.part: finding for finding in await look_at_all(settings)}

    assert "0 of 7 places taken" in findings["WAHA stored"].text
    assert findings["WAHA new"].state == "works"
    assert "has removed it" in findings["WAHA gone"].text
    assert not (folder / "secret.key").exists()


@contextlib.asynccontextmanager
async def simulated(engine: EngineName, *, api_key: str = "", version: str = "2026.7.1") -> AsyncIterator[str]:
    """A WAHA of this engine; gives its address."""
    listener = listen("127.0.0.1", 0)
    server = build_server(create_app(SimulatorConfig(engine=engine, api_key=api_key, version=version)))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving

"""`gateway create-client`, with a service that runs and without one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.auth.clients.keys import ApiKeys, KeyHolder
from gateway.auth.clients.scopes import ALL_SCOPES
from gateway.db import Database
from gateway.demo.plan import QUICK
from gateway.demo.stage import Stage, open_stage
from tests.cli.conftest import Run

OPTIONS = ("--sender", "+447700900050", "--daily-limit", "10", "--balance", "1.5", "--price", "0.05")


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name a port at which there is no service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GATEWAY_SERVER__PORT", str(free.getsockname()[1]))


@pytest.fixture
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A service that runs."""
    (folder / "stage").mkdir()
    async with open_stage(folder / "stage", QUICK) as stage:
        yield stage


async def holder_of(url: str, token: str) -> KeyHolder:
    """Whom a key names, as the database says."""
    db = Database(url)
    try:
        return await ApiKeys(db).identify(token)
    finally:
        await db.close()


@pytest.mark.slow
async def test_through_a_running_service_a_client_is_made_and_its_key_printed(run: Run, stage: Stage) -> None:
    arguments = ("create-client", "infinity", *OPTIONS, "--url", stage.gateway_url)
    token = stage.admin_token_file.read_text()
    first = await asyncio.to_thread(run, *arguments, "--admin-token", token)
    second = await asyncio.to_thread(run, *arguments, "--admin-token", token)
    stranger = await asyncio.to_thread(run, *arguments)

    assert first.status == 0
    key = first.out.splitlines()[-1]  # after what the service logs, in this same process
    async with httpx.AsyncClient(base_url=stage.gateway_url, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {key}"}
        answer = await client.get("/api/campaigns", headers=headers)
        made = await client.get("/api/admin/clients", headers={"X-Admin-Token": token})
    assert answer.status_code == 200
    assert [one["name"] for one in made.json()["items"]] == ["infinity"]
    assert second.status == 1
    assert second.failure.startswith("gateway: there is a client of this name already")
    assert (stranger.status, stranger.failure) == (1, "gateway: send the X-Admin-Token")


@pytest.mark.usefixtures("nobody_listens")
def test_without_a_service_the_client_is_made_in_the_database(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE__URL", database_url)
    first = run("create-client", "infinity", *OPTIONS)
    second = run("create-client", "INFINITY")

    assert first.status == 0
    assert first.out.startswith("wgk_")
    holder = asyncio.run(holder_of(database_url, first.out.strip()))
    assert (holder.name, holder.scopes) == ("infinity", ALL_SCOPES)
    assert (second.status, second.failure) == (1, "gateway: there is a client of this name already")


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("  ",), "NAME"),
        (("a", "--balance", "0.0000001"), "--balance"),
        (("a", "--price", "-1"), "--price"),
        (("a", "--currency", "euro"), "--currency"),
        (("a", "--timezone", "Mars/Base"), "--timezone"),
        (("a", "--daily-limit", "-1"), "--daily-limit"),
        (("a", "--sender", "letters"), "--sender"),
    ],
)
def test_what_cannot_be_is_one_line_naming_the_option(run: Run, arguments: tuple[str, ...], told: str) -> None:
    ended = run("create-client", *arguments)
    assert ended.status == 1
    assert told in ended.failure

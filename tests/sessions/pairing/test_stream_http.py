"""The stream of a pairing over a real connection: what is on the wire, and how either side ends it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastapi.routing
import orjson
import pytest

from tests.sessions.pairing.site import PATIENCE_SECONDS, Site, open_site
from tests.sessions.pairing.world import ALICE, OPERATOR, PATH

pytestmark = pytest.mark.timeout(60)


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
    """A gateway in token mode."""
    async with open_site(tmp_path, sqlite_folder) as opened:
        yield opened


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

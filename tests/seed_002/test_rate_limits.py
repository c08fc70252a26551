"""Seed 002, "Rate Limiting": its table with its figures, and its headers, out of the box."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from gateway.app import Gateway, build_gateway
from gateway.limits import meter
from gateway.settings import Settings
from gateway.web import create_app
from tests.seed_002.seed import Seed

READ = "/api/campaigns?sender_number=447700900001"
CHANGE = "/api/sessions/447700900001"


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway on each kind of database, with the limits that it is shipped with; a busy machine counts them too."""
    monkeypatch.setattr(meter, "PATIENCE_SECONDS", 30.0)
    settings = {"database": {"url": database_url, "data_folder": tmp_path}, "logging": {"file": ""}}
    built = build_gateway(Settings.model_validate(settings))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(built.stop)
        await built.start()
        yield built


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a credential."""
    transport = httpx.ASGITransport(create_app(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def test_the_limits_of_its_table_are_told_in_its_headers(client: httpx.AsyncClient, seed: Seed) -> None:
    names = [line.partition(":")[0] for line in seed.blocks("Rate Limiting", "http")[0].text.splitlines()]
    assert names == ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"]
    asked = {
        "GET endpoints": await client.get(READ),
        "PUT/DELETE endpoints": await client.delete(CHANGE),
        "POST /api/schedules": await client.post("/api/schedules", json={}),
    }
    table = seed.table("Rate Limiting")
    assert set(table) == {*asked, "WhatsApp sending"}
    for row, answer in asked.items():
        most = int(table[row][0].removesuffix(" requests"))
        assert table[row][1] == "1 minute"
        assert answer.headers["X-RateLimit-Limit"] == str(most), row
        assert answer.headers["X-RateLimit-Remaining"] == str(most - 1), row
        assert set(names[:3]) <= {name for name in names if name in answer.headers}


def test_new_schedules_are_100_a_minute_and_sends_1000_an_hour(gateway: Gateway, seed: Seed) -> None:
    assert gateway.meter.kind_of("POST", "/api/schedules") == "schedules"
    limits = gateway.settings.limits
    assert (limits.schedules_per_minute, limits.sends_per_hour) == (100, 1000)
    assert seed.table("Rate Limiting")["WhatsApp sending"] == (f"{limits.sends_per_hour} messages", "1 hour")


async def test_the_one_that_is_too_many_is_told_when_to_come_again(gateway: Gateway, client: httpx.AsyncClient) -> None:
    before = gateway.clock.now()
    for _ in range(100):
        assert (await client.delete(CHANGE)).status_code == 401
    refused = await client.delete(CHANGE)
    assert refused.status_code == 429
    assert refused.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert before < int(refused.headers["X-RateLimit-Reset"]) <= gateway.clock.now() + 61
    assert 1 <= int(refused.headers["Retry-After"]) <= 60

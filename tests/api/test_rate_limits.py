"""Who may ask how often: each by their own credential, and everybody else by their address."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.limits import meter
from gateway.limits.models import RateLimit
from gateway.web import create_app
from tests.api.conftest import MakeWorld
from tests.api.frozen import behind_a_proxy
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, World

pytestmark = pytest.mark.timeout(60)

LIMITS = {"reads_per_minute": 5, "writes_per_minute": 2}
CAMPAIGNS = f"/api/campaigns?sender_number={ALICE.replace('+', '%2B')}"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's database may take its time, and each request is counted all the same."""
    monkeypatch.setattr(meter, "PATIENCE_SECONDS", 30.0)


@pytest.fixture
async def limited(database_url: str, make_world: MakeWorld, patience: None) -> World:
    """A gateway that lets everybody read five times a minute, on each kind of database."""
    return await make_world(database_url=database_url, limits=LIMITS, auth={"admin_token": ADMIN_TOKEN})


async def statuses(world: World, count: int, path: str = CAMPAIGNS, method: str = "GET", **headers: str) -> list[int]:
    """The status codes of so many requests."""
    return [(await world.call(method, path, headers=headers)).status_code for _ in range(count)]


async def test_the_sixth_read_of_a_minute_is_429_with_the_time_to_come_again(limited: World) -> None:
    answers = [await limited.call("GET", CAMPAIGNS) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    refused = answers[-1]
    error: dict[str, Any] = refused.json()
    assert (error["status_code"], error["error_code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert refused.headers["x-ratelimit-limit"] == "5"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    left = int(refused.headers["x-ratelimit-reset"]) - limited.gateway.clock.now()
    assert abs(left - int(refused.headers["retry-after"])) <= 2


async def test_an_answer_that_is_an_error_is_counted_and_says_so(limited: World) -> None:
    wrong = await limited.call("GET", "/api/campaigns", status=422)
    unknown = await limited.call("GET", "/api/status/01890000-0000-7000-8000-000000000000", status=404)
    assert [answer.headers["x-ratelimit-remaining"] for answer in (wrong, unknown)] == ["4", "3"]


async def test_a_flood_without_a_credential_uses_up_nobody_elses_share(limited: World) -> None:
    limited.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    tokens = await limited.pair(ALICE, BERT)
    del limited.client.headers["X-Admin-Token"]
    assert await statuses(limited, 7) == [200] * 5 + [429] * 2
    alice, bert = ({"X-Sender-Token": tokens[number]} for number in (ALICE, BERT))
    assert await statuses(limited, 6, **alice) == [200] * 5 + [429]
    assert await statuses(limited, 1, "/api/campaigns", **bert) == [200]


async def test_wrong_credentials_are_counted_for_their_address_whatever_they_are(limited: World) -> None:
    found = [(await statuses(limited, 1, **{"X-Sender-Token": f"wgs_{number}"}))[0] for number in range(7)]
    assert found == [401] * 5 + [429] * 2
    assert await statuses(limited, 1, "/api/admin/metrics", **{"X-Admin-Token": "wrong" * 8}) == [429]
    assert await statuses(limited, 1) == [429]


async def test_another_address_has_its_own_share(limited: World) -> None:
    assert await statuses(limited, 6) == [200] * 5 + [429]
    transport = httpx.ASGITransport(create_app(limited.gateway), client=("192.0.2.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        assert (await client.get(CAMPAIGNS)).headers["x-ratelimit-remaining"] == "4"


async def test_the_operator_is_not_limited_and_a_console_may_poll(limited: World) -> None:
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    assert set(await statuses(limited, 20, "/api/admin/metrics", **operator)) == {200}
    assert "x-ratelimit-limit" not in (await limited.admin("GET", "/api/admin/metrics")).headers


async def test_changes_have_a_limit_of_their_own_and_sending_has_none(limited: World) -> None:
    assert await statuses(limited, 3, f"/api/sessions/{ALICE}", "DELETE") == [401, 401, 429]
    assert await statuses(limited, 1) == [200]
    assert set(await statuses(limited, 10, "/api/send", "POST")) == {422}
    assert set(await statuses(limited, 10, "/health")) == {200}


async def test_with_limits_of_zero_nothing_is_limited(make_world: MakeWorld) -> None:
    world = await make_world(limits={"reads_per_minute": 0, "writes_per_minute": 0})
    assert set(await statuses(world, 20)) == {200}
    assert "x-ratelimit-limit" not in (await world.call("GET", CAMPAIGNS)).headers


@pytest.mark.postgres
async def test_in_memory_is_what_was_asked_for_also_on_postgresql(postgres_url: str, make_world: MakeWorld) -> None:
    world = await make_world(database_url=postgres_url, limits=LIMITS | {"storage_url": "memory://"})
    assert await statuses(world, 6) == [200] * 5 + [429]
    assert await world.count(RateLimit) == 0


@pytest.mark.postgres
async def test_on_postgresql_all_replicas_count_together(
    postgres_url: str, make_world: MakeWorld, patience: None
) -> None:
    world = await make_world(database_url=postgres_url, limits=LIMITS)
    assert await statuses(world, 6) == [200] * 5 + [429]
    assert await world.count(RateLimit) == 1


@pytest.mark.alone
@pytest.mark.own_limits
@pytest.mark.postgres
async def test_while_the_database_is_frozen_a_request_is_answered_as_fast_as_if_it_was_not_counted(
    postgres_url: str, tmp_path: Path
) -> None:
    async with behind_a_proxy(postgres_url, tmp_path) as (_, client, proxy):
        assert (await client.get(CAMPAIGNS)).headers["x-ratelimit-limit"] == "1000"
        proxy.freeze()
        began = time.monotonic()
        answers = await asyncio.gather(*(client.get(CAMPAIGNS) for _ in range(5)))
        took = time.monotonic() - began
    assert {answer.status_code for answer in answers} == {503}
    assert took < 6.0

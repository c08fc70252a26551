"""Is it well: what load balancers, monitors and people are told without a login, also when a part is down."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from admin.health.looks import FRESH_SECONDS
from gateway.app import build_gateway
from gateway.settings import Settings
from tests.api.conftest import MakeWorld
from tests.api.frozen import behind_a_proxy
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, WAHA_KEY, World, until

pytestmark = pytest.mark.timeout(60)

PATHS = ("", "/db", "/redis", "/celery", "/dispatcher", "/waha", "/detailed")


async def ask(world: World, part: str = "", **headers: str) -> tuple[int, Any]:
    """The status code and body of a health route."""
    answer = await world.call("GET", f"/health{part}", headers=headers)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_all_is_well_and_the_figures_are_true(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE, BERT)
    status, told = await ask(world, "/detailed")
    assert (status, told["status"]) == (200, "healthy")
    services = told["services"]
    assert {name: service["status"] for name, service in services.items()} == {
        "api": "healthy",
        "database": "healthy",
        "redis": "not_configured",
        "celery": "not_configured",
        "dispatcher": "healthy",
        "waha": "healthy",
    }
    assert services["waha"] == {"status": "healthy", "servers_total": 1, "servers_up": 1}
    _, database = await ask(world, "/db")
    assert database["database"] == ("sqlite" if world.db.is_sqlite else "postgresql")
    assert database["connection_pool"]["size"] == world.db.pool.size > 0


async def test_a_connection_in_use_is_counted_as_such(any_world: World) -> None:
    world = any_world
    async with world.db.read(), world.db.read():
        _, told = await ask(world, "/db")
    pool = told["connection_pool"]  # of which the gateway itself may use some at this moment
    assert pool["checked_out"] >= 2
    assert 0 <= pool["overflow"] < pool["checked_out"]


async def test_messages_that_wait_are_the_queue_and_those_of_a_later_day_are_not(any_world: World) -> None:
    world = any_world
    await world.send(queue_if_offline=True)
    await world.send(queue_if_offline=True, start_at=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert (await ask(world, "/redis"))[1]["queue_depth"] == 3
    _, celery = await ask(world, "/celery")
    assert (celery["queued_tasks"], celery["active_tasks"], celery["workers"]) == (3, 0, 1)
    assert celery["worker_details"] == [
        {"name": "worker-1", "status": "online", "current_task": None, "processed": 0},
    ]
    _, dispatcher = await ask(world, "/dispatcher")
    assert (dispatcher["lanes"], dispatcher["in_flight"]) == (1, 0)


async def test_what_was_sent_is_counted_as_processed(world: World) -> None:
    await world.pair(ALICE)
    await world.finished(await world.send())
    assert (await ask(world, "/dispatcher"))[1]["processed"] == 3
    assert (await ask(world, "/celery"))[1]["worker_details"][0]["processed"] == 3


async def test_a_message_under_way_is_an_active_task(world: World) -> None:
    await world.pair(ALICE)
    await world.waha.faults(hang=1.0)
    await world.send()

    async def is_sending() -> bool:
        return bool((await ask(world, "/celery"))[1]["active_tasks"] == 1)

    await until(is_sending)
    _, told = await ask(world, "/celery")
    assert (told["queued_tasks"], told["worker_details"][0]["current_task"]) == (2, "send_whatsapp_message")
    assert (await ask(world, "/dispatcher"))[1]["in_flight"] == 1
    await world.gateway.dispatcher.stop(grace_seconds=0)


@pytest.mark.postgres
async def test_every_replica_that_is_connected_is_a_worker_and_one_that_has_gone_is_none(
    postgres_url: str, make_world: MakeWorld, tmp_path: Path
) -> None:
    world = await make_world(database_url=postgres_url)
    settings = {"database": {"url": postgres_url, "data_folder": tmp_path}, "logging": {"file": ""}}
    other = build_gateway(Settings.model_validate(settings))
    await other.start()

    async def workers(count: int) -> bool:
        return bool((await ask(world, "/celery"))[1]["workers"] == count)

    await until(lambda: workers(2))
    _, told = await ask(world, "/celery")
    assert [(worker["name"], worker["processed"]) for worker in told["worker_details"]] == [
        ("worker-1", 0),
        ("worker-2", None),
    ]
    await other.stop()
    await until(lambda: workers(1))


async def test_a_dispatcher_that_has_stopped_is_503_and_the_body_is_the_same(world: World) -> None:
    before = {part: set((await ask(world, part))[1]) for part in PATHS}
    await world.gateway.dispatcher.stop()
    assert [(await ask(world, part))[0] for part in PATHS] == [503, 200, 200, 200, 503, 200, 503]
    assert {part: set((await ask(world, part))[1]) for part in PATHS} == before
    assert (await ask(world, "/dispatcher"))[1]["running"] is False


async def test_a_server_that_is_down_degrades_and_all_of_them_are_503_for_that_part_only(
    make_world: MakeWorld,
) -> None:
    world = await make_world(capacities=(10, 10))
    await world.wahas[1].close()

    async def up(count: int) -> bool:
        return bool((await ask(world, "/waha"))[1]["servers_up"] == count)

    await until(lambda: up(1))
    assert ((await ask(world, "/waha"))[0], (await ask(world, "/waha"))[1]["status"]) == (200, "degraded")
    assert (await ask(world, "/detailed"))[1]["status"] == "degraded"
    await world.wahas[0].close()
    await until(lambda: up(0))
    assert ((await ask(world, "/waha"))[0], (await ask(world, "/waha"))[1]["status"]) == (503, "unhealthy")
    assert ((await ask(world, "/detailed"))[0], (await ask(world))[0]) == (200, 200)


async def test_without_any_server_that_part_is_not_configured_and_all_is_well(make_world: MakeWorld) -> None:
    world = await make_world(capacities=())
    assert (await ask(world, "/waha"))[1]["status"] == "not_configured"
    assert (await ask(world, "/detailed"))[1]["status"] == "healthy"


async def test_only_the_operator_is_told_which_servers_there_are(world: World) -> None:
    await world.pair(ALICE)
    _, told = await ask(world, "/waha")
    assert told["servers"] is None
    assert (told["servers_total"], told["sessions"], told["sessions_connected"]) == (1, 1, 1)
    _, named = await ask(world, "/waha", **{"X-Admin-Token": ADMIN_TOKEN})
    (server,) = named["servers"]
    assert (server["name"], server["status"], server["sessions"], server["connected"]) == ("waha1", "healthy", 1, 1)
    assert server["last_seen_at"].endswith("Z")
    await world.call("GET", "/health/waha", headers={"X-Admin-Token": "wrong" * 8}, status=401)


async def test_nobody_is_told_an_address_a_key_or_a_number(world: World) -> None:
    await world.pair(ALICE)
    await world.send()
    for headers in ({}, {"X-Admin-Token": ADMIN_TOKEN}):
        for part in PATHS:
            text = (await world.call("GET", f"/health{part}", headers=headers, status=200)).text
            for secret in (ALICE[1:], WAHA_KEY, ADMIN_TOKEN, "127.0.0.1", "http", str(world.db.url.database)):
                assert secret not in text, part


async def test_requests_of_the_last_minute_are_counted(world: World) -> None:
    _, before = await ask(world, "/detailed")
    for _ in range(10):
        await world.call("GET", "/nowhere", status=404)
    _, after = await ask(world, "/detailed")
    counts = [told["services"]["api"]["requests_per_minute"] for told in (before, after)]
    assert counts[1] - counts[0] == 11


async def test_many_who_poll_share_one_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    read = world.db.read

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        nonlocal looks
        task = asyncio.current_task()
        looks += task is not None and task.get_name().startswith("look at")
        async with read() as connection:
            yield connection

    monkeypatch.setattr(world.db, "read", counted)
    monkeypatch.setattr("admin.health.looks.FRESH_SECONDS", 1000.0)
    await asyncio.gather(*(ask(world, "/detailed") for _ in range(50)))
    assert looks == 3


async def test_a_redis_that_counts_requests_tells_of_itself(redis_url: str, make_world: MakeWorld) -> None:
    world = await make_world(limits={"storage_url": redis_url, "reads_per_minute": 100})
    answer = await world.call("GET", f"/api/campaigns?sender_number={BERT[1:]}", status=200)
    assert answer.headers["x-ratelimit-remaining"] == "99"
    status, told = await ask(world, "/redis")
    assert (status, told["status"], told["queue_depth"]) == (200, "healthy", 0)
    assert told["connected_clients"] >= 1
    assert told["used_memory"].endswith("MB")
    _, detailed = await ask(world, "/detailed")
    assert (detailed["status"], detailed["services"]["redis"]["status"]) == ("healthy", "healthy")


async def test_a_redis_that_is_away_degrades_and_nothing_is_limited(make_world: MakeWorld) -> None:
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    world = await make_world(limits={"storage_url": f"redis://127.0.0.1:{free}", "reads_per_minute": 1})
    for _ in range(3):
        await world.call("GET", f"/api/campaigns?sender_number={BERT[1:]}", status=200)
    assert ((await ask(world, "/redis"))[0], (await ask(world))[0]) == (503, 200)
    status, detailed = await ask(world, "/detailed")
    assert (status, detailed["status"], detailed["services"]["redis"]["status"]) == (200, "degraded", "unhealthy")


@pytest.mark.alone
@pytest.mark.postgres
async def test_while_the_database_is_frozen_every_route_answers_in_time_and_says_so(
    postgres_url: str, tmp_path: Path
) -> None:
    async with behind_a_proxy(postgres_url, tmp_path) as (gateway, client, proxy):
        assert [(await client.get(f"/health{part}")).status_code for part in PATHS] == [200] * 7
        proxy.freeze()
        await gateway.clock.wait(asyncio.Event(), FRESH_SECONDS + 0.1)  # what was seen before is stale by then
        began = time.monotonic()
        answers = await asyncio.gather(*(client.get(f"/health{part}") for part in PATHS * 3))
        took = time.monotonic() - began
    told = {str(answer.url.path): answer.status_code for answer in answers}
    assert [told[f"/health{part}"] for part in PATHS] == [503, 503, 200, 200, 200, 503, 503]
    assert took < 3.0
    database = next(answer.json() for answer in answers if answer.url.path == "/health/db")
    assert (database["status"], database["response_time"]) == ("unhealthy", None)

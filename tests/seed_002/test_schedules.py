"""The document's section on schedules: each request as it is written (ids replaced), each answer as it is shown.

Its dates lie in 2024, so the clock here stands in 2023.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.schedules.models import ScheduleStatus
from gateway.clock import Clock
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, World, until
from tests.seed_002.seed import Seed, assert_like
from tests.seed_002.test_groups import make_people

pytestmark = pytest.mark.timeout(60)

PATH = "/api/schedules"
NOW = datetime(2023, 12, 30, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture
async def world(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> World:
    """The gateway's API in open mode, at the end of 2023, with a server that phones can be paired on."""
    ahead = Clock().now() - NOW
    now = Clock.now
    monkeypatch.setattr(Clock, "now", lambda self: now(self) - ahead)
    return await make_world()


async def create(world: World, seed: Seed, *, members: int = 2, **fields: Any) -> dict[str, Any]:
    """The document's own schedule, of its own message and a group with so many members."""
    message = await world.post("/api/messages", seed.request("Create Message").body)
    group = {"name": "VIP Customers", "recipient_ids": await make_people(world, members)}
    group_id = (await world.post("/api/recipients/groups", group))["id"]
    request = seed.request("Schedule Message")
    body = request.body | {"message_id": message["id"], "group_id": group_id} | fields
    answer: dict[str, Any] = (await world.call(request.method, request.path, body, status=201)).json()
    return answer


async def call(world: World, seed: Seed, heading: str, schedule: dict[str, Any], status: int) -> Any:
    """The request under a heading, about a schedule; the JSON of its answer, if it has one."""
    request = seed.request(heading)
    answer = await world.call(request.method, request.path.format(schedule_id=schedule["id"]), status=status)
    return answer.json() if answer.content else None


async def test_schedule_message(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    example = seed.answer("Schedule Message")
    assert_like(example | {"task_id": created["id"]}, created)
    assert created["scheduled_time"] == example["scheduled_time"]
    assert (created["status"], created["recipient_count"], created["task_id"]) == ("pending", 2, created["id"])
    assert {name: row[1] for name, row in seed.table("Schedule Message").items()} == {
        "message_id": "Yes",
        "group_id": "Yes",
        "scheduled_time": "Yes",
    }
    for name in seed.table("Schedule Message"):
        body = {key: value for key, value in seed.request("Schedule Message").body.items() if key != name}
        error = (await world.call("POST", PATH, body, status=422)).json()
        assert [one["field"] for one in error["errors"]] == [name]


async def test_list_scheduled_messages(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("List Scheduled Messages")
    listed = (await world.call(request.method, request.path, status=200)).json()
    assert_like(seed.answer("List Scheduled Messages"), listed)
    assert [item["id"] for item in listed["items"]] == [created["id"]]
    parameters = seed.table("List Scheduled Messages")
    values = {
        "skip": 0,
        "limit": 100,
        "status": "pending",
        "from_date": "2024-01-01T00:00:00Z",
        "to_date": "2024-01-03T00:00:00Z",
        "message_id": created["message"]["id"],
        "group_id": created["group"]["id"],
    }
    assert set(parameters) == set(values)
    assert listed == await world.get(PATH, **values)
    statuses = parameters["status"][1].partition("(")[2].partition(")")[0].split("/")
    assert statuses == [str(status) for status in ScheduleStatus]
    assert [(await world.get(PATH, status=status))["total"] for status in statuses] == [1, 0, 0, 0, 0, 0]


async def test_a_schedule_that_was_sent_is_told_as_shown(world: World, seed: Seed) -> None:
    await world.pair(ALICE)
    created = await create(world, seed)
    started = await call(world, seed, "Send Message Immediately", created, 200)
    assert_like(seed.answer("Send Message Immediately") | {"task_id": created["id"]}, started)
    assert started["status"] == "processing"

    async def sent() -> Any:
        told = await call(world, seed, "Get Scheduled Message", created, 200)
        return told if told["status"] == "sent" else None

    told = await until(sent)
    assert_like(seed.answer("Get Scheduled Message") | {"task_id": created["id"]}, told)
    assert (told["recipient_count"], told["sent_count"], told["failed_count"]) == (2, 2, 0)
    assert {one["status"] for one in told["group"]["recipients"]} == {"sent"}
    archived = await call(world, seed, "Archive Scheduled Message", created, 200)
    assert_like(seed.answer("Archive Scheduled Message"), archived)
    await call(world, seed, "Delete Scheduled Message", created, 409)
    counts = await world.get(f"/api/messages/{created['message']['id']}")
    assert (counts["scheduled_count"], counts["sent_count"]) == (0, 1)
    counts = await world.get(f"/api/recipients/groups/{created['group']['id']}")
    assert (counts["scheduled_messages"], counts["sent_messages"]) == (0, 1)


async def test_cancel_and_delete(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    await call(world, seed, "Delete Scheduled Message", created, 409)
    cancelled = await call(world, seed, "Cancel Scheduled Message", created, 200)
    assert_like(seed.answer("Cancel Scheduled Message"), cancelled)
    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", "local")
    await call(world, seed, "Cancel Scheduled Message", created, 409)
    assert await call(world, seed, "Delete Scheduled Message", created, 204) is None
    await call(world, seed, "Get Scheduled Message", created, 404)


async def test_the_same_message_group_and_minute_is_a_scheduling_conflict(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    body = seed.request("Schedule Message").body
    body |= {"message_id": created["message"]["id"], "group_id": created["group"]["id"]}
    error = (await world.call("POST", PATH, body, status=409)).json()
    assert error["error_code"] in seed.table("Common Error Codes")
    assert error["error_code"] == "SCHEDULING_CONFLICT"

"""The document's section on groups: each request as it is written (ids replaced), each answer as it is shown."""

import re
from typing import Any

import pytest

from tests.api.world import World
from tests.seed_002.seed import Seed, assert_like

pytestmark = pytest.mark.timeout(60)

PATH = "/api/recipients/groups"


async def make_people(world: World, count: int) -> list[str]:
    """The ids of so many new recipients."""
    people = [
        await world.post("/api/recipients", {"name": f"Person {n}", "phone_number": f"+4477009001{n:02d}"})
        for n in range(count)
    ]
    return [str(person["id"]) for person in people]


async def create(world: World, seed: Seed, members: int = 2, **fields: Any) -> dict[str, Any]:
    """The document's own group, with so many members."""
    request = seed.request("Create Group")
    body = request.body | {"recipient_ids": await make_people(world, members)} | fields
    answer: dict[str, Any] = (await world.call(request.method, request.path, body, status=201)).json()
    return answer


async def test_create_group(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    assert_like(seed.answer("Create Group"), created)
    assert {key: created[key] for key in ("name", "description", "recipient_count")} == {
        key: seed.answer("Create Group")[key] for key in ("name", "description", "recipient_count")
    }


async def test_the_limits_of_its_fields(world: World, seed: Seed) -> None:
    rows = seed.table("Create Group")
    assert {name: row[1] for name, row in rows.items()} == {"name": "Yes", "description": "No", "recipient_ids": "No"}
    most_name = int(re.findall(r"\d+", rows["name"][2])[-1])
    most_description = int(re.findall(r"\d+", rows["description"][2])[-1])
    longest = {"name": "n" * most_name, "description": "d" * most_description}
    await world.call("POST", PATH, longest, status=201)
    await world.call("POST", PATH, {"name": "only a name"}, status=201)
    for field, value in longest.items():
        body = {"name": "Another"} | {field: value + "x"}
        error = (await world.call("POST", PATH, body, status=422)).json()
        assert [one["field"] for one in error["errors"]] == [field]


async def test_list_groups(world: World, seed: Seed) -> None:
    await create(world, seed)
    request = seed.request("List Groups")
    listed = (await world.call(request.method, request.path, status=200)).json()
    assert_like(seed.answer("List Groups"), listed)
    assert [(item["recipient_count"], item["recipients"]) for item in listed["items"]] == [(2, [])]
    parameters = seed.table("List Groups")
    assert set(parameters) == {"skip", "limit", "include_recipients"}
    assert listed == await world.get(PATH, **{name: row[2] for name, row in parameters.items()})
    full = await world.get(PATH, include_recipients="true")
    assert_like(seed.answer("Get Group")["recipients"], full["items"][0]["recipients"])
    assert len(full["items"][0]["recipients"]) == 2


async def test_get_group(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Get Group")
    shown = (await world.call(request.method, request.path.format(group_id=created["id"]), status=200)).json()
    assert_like(seed.answer("Get Group"), shown)
    assert {item["phone_number"] for item in shown["recipients"]} == {"+447700900100", "+447700900101"}
    assert (shown["scheduled_messages"], shown["sent_messages"]) == (0, 0)


async def test_update_group_recipients(world: World, seed: Seed) -> None:
    request, example = seed.request("Update Group Recipients"), seed.answer("Update Group Recipients")
    people = await make_people(world, 5)
    body = {"name": example["name"], "recipient_ids": people[3:]}
    created = (await world.call("POST", PATH, body, status=201)).json()
    wanted = people[: len(request.body["recipient_ids"])]
    path = request.path.format(group_id=created["id"])
    changed = (await world.call(request.method, path, {"recipient_ids": wanted}, status=200)).json()
    assert_like(example, changed)
    assert (changed["name"], changed["recipient_count"]) == (example["name"], example["recipient_count"])
    assert changed["updated_at"] > created["updated_at"]
    members = (await world.get(f"{PATH}/{created['id']}"))["recipients"]
    assert {member["id"] for member in members} == set(wanted)


async def test_delete_group(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Delete Group")
    answer = await world.call(request.method, request.path.format(group_id=created["id"]), status=204)
    assert answer.content == b""
    await world.call("GET", f"{PATH}/{created['id']}", status=404)
    assert (await world.get("/api/recipients"))["total"] == 2


async def test_the_workflows_second_step_works_as_written(world: World, seed: Seed) -> None:
    text = seed.blocks("2. Create a Recipient Group", "bash")[0].text
    body = re.search(r"-d '(\{.*?\})'", text, re.DOTALL)
    assert body is not None
    await world.call("POST", PATH, status=201, content=body[1], headers={"Content-Type": "application/json"})
    assert (await world.get(PATH))["items"][0]["name"] == "Holiday Campaign"

"""The document's section on messages (our templates): each request as it is written, each answer as it is shown."""

import re
from typing import Any

import pytest

from tests.api.world import World
from tests.seed_002.seed import Seed, assert_like

pytestmark = pytest.mark.timeout(60)


async def create(world: World, seed: Seed, **fields: Any) -> dict[str, Any]:
    """The document's own message."""
    request = seed.request("Create Message")
    answer: dict[str, Any] = (await world.call(request.method, request.path, request.body | fields, status=201)).json()
    return answer


async def test_create_message(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    assert_like(seed.answer("Create Message"), created)
    assert {key: created[key] for key in ("title", "content")} == seed.request("Create Message").body


async def test_the_limits_of_its_fields(world: World, seed: Seed) -> None:
    for field, (_, required, description) in seed.table("Create Message").items():
        assert required == "Yes"
        bounds = re.search(r"\((\d+)-(\d+) chars\)", description)
        assert bounds is not None
        least, most = map(int, bounds.groups())
        for length in (least, most):
            await create(world, seed, **{field: "x" * length})
        body = seed.request("Create Message").body
        for wrong in ("x" * (least - 1), "x" * (most + 1)):
            error = (await world.call("POST", "/api/messages", body | {field: wrong}, status=422)).json()
            assert_like(seed.answer("Error Response Format"), error)
            assert [one["field"] for one in error["errors"]] == [field]


async def test_list_messages(world: World, seed: Seed) -> None:
    await create(world, seed)
    request = seed.request("List Messages")
    listed = (await world.call(request.method, request.path, status=200)).json()
    assert_like(seed.answer("List Messages"), listed)
    assert len(listed["items"]) == 1


async def test_the_list_takes_every_parameter_and_has_its_defaults(world: World, seed: Seed) -> None:
    for number in range(3):
        await create(world, seed, title=f"Message {number}")
    parameters = seed.table("List Messages")
    assert set(parameters) == {"skip", "limit", "search", "sort_by", "sort_order"}
    defaults = {name: row[2] for name, row in parameters.items() if row[2] != "-"}
    said = await world.get("/api/messages", **defaults)
    assert said == await world.get("/api/messages")
    assert said["per_page"] == int(defaults["limit"])
    assert [item["title"] for item in said["items"]] == ["Message 2", "Message 1", "Message 0"]
    assert (await world.get("/api/messages", search="message 1"))["total"] == 1


async def test_get_message(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Get Message")
    shown = (await world.call(request.method, request.path.format(message_id=created["id"]), status=200)).json()
    assert_like(seed.answer("Get Message"), shown)
    assert (shown["scheduled_count"], shown["sent_count"]) == (0, 0)


async def test_update_message(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Update Message")
    path = request.path.format(message_id=created["id"])
    updated = (await world.call(request.method, path, request.body, status=200)).json()
    assert_like(seed.answer("Update Message"), updated)
    assert {key: updated[key] for key in request.body} == request.body
    assert updated["updated_at"] > updated["created_at"]


async def test_delete_message(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Delete Message")
    answer = await world.call(request.method, request.path.format(message_id=created["id"]), status=204)
    assert answer.content == b""
    missing = await world.call("GET", f"/api/messages/{created['id']}", status=404)
    assert_like(seed.answer("Error Response Format"), missing.json())
    assert missing.json()["error_code"] in seed.table("Common Error Codes")


async def test_the_loop_of_the_pagination_example_gets_all_messages(world: World, seed: Seed) -> None:
    [code] = seed.blocks("Pagination Example")
    address = re.search(r"`https://api\.example\.com(/api/messages\?page=)\$\{page\}(&per_page=)(\d+)`", code.text)
    assert address is not None
    assert "hasMore = page < data.pages" in code.text
    for number in range(7):
        await create(world, seed, title=f"Message {number}")
    for per_page in (address[3], "3"):
        messages: list[dict[str, Any]] = []
        page, has_more = 1, True
        while has_more:
            data = (await world.call("GET", f"{address[1]}{page}{address[2]}{per_page}", status=200)).json()
            messages += data["items"]
            has_more = page < data["pages"]
            page += 1
        assert [message["title"] for message in messages] == [f"Message {number}" for number in range(6, -1, -1)]


async def test_the_workflows_first_step_and_the_curl_test_work_as_written(world: World, seed: Seed) -> None:
    for heading in ("1. Create a Message Template", "Using cURL"):
        text = seed.blocks(heading, "bash")[0].text
        body = re.search(r"-d '(\{.*?\})'", text, re.DOTALL)
        assert body is not None
        await world.call(
            "POST", "/api/messages", status=201, content=body[1], headers={"Content-Type": "application/json"}
        )

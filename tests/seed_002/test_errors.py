"""The document's section on errors: each of its codes, and each status, made and compared with its example."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.web import create_app
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, World
from tests.seed_002.seed import Seed, assert_like
from tests.seed_002.test_groups import make_people

pytestmark = pytest.mark.timeout(60)

NOBODY = "123e4567-e89b-12d3-a456-426614174000"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def tight(database_url: str, make_world: MakeWorld) -> World:
    """A gateway that takes twenty changes a minute, of operators as well as of anybody."""
    return await make_world(database_url=database_url, capacities=(), limits={"writes_per_minute": 20})


def check(seed: Seed, answer: httpx.Response) -> str:
    """The code of an answer that is an error in the document's format."""
    error: dict[str, Any] = answer.json()
    assert_like(seed.answer("Error Response Format"), error)
    assert error["status_code"] == answer.status_code
    assert str(answer.status_code) in [*seed.table("HTTP Status Codes"), "502"]
    return str(error["error_code"])


async def made_twice(world: World) -> list[httpx.Response]:
    """What is answered to a second recipient with a number, and to a second schedule of the same in the same minute."""
    message = await world.post("/api/messages", {"title": "Hi", "content": "Hi"})
    people = await make_people(world, 1)
    group = await world.post("/api/recipients/groups", {"name": "All", "recipient_ids": people})
    schedule = {
        "message_id": message["id"],
        "group_id": group["id"],
        "scheduled_time": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    await world.post("/api/schedules", schedule)
    ada = {"name": "Ada", "phone_number": "+447700900100"}
    return [await world.call("POST", "/api/recipients", ada), await world.call("POST", "/api/schedules", schedule)]


async def test_each_of_its_codes_is_given_for_what_it_means(tight: World, seed: Seed) -> None:
    server = {"name": "away", "url": NOWHERE, "api_key": "a-key-for-nobody", "capacity": 1}
    answers = [
        await tight.call("POST", "/api/messages", {}),
        await tight.call("GET", f"/api/messages/{NOBODY}"),
        await tight.call("POST", "/api/recipients", {"name": "Nobody", "phone_number": "12ab"}),
        *await made_twice(tight),
        await tight.admin("POST", "/api/admin/servers", server),
    ]
    for _ in range(21):
        last = await tight.call("DELETE", f"/api/messages/{NOBODY}")
    codes = {check(seed, answer): answer.status_code for answer in [*answers, last]}
    assert codes == {
        "VALIDATION_ERROR": 422,
        "RESOURCE_NOT_FOUND": 404,
        "INVALID_PHONE_NUMBER": 422,
        "DUPLICATE_RESOURCE": 409,
        "SCHEDULING_CONFLICT": 409,
        "WHATSAPP_API_ERROR": 502,
        "RATE_LIMIT_EXCEEDED": 429,
    }
    assert set(codes) == set(seed.table("Common Error Codes"))


async def test_its_example_is_answered_to_a_wrong_number(world: World, seed: Seed) -> None:
    answer = await world.call("POST", "/api/recipients", {"name": "Nobody", "phone_number": "12ab"})
    check(seed, answer)
    [example], [told] = seed.answer("Error Response Format")["errors"], answer.json()["errors"]
    assert (told["field"], told["code"]) == (example["field"], example["code"])


async def test_without_and_with_the_wrong_credential(seed: Seed, make_world: MakeWorld) -> None:
    world = await make_world(capacities=(), auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    nobody = await world.call("GET", "/api/messages", status=401)
    user = {"email": "user@example.com", "password": "a long enough secret"}
    await world.admin("POST", "/api/admin/logins", user, status=201)
    token = (await world.post("/api/auth/login", user))["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    webhook = seed.request("Webhook Configuration").body | {"all_accounts": True}
    not_theirs = await world.call("POST", "/api/webhooks", webhook, headers=header, status=403)
    assert [check(seed, answer) for answer in (nobody, not_theirs)] == ["UNAUTHORIZED", "FORBIDDEN"]


async def test_a_wrong_host_and_a_bug_have_its_format_too(
    world: World, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("a bug")

    monkeypatch.setattr(world.gateway.templates, "page", broken)
    transport = httpx.ASGITransport(create_app(world.gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        bug = await client.get("/api/messages")
        host = await client.get("/api/messages", headers={"Host": "evil.example"})
    assert (bug.status_code, host.status_code) == (500, 400)
    assert [check(seed, answer) for answer in (bug, host)] == ["INTERNAL_ERROR", "UNKNOWN_HOST"]
    assert "a bug" not in bug.text

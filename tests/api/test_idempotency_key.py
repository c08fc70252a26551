"""`Idempotency-Key` on the routes that make what an account owns: a request that is tried again makes nothing twice."""

import asyncio
from typing import Any, NamedTuple

import httpx
import pytest

from campaigns.audience.models import Recipient, RecipientGroup
from campaigns.templates.models import Template
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, World

pytestmark = pytest.mark.timeout(60)


class Making(NamedTuple):
    """A route that makes something, with two bodies; making the first one twice is a conflict, or makes two."""

    path: str
    model: type[Any]
    body: dict[str, Any]
    other: dict[str, Any]


PERSON = {"name": "Ada", "phone_number": "+447700900100", "variables": {"visits": 3, "rate": 1.5, "город": "Київ"}}
MAKINGS = [
    Making(
        "/api/messages",
        Template,
        {"title": "Welcome", "content": "Hello {{name}} 👋"},
        {"title": "Welcome", "content": "Goodbye"},
    ),
    Making("/api/recipients", Recipient, PERSON, PERSON | {"phone_number": "+447700900101"}),
    Making("/api/recipients/groups", RecipientGroup, {"name": "VIP", "description": None}, {"name": "Others"}),
]
every_making = pytest.mark.parametrize("making", MAKINGS, ids=lambda making: making.path)


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway without any WAHA server on each kind of database."""
    return await make_world(database_url=database_url, capacities=())


async def make(
    world: World, making: Making, body: dict[str, Any] | None = None, *, key: str = "k", token: str = ""
) -> httpx.Response:
    """One request, of the operator if the token is given."""
    headers = {"Idempotency-Key": key} | ({"X-Admin-Token": token} if token else {})
    return await world.call("POST", making.path, making.body if body is None else body, headers=headers)


@every_making
async def test_the_same_request_again_gets_the_same_answer_and_makes_nothing(world: World, making: Making) -> None:
    first = await make(world, making)
    assert first.status_code == 201, first.text
    again = await make(world, making)
    assert (again.status_code, again.content) == (201, first.content)
    assert await world.count(making.model) == 1
    shown = await world.get(f"{making.path}/{first.json()['id']}")
    assert shown.items() >= {name: first.json()[name] for name in ("id", "created_at", "updated_at")}.items()


@every_making
async def test_the_answer_is_given_also_when_what_was_made_has_gone(world: World, making: Making) -> None:
    first = await make(world, making)
    await world.call("DELETE", f"{making.path}/{first.json()['id']}", status=204)
    again = await make(world, making)
    assert (again.status_code, again.content) == (201, first.content)
    assert await world.count(making.model) == 0


@every_making
async def test_the_key_of_another_body_is_refused_and_nothing_is_made(world: World, making: Making) -> None:
    await make(world, making)
    refused = await make(world, making, making.other)
    assert refused.status_code == 422
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [
        ("Idempotency-Key", "key_reused")
    ]
    assert await world.count(making.model) == 1


@every_making
async def test_of_many_at_the_same_moment_one_makes_it_and_all_get_its_answer(world: World, making: Making) -> None:
    async def make_at_last() -> httpx.Response:
        while (answer := await make(world, making)).status_code == 503:
            assert answer.json()["error_code"] == "SERVICE_UNAVAILABLE"  # a lock is waited for, but not for long
        return answer

    answers = await asyncio.gather(*(make_at_last() for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await world.count(making.model) == 1


@every_making
async def test_what_was_refused_may_be_tried_again_with_its_key(world: World, making: Making) -> None:
    wrong: dict[str, Any] = dict.fromkeys(making.body, "")
    assert (await make(world, making, wrong)).status_code == 422
    assert (await make(world, making)).status_code == 201


async def test_a_duplicate_without_the_first_ones_key_is_a_conflict_and_keeps_no_answer(world: World) -> None:
    making = MAKINGS[1]
    first = await make(world, making)
    clash = await make(world, making, key="l")
    assert (clash.status_code, clash.json()["error_code"]) == (409, "DUPLICATE_RESOURCE")
    await world.call("DELETE", f"{making.path}/{first.json()['id']}", status=204)
    assert (await make(world, making, key="l")).status_code == 201


async def test_an_operators_key_is_not_that_of_anybody_else(world: World) -> None:
    making = MAKINGS[0]
    first = await make(world, making)
    theirs = await make(world, making, token=ADMIN_TOKEN)
    assert first.json()["id"] != theirs.json()["id"]
    assert await world.count(making.model) == 2


@every_making
async def test_the_header_is_in_the_description_of_the_route(module_world: World, making: Making) -> None:
    document = await module_world.get("/openapi.json")
    header = {one["name"]: one for one in document["paths"][making.path]["post"]["parameters"]}["Idempotency-Key"]
    assert (header["in"], header["required"]) == ("header", False)
    assert header["description"]

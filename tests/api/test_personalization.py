"""`use_ai_personalization`: texts that a service writes, asked for over a real socket before anything is queued."""

import asyncio
from typing import Any

import pytest

from campaigns.doors.messaging.ids import make_message_id
from campaigns.sending.models import Campaign
from tests.api.conftest import MakeWorld
from tests.api.test_clients import bearer, make_client
from tests.api.test_messaging import ADA, BEA, CLEO, has_left, told
from tests.api.test_messaging_account import CREATE, campaign
from tests.api.world import ALICE, BERT, Body, World
from tests.campaigns.personalization.test_asking import Writer, text
from tests.harness.receiver import Receiver, status

pytestmark = pytest.mark.timeout(60)


async def personal_world(
    make_world: MakeWorld, service: Receiver, database_url: str = "", **settings: Any
) -> tuple[World, Body]:
    """A gateway with this service, and a client of it whose sender is connected."""
    personalization = {"url": service.url, "at_once": 1, "timeout_seconds": 5, **settings}
    world = await make_world(database_url=database_url, personalization=personalization)
    await world.pair(ALICE)
    return world, await make_client(world, senders=[ALICE])


async def create(world: World, made: Body, *numbers: str, key: str = "", status: int = 200, **fields: Any) -> Body:
    """A campaign that is to be personalized."""
    body = campaign(*numbers, use_ai_personalization=True, **fields)
    headers = bearer(made) | ({"Idempotency-Key": key} if key else {})
    answer: Body = (await world.call("POST", CREATE, body, headers=headers, status=status)).json()
    return answer


async def test_each_gets_the_text_of_the_service_and_where_it_fails_the_template(
    make_world: MakeWorld, database_url: str
) -> None:
    says = [text("Dear Ada, welcome"), status(500)]
    async with Writer(lambda count: says[count]).listening() as service:
        world, made = await personal_world(make_world, service, database_url)
        person = {"name": "Ada", "phone_number": ADA, "variables": {"city": "Paris", "iban": "secret"}}
        await world.call("POST", "/api/recipients", person, headers=bearer(made), status=201)
        await world.call("POST", "/api/suppressions", {"phone_number": CLEO}, headers=bearer(made), status=201)
        template = "Hello {{name}} in {{city | town}}!"
        answer = await create(world, made, ADA, CLEO, BEA, "letters", ADA, message_template=template)
    assert answer["personalization"] == {"personalized": 1, "bad_status": 1}
    known: list[Body] = [{"name": "Ada", "variables": {"city": "Paris"}}, {"name": None, "variables": {}}]
    assert [request.event for request in service.requests] == [
        {"template": template, "recipient": recipient, "max_characters": 1000} for recipient in known
    ]
    sent = {one["chat_id"]: one["text"] for one in await has_left(world, 2)}
    assert sent == {f"{ADA[1:]}@c.us": "Dear Ada, welcome", f"{BEA[1:]}@c.us": f"Hello {BEA} in town!"}
    path = f"/api/status/{answer['campaign_id']}?details=true"
    page = (await world.call("GET", path, headers=bearer(made), status=200)).json()["messages"]["items"]
    assert [one["personalization"] for one in page] == ["personalized", None, "bad_status"]
    status_of_bea = await told(world, make_message_id(BEA[1:], page[2]["id"]), headers=bearer(made))
    assert status_of_bea["personalization"] == "bad_status"


async def test_the_same_key_asks_the_service_nothing_again(make_world: MakeWorld) -> None:
    async with Writer(lambda count: text(f"Text {count}")).listening() as service:
        world, made = await personal_world(make_world, service)
        first = await create(world, made, ADA, BEA, key="k")
        assert await create(world, made, ADA, BEA, key="k") == first
        assert len(service.requests) == 2
    assert await world.count(Campaign) == 1


async def test_a_campaign_that_is_not_to_be_personalized_asks_nobody(make_world: MakeWorld) -> None:
    async with Writer(lambda _: text("no")).listening() as service:
        world, made = await personal_world(make_world, service)
        answer = (await world.call("POST", CREATE, campaign(BEA), headers=bearer(made), status=200)).json()
    assert (answer["personalization"], service.requests) == (None, [])
    assert [one["text"] for one in await has_left(world)] == [f"Hello {BEA}!"]


async def test_what_is_refused_is_refused_before_the_service_is_asked(make_world: MakeWorld) -> None:
    async with Writer(lambda _: text("no")).listening() as service:
        world, made = await personal_world(make_world, service, max_recipients=2)
        error = await create(world, made, ADA, BEA, CLEO, status=422)
        assert [(one["field"], one["code"]) for one in error["errors"]] == [("phone_numbers", "too_long")]
        await create(world, made, ADA, status=422, message_template="Hi {{shop}}")
        poor = await make_client(world, "poor", senders=[BERT], balance="0.05", price="0.10")
        await create(world, poor, ADA, status=402)
    assert service.requests == []
    assert await world.count(Campaign) == 0


async def test_so_many_at_once_and_no_more_over_all_requests(make_world: MakeWorld) -> None:
    async with Writer(lambda _: 0.05).listening() as service:
        world, made = await personal_world(make_world, service, at_once=2)
        answers = await asyncio.gather(create(world, made, ADA, BEA, CLEO), create(world, made, ADA, BEA))
    assert [answer["personalization"] for answer in answers] == [{"not_json": 3}, {"not_json": 2}]
    assert (len(service.requests), service.most_at_once) == (5, 2)


async def test_who_is_not_written_for_in_time_gets_the_template(make_world: MakeWorld) -> None:
    async with Writer(lambda count: 1.0 if count else text("Dear Ada")).listening() as service:
        world, made = await personal_world(make_world, service, total_seconds=0.5)
        answer = await create(world, made, ADA, BEA, CLEO)
    assert answer["personalization"] == {"personalized": 1, "out_of_time": 2}
    sent = {one["chat_id"]: one["text"] for one in await has_left(world, 3)}
    assert sent[f"{ADA[1:]}@c.us"] == "Dear Ada"
    assert sent[f"{CLEO[1:]}@c.us"] == f"Hello {CLEO}!"

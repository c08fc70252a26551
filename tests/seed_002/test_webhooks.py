"""The document's section on webhooks: its configuration, its payload, and its own code that checks a signature."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, World, recipients
from tests.harness.receiver import Receiver
from tests.seed_002.seed import Seed, assert_like

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway in open mode, which may call the test's receiver."""
    return await make_world(database_url=database_url, capacities=(), webhooks={"allow_private_addresses": True})


async def test_the_configuration_is_taken_as_it_is_written(world: World, seed: Seed) -> None:
    request = seed.request("Webhook Configuration")
    made = (await world.call(request.method, request.path, request.body, status=201)).json()
    assert {key: made[key] for key in request.body} == request.body


async def test_the_documents_own_code_accepts_what_is_sent_and_nothing_else(world: World, seed: Seed) -> None:
    request = seed.request("Webhook Configuration")
    [code] = seed.blocks("Webhook Security", "python")
    module: dict[str, Any] = {}
    exec(compile(code.text, "the document", "exec"), module)
    async with Receiver().listening() as receiver:
        made = await world.post(request.path, request.body | {"url": receiver.url})
        await world.post(f"{request.path}/{made['id']}/test")
        [received] = receiver.requests
    signature, secret = received.headers["x-webhook-signature"], request.body["secret"]
    assert module["verify_webhook"](received.body, signature, secret) is True
    assert module["verify_webhook"](received.body + b" ", signature, secret) is False
    assert module["verify_webhook"](received.body, signature, "another secret") is False


async def test_the_payload_has_the_documents_fields(world: World, seed: Seed) -> None:
    request = seed.request("Webhook Configuration")
    async with Receiver().listening() as receiver:
        made = await world.post(request.path, request.body | {"url": receiver.url})
        await world.post(f"{request.path}/{made['id']}/test")
        [received] = receiver.requests
    example = seed.answer("Webhook Payload")
    assert_like({key: example[key] for key in ("event", "timestamp")}, received.event)
    assert isinstance(received.event["data"], dict)


async def test_a_message_that_was_sent_is_told_with_the_documents_data(
    seed: Seed, database_url: str, make_world: MakeWorld
) -> None:
    world = await make_world(database_url=database_url, webhooks={"allow_private_addresses": True})
    await world.pair(ALICE)
    ada = await world.post("/api/recipients", {"name": "Ada", "phone_number": recipients(1)[0]})
    message = await world.post("/api/messages", seed.request("Create Message").body)
    group = await world.post("/api/recipients/groups", {"name": "All", "recipient_ids": [ada["id"]]})
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    request = seed.request("Webhook Configuration")
    async with Receiver(secret=request.body["secret"]).listening() as receiver:
        await world.post(request.path, request.body | {"url": receiver.url})
        body = {"message_id": message["id"], "group_id": group["id"], "scheduled_time": later}
        schedule = await world.post("/api/schedules", body)
        await world.post(f"/api/schedules/{schedule['id']}/send-now")
        [received] = await receiver.got(1, within=30)
    example = seed.answer("Webhook Payload")
    assert_like(example, received.event)
    assert received.event["event"] == example["event"]
    data = received.event["data"]
    assert (data["schedule_id"], data["recipient_id"]) == (schedule["id"], ada["id"])

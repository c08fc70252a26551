"""The document's section on WebSocket events: its connection as its client opens it, and its payloads."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, recipients
from tests.harness.live import opened, serving
from tests.seed_002.seed import Seed, assert_like

USER = {"email": "user@example.com", "password": "a long enough secret"}


def said(seed: Seed) -> dict[str, Any]:
    """What the document's client says when its socket is open."""
    [block] = seed.blocks("Connection", "javascript")
    text = re.search(r"JSON\.stringify\((\{.*?\})\)", block.text, re.DOTALL)
    assert text is not None
    quoted = re.sub(r"(\w+):", r'"\1":', text[1]).replace("'", '"')
    message: dict[str, Any] = json.loads(quoted)
    return message


def path(seed: Seed) -> str:
    """Where its client connects."""
    [block] = seed.blocks("Connection", "javascript")
    url = re.search(r"new WebSocket\('wss://[^/]+(/[^']*)'\)", block.text)
    assert url is not None
    return url[1]


def payloads(seed: Seed) -> dict[str, set[str]]:
    """The fields of each event of the table, where it names them."""
    found = {kind: re.search(r"\{(.*)\}", row[1]) for kind, row in seed.table("Event Types").items()}
    return {kind: {name.strip() for name in fields[1].split(",")} for kind, fields in found.items() if fields}


async def test_its_client_is_let_in_with_a_token_of_a_login(seed: Seed, make_world: MakeWorld) -> None:
    world = await make_world(capacities=(), auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    await world.admin("POST", "/api/admin/logins", USER, status=201)
    login = await world.post("/api/auth/login", USER)
    async with serving(world.gateway) as url:
        address = url.removesuffix("/ws") + path(seed)
        async with opened(address) as client:
            await client.say(**said(seed) | {"token": login["access_token"]})
            assert (await client.hear())["type"] == "ready"
        async with opened(address) as client:
            await client.say(**said(seed))  # as it stands: its token is no token
            assert (await client.closed())[0] == 4401


async def test_its_events_come_with_the_payloads_of_its_table(
    seed: Seed, database_url: str, make_world: MakeWorld
) -> None:
    world = await make_world(database_url=database_url)
    promised = payloads(seed)
    assert set(promised) == {"message.processing", "message.sent", "message.failed", "message.completed"}
    await world.pair(ALICE)
    await world.waha.tell("PUT", "/numbers", {"unregistered": recipients(1)})
    async with serving(world.gateway) as url, opened(url) as client:
        await client.say(type="auth")
        await client.hear()
        campaign = await world.send(recipients=recipients(2))
        heard: dict[str, Any] = {}
        while "message.completed" not in heard:
            told = await client.hear()
            heard[told["event"]] = told["data"]
    for kind, fields in promised.items():
        assert fields <= set(heard[kind]), kind
        assert heard[kind]["schedule_id"] == campaign["campaign_id"]
    webhook = json.loads(seed.blocks("Webhook Payload")[0].text)
    assert set(webhook) <= set(told)
    assert set(webhook["data"]) <= set(heard["message.sent"])


async def test_a_new_schedule_is_told_as_a_schedule_object(
    seed: Seed, database_url: str, make_world: MakeWorld
) -> None:
    assert seed.table("Event Types")["message.scheduled"][1] == "Schedule object"
    world = await make_world(database_url=database_url, capacities=())
    message = await world.post("/api/messages", seed.request("Create Message").body)
    group = await world.post("/api/recipients/groups", {"name": "VIP Customers"})
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    own = {"message_id": message["id"], "group_id": group["id"], "scheduled_time": later}
    async with serving(world.gateway) as url, opened(url) as client:
        await client.say(type="auth")
        await client.hear()
        made = await world.post("/api/schedules", seed.request("Schedule Message").body | own)
        told = await client.event("message.scheduled")
    assert_like(seed.answer("Schedule Message") | {"task_id": made["id"]}, told["data"])
    assert told["data"]["id"] == made["id"]

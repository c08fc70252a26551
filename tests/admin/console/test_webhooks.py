"""The console's webhooks: a secret that is shown once, a test, pausing, and each delivery with its answer."""

import re
from typing import Any

import httpx
import pytest

from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.conftest import MakeWorld
from tests.api.world import World, until
from tests.harness.receiver import SECRET, Receiver, status

PAGE, API = "/console/webhooks", "/api/webhooks"
URL = "https://your-app.com/hook"
NEW: dict[str, Any] = {"url": URL, "events": ["message.sent", "message.failed"], "description": "The <shop>"}


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway that may call loopback."""
    return await make_world(database_url=database_url, capacities=(), webhooks={"allow_private_addresses": True})


@pytest.fixture
async def headers(visitor: httpx.AsyncClient) -> dict[str, str]:
    """An operator is logged in: what their page sends with a change."""
    await log_in(visitor)
    return await proof(visitor)


async def all_webhooks(world: World) -> list[dict[str, Any]]:
    """What the API tells of them."""
    items: list[dict[str, Any]] = (await world.admin("GET", API)).json()["items"]
    return items


async def made(world: World, visitor: httpx.AsyncClient, headers: dict[str, str], url: str = URL) -> str:
    """The page of a webhook that was made by its form."""
    answer = await visitor.post(PAGE, data=NEW | {"url": url, "secret": SECRET, "key": "one"}, headers=headers)
    assert f'data-copy="{SECRET}"' in answer.text
    return f"{PAGE}/{(await all_webhooks(world))[0]['id']}"


async def test_a_webhook_is_made_once_and_its_secret_is_not_shown_again(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert "No webhooks yet" in plain((await visitor.get(PAGE)).text)
    assert (await visitor.post(PAGE, data=NEW)).status_code == 403
    page = await made(world, visitor, headers)
    await made(world, visitor, headers)
    (webhook,) = await all_webhooks(world)
    assert (webhook["events"], webhook["all_accounts"]) == (NEW["events"], False)
    listed, shown = (await visitor.get(PAGE)).text, (await visitor.get(page)).text
    assert "The &lt;shop&gt;" in listed
    assert "2 kinds of events" in listed
    assert SECRET not in listed + shown
    assert re.findall(r'name="events" value="([^"]+)" checked', shown) == NEW["events"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": ""}, "url"),
        ({"events": []}, "events"),
        ({"secret": "short"}, "secret"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str], wrong: dict[str, Any], field: str
) -> None:
    refused = await visitor.post(PAGE, data=NEW | wrong, headers=headers)
    assert refused.status_code == 422
    assert re.findall(r'class="field-error" id="error-(\w+)"', refused.text) == [field]
    assert "The &lt;shop&gt;" in refused.text
    assert await all_webhooks(world) == []


async def test_it_is_changed_paused_enabled_given_another_secret_and_removed(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    page = await made(world, visitor, headers)
    changed = await visitor.post(page, data=NEW | {"events": ["*"], "description": ""}, headers=headers)
    assert (changed.status_code, changed.headers["hx-refresh"]) == (204, "true")
    refused = await visitor.post(page, data=NEW | {"url": "nowhere"}, headers=headers)
    assert (refused.status_code, 'id="error-url"' in refused.text) == (422, True)
    for enabled, state in (("false", "Paused"), ("true", "Active")):
        switched = await visitor.post(f"{page}/switch", data={"enabled": enabled}, headers=headers)
        assert f"Status {state}" in plain(switched.text)
    (webhook,) = await all_webhooks(world)
    assert (webhook["events"], webhook["description"], webhook["enabled"]) == (["*"], "", True)
    rotated = await visitor.post(f"{page}/rotate-secret", data={"key": "two"}, headers=headers)
    secrets = re.findall(r'data-copy="(whsec_[^"]+)"', rotated.text)
    assert len(secrets) == 2
    assert secrets[0] not in (await visitor.get(page)).text
    gone = await visitor.delete(page, headers=headers)
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, PAGE)
    assert (await visitor.get(page)).status_code == 404


async def test_a_test_tells_what_was_answered_and_is_sent_again_on_demand(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    async with Receiver(
        lambda number: status(500 if number == 0 else 200, body=f"<answer {number}>")
    ).listening() as to:
        page = await made(world, visitor, headers, to.url)
        tested = await visitor.post(f"{page}/test", data={"key": "two"}, headers=headers)
        assert "The test was not delivered" in tested.headers["hx-trigger"]
        assert tested.headers["hx-trigger-after-swap"] == "deliveries-changed"
        shown = (await visitor.get(f"{page}/deliveries")).text
        assert "webhook.test" in shown
        assert "&lt;answer 0&gt;" in shown
        again = re.search(r'hx-post="([^"]+/replay)[^"]*" hx-vals=\'\{"key": "([^"]+)"\}\'', shown)
        assert again
        for _ in range(2):
            replayed = await visitor.post(again[1], data={"key": again[2]}, headers=headers)
            assert replayed.status_code == 200

        async def delivered() -> bool:
            text = (await visitor.get(f"{page}/deliveries", params={"state": "delivered"})).text
            return "&lt;answer 1&gt;" in text

        await until(delivered)
        assert len(to.requests) == 2
    seen = re.findall(r'name="seen" value="(\w+)"', (await visitor.get(f"{page}/deliveries")).text)[-1]
    assert (await visitor.get(f"{page}/deliveries", params={"seen": seen})).status_code == 204
    nothing = await visitor.get(f"{page}/deliveries", params={"state": "given_up"})
    assert "Nothing found" in nothing.text


async def test_another_account_sees_nothing_of_it(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    page = await made(world, visitor, headers)
    visitor.cookies.clear()
    await log_in_user(world, visitor, "acme")
    own = await proof(visitor)
    assert "No webhooks yet" in plain((await visitor.get(PAGE)).text)
    for answer in (
        await visitor.get(page),
        await visitor.get(f"{page}/deliveries"),
        await visitor.post(page, data=NEW, headers=own),
        await visitor.post(f"{page}/test", data={"key": "two"}, headers=own),
        await visitor.post(f"{page}/rotate-secret", data={"key": "two"}, headers=own),
        await visitor.delete(page, headers=own),
    ):
        assert answer.status_code == 404
    everybodys = await visitor.post(PAGE, data=NEW | {"all_accounts": "true"}, headers=own)
    assert everybodys.status_code == 403
    assert len(await all_webhooks(world)) == 1

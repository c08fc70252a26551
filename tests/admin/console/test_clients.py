"""The console's clients: what is wrong beside its field, a key that is shown once, limits, credit, removal."""

import re
from typing import Any

import httpx
import pytest

from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, World

PAGE, API = "/console/clients", "/api/admin/clients"
NEW = {"name": "infinity", "daily_limit": "1000", "balance": "100", "price": "0.05", "currency": "eur", "timezone": ""}
SHOWN_KEY = r'data-copy="(wgk_[^"]+)"'


@pytest.fixture
async def headers(visitor: httpx.AsyncClient) -> dict[str, str]:
    """An operator is logged in: what their page sends with a change."""
    await log_in(visitor)
    return await proof(visitor)


async def all_clients(world: World) -> list[dict[str, Any]]:
    """What the API tells of them."""
    items: list[dict[str, Any]] = (await world.admin("GET", API)).json()["items"]
    return items


async def made(world: World, visitor: httpx.AsyncClient, headers: dict[str, str]) -> tuple[str, str]:
    """A client that was made by its form: its page, and its key."""
    answer = await visitor.post(PAGE, data=NEW, headers=headers)
    assert answer.status_code == 200, answer.text
    key = re.search(SHOWN_KEY, answer.text)
    assert key
    return f"{PAGE}/{(await all_clients(world))[0]['id']}", key[1]


async def opens(world: World, key: str) -> bool:
    """Whether an API key lets in."""
    answer = await world.call("GET", "/api/recipients", headers={"Authorization": f"Bearer {key}"})
    return answer.status_code == 200


async def test_a_client_is_made_and_its_key_is_shown_this_once(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert "No clients yet" in plain((await visitor.get(PAGE)).text)
    assert (await visitor.post(PAGE, data=NEW)).status_code == 403
    page, key = await made(world, visitor, headers)
    assert await opens(world, key)
    assert "infinity 0.05 EUR a message 100.00 EUR 0 / 1,000" in plain((await visitor.get(PAGE)).text)
    shown = (await visitor.get(page)).text
    assert key not in shown
    assert key[:10] in shown


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "Infinity"}, "name"),
        ({"daily_limit": "many"}, "daily_limit"),
        ({"balance": "1.0000001"}, "balance"),
        ({"price": "-1"}, "price"),
        ({"currency": "euro"}, "currency"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"senders": "+447700900001\nask Ada"}, "senders"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str], wrong: dict[str, str], field: str
) -> None:
    await world.admin("POST", API, {"name": "infinity"}, status=201)
    refused = await visitor.post(PAGE, data=NEW | {"name": "Another"} | wrong, headers=headers)
    assert refused.status_code == 422
    assert re.findall(r'class="field-error" id="error-(\w+)"', refused.text) == [field]
    assert re.search(rf'id="field-{field}"[^>]* aria-invalid="true" autofocus', refused.text)
    if field != "daily_limit":
        assert 'value="1000"' in refused.text
    assert len(await all_clients(world)) == 1


async def test_a_client_is_changed_in_all_that_its_form_shows(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    await world.pair(ALICE)
    page, key = await made(world, visitor, headers)
    form = {"name": "Corner shop", "senders": f"{ALICE},\n", "price": "0.10", "timezone": "Europe/London"}
    done = await visitor.post(page, data=form | {"disabled": "true"}, headers=headers)
    assert (done.status_code, done.headers["hx-refresh"]) == (204, "true")
    (client,) = await all_clients(world)
    assert (client["name"], client["senders"], client["price"]) == ("Corner shop", [ALICE], "0.10")
    assert (client["daily_limit"], client["timezone"], client["disabled"]) == (None, "Europe/London", True)
    assert not await opens(world, key)
    refused = await visitor.post(page, data=form | {"price": ""}, headers=headers)
    assert 'id="error-price"' in refused.text


async def test_credit_is_added_once_however_often_the_button_is_clicked(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    page, _ = await made(world, visitor, headers)
    key = re.search(r'name="key" value="([0-9a-f]{32})"', (await visitor.get(page)).text)
    assert key
    for _ in range(2):
        done = await visitor.post(f"{page}/credit", data={"key": key[1], "amount": "20.50"}, headers=headers)
        assert done.status_code == 204
    assert (await all_clients(world))[0]["balance"] == "120.50"
    for amount in ("0", "much", ""):
        refused = await visitor.post(f"{page}/credit", data={"key": "other", "amount": amount}, headers=headers)
        assert 'id="error-amount"' in refused.text


async def test_keys_are_added_with_scopes_and_an_end_replaced_and_revoked(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    page, _ = await made(world, visitor, headers)
    form = {"name": "shop", "scopes": ["read"], "expires_at": "2126-01-02T10:00"}
    added = await visitor.post(f"{page}/keys", data=form, headers=headers)
    first = re.search(SHOWN_KEY, added.text)
    assert first
    assert 'datetime="2126-01-02T10:00:00Z"' in added.text
    assert await opens(world, first[1])
    keys = (await world.admin("GET", f"{API}/{page.rsplit('/', 1)[1]}/keys")).json()["items"]
    key_id = keys[0]["id"]
    assert keys[0]["scopes"] == ["read"]
    rotated = await visitor.post(f"{page}/keys/{key_id}/rotate", headers=headers)
    second = re.search(SHOWN_KEY, rotated.text)
    assert second
    assert (await opens(world, first[1]), await opens(world, second[1])) == (False, True)
    key_id = (await world.admin("GET", f"{API}/{page.rsplit('/', 1)[1]}/keys")).json()["items"][0]["id"]
    revoked = await visitor.delete(f"{page}/keys/{key_id}", headers=headers)
    assert "Revoked" in plain(revoked.text)
    assert not await opens(world, second[1])
    for wrong, field in (({"scopes": []}, "scopes"), ({"expires_at": "2020-01-01T10:00"}, "expires_at")):
        refused = await visitor.post(f"{page}/keys", data=form | wrong, headers=headers)
        assert (refused.status_code, f'id="error-{field}"' in refused.text) == (422, True), refused.text


async def test_a_removed_client_is_gone_with_its_keys(
    world: World, visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    page, key = await made(world, visitor, headers)
    gone = await visitor.delete(page, headers=headers)
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, PAGE)
    assert await all_clients(world) == []
    assert not await opens(world, key)
    assert (await visitor.get(page)).status_code == 404


async def test_users_neither_see_nor_change_clients(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert f'href="{PAGE}"' not in (await visitor.get("/console")).text
    assert (await visitor.get(PAGE)).status_code == 403
    assert (await visitor.get(f"{PAGE}/new")).status_code == 403
    assert (await visitor.post(PAGE, data=NEW, headers=headers)).status_code == 403
    assert await all_clients(world) == []

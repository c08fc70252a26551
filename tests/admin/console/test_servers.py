"""WAHA servers at the console: how they are, and how they are added, changed, drained and removed."""

import httpx
import pytest

from tests.admin.console.visitors import log_in, log_in_user, open_visitor, plain, proof
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, WAHA_KEY, World, until

LIST = "/console/servers"
PAGE = f"{LIST}/waha1"


async def test_the_list_shows_load_engine_and_what_is_wrong(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    text = plain((await visitor.get(LIST)).text)
    assert "waha1" in text
    assert "1 / 100" in text
    assert "GOWS" in text
    await world.waha.close()

    async def is_down() -> bool:
        return "Down" in plain((await visitor.get(f"{LIST}/-/rows")).text)

    assert await until(is_down)
    state = (await visitor.get(f"{PAGE}/state")).text
    assert 'class="field-error"' in state
    assert "Asked again in" in state


async def test_a_server_is_added_and_its_key_is_never_shown(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(database_url=database_url, capacities=(100, 100))
    async with open_visitor(world) as visitor:
        await log_in(visitor)
        headers = await proof(visitor)
        await world.admin("DELETE", "/api/admin/servers/waha2", status=200)
        typed = {"name": "another", "url": world.wahas[1].url, "api_key": WAHA_KEY, "capacity": "7"}
        added = await visitor.post(LIST, data=typed, headers=headers)
        assert (added.status_code, added.headers["hx-redirect"]) == (204, LIST), added.text
        pages = [(await visitor.get(path)).text for path in (LIST, f"{LIST}/another")]
        assert "0 / 7" in plain(pages[0])
        assert all(WAHA_KEY not in page for page in pages)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "-"), ("name", "waha1"), ("url", "ftp://127.0.0.1"), ("url", "http://127.0.0.1:9"), ("capacity", "many")],
)
async def test_what_is_wrong_with_a_new_server_is_said_beside_the_field(
    world: World, visitor: httpx.AsyncClient, field: str, value: str
) -> None:
    await log_in(visitor)
    typed = {"name": "another", "url": "http://127.0.0.1:9", "api_key": "secret", "capacity": "5", field: value}
    refused = await visitor.post(LIST, data=typed, headers=await proof(visitor))
    assert refused.status_code == 422, refused.text
    assert f'id="error-{field}"' in refused.text
    assert "secret" not in refused.text
    assert 'value="5"' in refused.text or field == "capacity"


async def test_a_server_is_changed_drained_and_removed(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    changed = await visitor.post(
        f"{PAGE}/change", data={"url": world.waha.url, "api_key": "", "capacity": "42"}, headers=headers
    )
    assert (changed.status_code, changed.headers["hx-refresh"]) == (204, "true"), changed.text
    wrong = await visitor.post(f"{PAGE}/change", data={"url": world.waha.url, "capacity": "0"}, headers=headers)
    assert wrong.status_code == 422
    assert 'id="error-capacity"' in wrong.text
    drained = await visitor.post(f"{PAGE}/drain", headers=headers)
    assert "Draining" in plain(drained.text)
    assert "0 / 42" in plain(drained.text)
    assert "Draining" not in plain((await visitor.post(f"{PAGE}/undrain", headers=headers)).text)
    gone = await visitor.post(f"{PAGE}/remove", headers=headers)
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, LIST)
    assert "No servers yet" in plain((await visitor.get(LIST)).text)


async def test_a_server_with_senders_is_removed_only_if_they_are_to_be_forgotten(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    headers = await proof(visitor)
    refused = await visitor.post(f"{PAGE}/remove", headers=headers | {"HX-Request": "true"})
    assert refused.status_code == 409
    assert "failed" in refused.headers["hx-trigger"]
    gone = await visitor.post(f"{PAGE}/remove", data={"force": "1"}, headers=headers)
    assert "1 of its senders were forgotten" in gone.headers["hx-trigger"]


async def test_a_sender_moves_to_another_server(make_world: MakeWorld, database_url: str) -> None:
    world = await make_world(database_url=database_url, capacities=(100, 100))
    async with open_visitor(world) as visitor:
        await world.post("/api/sessions", {"phone_number": ALICE})
        home = (await world.get(f"/api/sessions/{ALICE}"))["server"]
        other = {"waha1": "waha2", "waha2": "waha1"}[home]
        await log_in(visitor)
        page = await visitor.get(f"/console/senders/{ALICE[1:]}")
        assert f'<option value="{other}">' in page.text
        headers = await proof(visitor)
        moved = await visitor.post(f"/console/senders/{ALICE[1:]}/move", data={"server": other}, headers=headers)
        assert (moved.status_code, moved.headers["hx-refresh"]) == (204, "true"), moved.text
        assert (await world.get(f"/api/sessions/{ALICE}"))["server"] == other


async def test_servers_are_for_operators_and_change_only_with_the_proof(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    paths = (LIST, f"{LIST}/-/rows", f"{LIST}/-/add", PAGE, f"{PAGE}/state")
    assert [(await visitor.get(path)).status_code for path in paths] == [403] * len(paths)
    assert LIST not in (await visitor.get("/console")).text
    changes = ("", "/waha1/change", "/waha1/drain", "/waha1/undrain", "/waha1/remove")
    assert [(await visitor.post(LIST + path, headers=headers)).status_code for path in changes] == [403] * len(changes)
    await log_in(visitor)
    assert [(await visitor.post(LIST + path)).status_code for path in changes] == [403] * len(changes)
    assert len((await world.admin("GET", "/api/admin/servers", status=200)).json()["items"]) == 1

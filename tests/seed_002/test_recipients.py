"""The document's section on recipients: each request as it is written (ids replaced), each answer as it is shown."""

import asyncio
import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from campaigns.sending.models import Campaign, Message
from gateway.db import table_of
from gateway.ids import make_id
from tests.api.world import World
from tests.seed_002.seed import Seed, assert_like

pytestmark = pytest.mark.timeout(60)


async def make_group(world: World, name: str = "VIP Customers") -> str:
    """The id of a new group."""
    group = await world.post("/api/recipients/groups", {"name": name, "description": "Our most valued customers"})
    return str(group["id"])


async def create(world: World, seed: Seed, group_ids: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """The document's own recipient, in these groups."""
    request = seed.request("Create Recipient")
    body = request.body | {"group_ids": list(group_ids)} | fields
    answer: dict[str, Any] = (await world.call(request.method, request.path, body, status=201)).json()
    return answer


async def test_create_recipient(world: World, seed: Seed) -> None:
    group_id = await make_group(world)
    created = await create(world, seed, [group_id])
    assert_like(seed.answer("Create Recipient"), created)
    assert created["groups"] == [{"id": group_id, "name": "VIP Customers"}]
    assert (created["name"], created["phone_number"]) == ("John Doe", "+1234567890")


async def test_which_fields_are_required_and_how_long_they_may_be(world: World, seed: Seed) -> None:
    rows = seed.table("Create Recipient")
    assert {name: row[1] for name, row in rows.items()} == {"name": "Yes", "phone_number": "Yes", "group_ids": "No"}
    bounds = re.search(r"\((\d+)-(\d+) chars\)", rows["name"][2])
    assert bounds is not None
    body = {"name": "n" * int(bounds[2]), "phone_number": "+1234567890"}
    await world.call("POST", "/api/recipients", body, status=201)
    for wrong in ({"name": "n" * (int(bounds[2]) + 1)}, {"name": ""}, {"name": None}, {"phone_number": None}):
        error = (await world.call("POST", "/api/recipients", body | wrong, status=422)).json()
        assert [one["field"] for one in error["errors"]] == list(wrong)


async def test_the_errors_that_it_names(world: World, seed: Seed) -> None:
    codes = seed.table("Common Error Codes")
    body = seed.request("Create Recipient").body | {"group_ids": []}
    await world.call("POST", "/api/recipients", body, status=201)
    duplicate = (await world.call("POST", "/api/recipients", body, status=409)).json()
    wrong = (await world.call("POST", "/api/recipients", body | {"phone_number": "12ab"}, status=422)).json()
    assert (duplicate["error_code"], wrong["error_code"]) == ("DUPLICATE_RESOURCE", "INVALID_PHONE_NUMBER")
    assert {duplicate["error_code"], wrong["error_code"]} <= set(codes)
    example = seed.answer("Error Response Format")
    assert_like(example, wrong)
    assert [(one["field"], one["code"]) for one in wrong["errors"]] == [
        (one["field"], one["code"]) for one in example["errors"]
    ]


async def test_list_recipients(world: World, seed: Seed) -> None:
    group_id = await make_group(world)
    await create(world, seed, [group_id])
    request = seed.request("List Recipients")
    listed = (await world.call(request.method, request.path, status=200)).json()
    assert_like(seed.answer("List Recipients"), listed)
    assert listed["items"][0]["groups"] == [{"id": group_id, "name": "VIP Customers"}]


async def test_the_list_takes_every_parameter_and_has_its_defaults(world: World, seed: Seed) -> None:
    group_id = await make_group(world)
    await create(world, seed, [group_id])
    await create(world, seed, name="Jane Smith", phone_number="+12125550123")
    parameters = seed.table("List Recipients")
    assert set(parameters) == {"skip", "limit", "search", "group_id"}
    defaults = {name: row[2] for name, row in parameters.items() if row[2] != "-"}
    listed = await world.get("/api/recipients", **defaults)
    assert listed == await world.get("/api/recipients")
    assert listed["total"] == 2
    for wanted in ({"group_id": group_id}, {"search": "john"}, {"search": "+1234"}):
        found = await world.get("/api/recipients", **wanted)
        assert [item["name"] for item in found["items"]] == ["John Doe"], wanted


async def send_to(world: World, phone: str, sent_at: float) -> None:
    """A message of the local account that has left."""
    campaign_id, message_id = make_id(sent_at), make_id(sent_at)
    async with world.db.write() as tx:
        await tx.execute(
            insert(table_of(Campaign)).values(
                Campaign(
                    id=campaign_id, account_id="local", sender_number="447700900001", template="Hi", created_at=sent_at
                ).model_dump()
            )
        )
        await tx.execute(
            insert(table_of(Message)).values(
                Message(
                    id=message_id,
                    campaign_id=campaign_id,
                    seq=0,
                    phone=phone,
                    state="sent",
                    created_at=sent_at,
                    sent_at=sent_at,
                ).model_dump()
            )
        )


async def test_get_recipient(world: World, seed: Seed) -> None:
    created = await create(world, seed, [await make_group(world)])
    request = seed.request("Get Recipient")
    path = request.path.format(recipient_id=created["id"])
    fresh = (await world.call(request.method, path, status=200)).json()
    assert (fresh["message_count"], fresh["last_message_date"]) == (0, None)
    for sent_at in (1705329000.0, 1704103200.0):
        await send_to(world, "1234567890", sent_at)
    shown = (await world.call(request.method, path, status=200)).json()
    assert_like(seed.answer("Get Recipient"), shown)
    assert shown["message_count"] == 2
    assert shown["last_message_date"] == seed.answer("Get Recipient")["last_message_date"]
    assert shown["groups"][0]["description"] == "Our most valued customers"


async def test_delete_recipient(world: World, seed: Seed) -> None:
    created = await create(world, seed)
    request = seed.request("Delete Recipient")
    answer = await world.call(request.method, request.path.format(recipient_id=created["id"]), status=204)
    assert answer.content == b""
    await world.call("GET", f"/api/recipients/{created['id']}", status=404)


async def test_the_workflows_third_step_works_as_written(world: World, seed: Seed) -> None:
    group_id = await make_group(world, "Holiday Campaign")
    text = seed.blocks("3. Add Recipients", "bash")[0].text
    body = re.search(r"-d '(\{.*?\})'", text, re.DOTALL)
    assert body is not None
    content = body[1].replace("group-id-here", group_id)
    headers = {"Content-Type": "application/json"}
    await world.call("POST", "/api/recipients", status=201, content=content, headers=headers)
    assert (await world.get("/api/recipients", group_id=group_id))["items"][0]["name"] == "Jane Smith"


async def test_the_loop_of_the_bulk_import_example_runs_as_written(
    world: World, seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its code is executed as it stands; only what it knows as `requests` calls this gateway."""
    group_id = await make_group(world)
    code = seed.blocks("Bulk Import Example", "python")[0].text.replace("group-id-here", group_id)
    rows = [("Ada", "+44 7700 900100"), ("Bert", "0044 7700 900101"), ("Ada again", "+447700900100"), ("Nobody", "n/a")]
    with (tmp_path / "recipients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "phone"), *rows])
    monkeypatch.chdir(tmp_path)
    loop = asyncio.get_running_loop()

    def post(url: str, json: dict[str, Any]) -> httpx.Response:
        path = url.removeprefix("https://api.example.com")
        return asyncio.run_coroutine_threadsafe(world.call("POST", path, json), loop).result(20)

    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(post=post))
    await asyncio.to_thread(exec, compile(code, "bulk import example", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["Created: Ada", "Created: Bert"]
    assert [line.split(" - ")[0] for line in told[2:]] == ["Failed: Ada again", "Failed: Nobody"]
    assert "DUPLICATE_RESOURCE" in told[2]
    assert "INVALID_PHONE_NUMBER" in told[3]
    members = await world.get("/api/recipients", group_id=group_id)
    assert {item["phone_number"] for item in members["items"]} == {"+447700900100", "+447700900101"}

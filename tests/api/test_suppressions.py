"""The suppression list at the API: added, found, exported, imported, removed, and told at every door."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import table_of
from gateway.notifications.models import Event
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, World, recipients, until

pytestmark = pytest.mark.timeout(120)

PATH = "/api/suppressions"
ADA, BERT = recipients(2)
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}


async def add(world: World, phone: str = ADA, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await world.post(PATH, {"phone_number": phone, **fields})
    return answer


async def test_a_number_is_put_on_the_list_found_and_taken_off_with_its_history(world: World) -> None:
    made = await add(world, reason="asked on the phone")
    assert (made["phone_number"], made["source"], made["all_accounts"]) == (ADA, "api", False)
    assert await world.get(f"{PATH}/{ADA}") == made
    assert (await world.call("GET", f"{PATH}/{BERT}")).status_code == 404
    await world.call("DELETE", f"{PATH}/{ADA}", status=422)
    await world.call("DELETE", f"{PATH}/{ADA}", params={"reason": "changed her mind"}, status=204)
    await world.call("DELETE", f"{PATH}/{ADA}", params={"reason": "again"}, status=404)
    history = await world.get(f"{PATH}/{ADA}/history")
    assert [(step["action"], step["reason"], step["by"]) for step in history["items"]] == [
        ("opted_in", "changed her mind", "account"),
        ("opted_out", "asked on the phone", "account"),
    ]


async def test_what_is_on_the_list_is_a_duplicate_and_what_is_no_number_is_refused(world: World) -> None:
    await add(world)
    again = await world.call("POST", PATH, {"phone_number": ADA}, status=409)
    assert again.json()["error_code"] == "DUPLICATE_RESOURCE"
    wrong = await world.call("POST", PATH, {"phone_number": "ask Bert"}, status=422)
    assert wrong.json()["errors"][0]["field"] == "phone_number"


async def test_the_same_key_gives_the_same_answer(world: World) -> None:
    key = {"Idempotency-Key": "one"}
    first = await world.call("POST", PATH, {"phone_number": ADA}, headers=key, status=201)
    second = await world.call("POST", PATH, {"phone_number": ADA}, headers=key, status=201)
    assert first.json() == second.json()


async def test_the_list_is_searched_and_filtered(world: World) -> None:
    await add(world, ADA, reason="Zoë asked")
    await add(world, BERT, source="console")
    assert (await world.get(PATH))["total"] == 2
    for params in ({"search": "ZOË"}, {"search": ADA[-4:]}, {"source": "api"}):
        assert [row["phone_number"] for row in (await world.get(PATH, **params))["items"]] == [ADA]


async def test_only_an_operator_stops_a_number_for_all_accounts_and_starts_it_again(world: World) -> None:
    refused = await world.call("POST", PATH, {"phone_number": ADA, "all_accounts": True}, status=403)
    assert refused.json()["error_code"] == "FORBIDDEN"
    await world.post(PATH, {"phone_number": ADA, "all_accounts": True}, headers=OPERATOR)
    assert (await world.get(f"{PATH}/{ADA}"))["all_accounts"] is True
    params = {"reason": "x"}
    await world.call("DELETE", f"{PATH}/{ADA}", params=params, status=404)
    await world.call("DELETE", f"{PATH}/{ADA}", params=params | {"all_accounts": "true"}, status=403)
    params["all_accounts"] = "true"
    await world.call("DELETE", f"{PATH}/{ADA}", params=params, headers=OPERATOR, status=204)


async def test_a_list_is_imported_and_what_is_exported_can_be_imported_again(world: World) -> None:
    file = f"Phone,Reason\n{ADA},=HYPERLINK(1)\n{BERT},\n{BERT},\nask Ada,\n,\n".encode()
    told = (await world.call("POST", f"{PATH}/import", files={"file": file}, params={"reason": "old list"})).json()
    assert told["bad_rows"] == [{"line": 5, "phone_number": "ask Ada", "reason": told["bad_rows"][0]["reason"]}]
    counts = {name: count for name, count in told.items() if name != "bad_rows"}
    assert counts == {"rows": 5, "added": 2, "existing": 0, "duplicate": 1, "invalid": 1, "blank": 1}
    exported = await world.call("GET", f"{PATH}/export", status=200)
    rows = list(csv.DictReader(io.StringIO(exported.content.decode("utf-8-sig"))))
    assert [(row["phone"], row["reason"]) for row in rows] == [(ADA[1:], "'=HYPERLINK(1)"), (BERT[1:], "old list")]
    again = await world.call(
        "POST", f"{PATH}/import", content=exported.content, headers={"Content-Type": "text/csv"}, status=200
    )
    assert (again.json()["added"], again.json()["existing"]) == (0, 2)
    assert (await world.get(f"{PATH}/{ADA}/history"))["total"] == 1


async def test_what_is_no_list_is_refused_and_nothing_is_stored(world: World) -> None:
    answer = await world.call("POST", f"{PATH}/import", files={"file": b"a,b\nc,d\n"}, status=422)
    assert answer.json()["errors"][0]["field"] == "file"
    assert (await world.get(PATH))["total"] == 0


async def test_send_and_preview_tell_who_has_opted_out_and_skip_them(world: World) -> None:
    await world.pair(ALICE)
    await add(world, reason="asked on the phone")
    body = {"sender_number": ALICE, "template": "Hello", "recipients": [ADA, BERT]}
    preview = await world.post("/api/send/preview", body)
    assert (preview["valid"], preview["opted_out_count"]) == (1, 1)
    assert [one["recipient"] for one in preview["samples"]] == [BERT]
    assert preview["shares"] == {ALICE: 1}
    campaign = await world.send(recipients=[ADA, BERT])
    assert [(row["recipient"], row["code"]) for row in campaign["opted_out"]] == [(ADA, "opted_out")]
    done = await world.finished(campaign)
    assert (done["status"], done["skipped"], done["sent"]) == ("completed", 1, 1)
    skipped = next(one for one in done["messages"]["items"] if one["recipient"] == ADA)
    assert (skipped["status"], skipped["error_code"]) == ("skipped", "opted_out")
    assert "asked on the phone" in skipped["error"]
    assert [one["chat_id"] for one in await world.waha.ledger()] == [f"{BERT[1:]}@c.us"]


async def test_a_campaign_to_nobody_else_is_taken_and_has_ended(world: World) -> None:
    await world.pair(ALICE)
    await add(world)
    campaign = await world.send(recipients=[ADA])
    assert (campaign["status"], campaign["skipped"]) == ("failed", 1)
    assert campaign["reason"] == "all of its recipients have opted out"


async def test_a_schedule_skips_who_has_opted_out(world: World) -> None:
    await world.pair(ALICE)
    people = [
        await world.post("/api/recipients", {"name": name, "phone_number": phone})
        for name, phone in (("Ada", ADA), ("Bert", BERT))
    ]
    group = await world.post(
        "/api/recipients/groups", {"name": "All", "recipient_ids": [person["id"] for person in people]}
    )
    template = await world.post("/api/messages", {"title": "Hello", "content": "Hello {{name}}"})
    await add(world)
    schedule = await world.post(
        "/api/schedules",
        {
            "message_id": template["id"],
            "group_id": group["id"],
            "scheduled_time": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
        },
    )
    await world.call("POST", f"/api/schedules/{schedule['id']}/send-now")

    async def sent() -> list[dict[str, Any]]:
        return await world.waha.ledger()

    assert [one["text"] for one in await until(sent)] == ["Hello Bert"]


async def test_the_account_limits_how_often_people_are_written_to(world: World) -> None:
    await world.pair(ALICE)
    assert await world.get("/api/frequency-cap") == {"messages": None, "days": None}
    await world.call("PUT", "/api/frequency-cap", {"messages": 1, "days": 7}, status=200)
    assert await world.get("/api/frequency-cap") == {"messages": 1, "days": 7}
    await world.finished(await world.send(recipients=[ADA]))
    done = await world.finished(await world.send(recipients=[ADA, BERT]))
    skipped = [one for one in done["messages"]["items"] if one["status"] == "skipped"]
    assert [(one["recipient"], one["error_code"]) for one in skipped] == [(ADA, "frequency_cap")]
    await world.call("DELETE", "/api/frequency-cap", status=204)
    assert (await world.finished(await world.send(recipients=[ADA])))["sent"] == 1


@pytest.mark.parametrize(
    "cap", [{"messages": 0, "days": 1}, {"messages": 1, "days": 367}, {"messages": True, "days": 1}]
)
async def test_a_limit_that_makes_no_sense_is_refused(world: World, cap: dict[str, Any]) -> None:
    await world.call("PUT", "/api/frequency-cap", cap, status=422)
    await world.send(frequency_cap=cap, status=422)


async def test_opting_out_and_in_is_told(make_world: MakeWorld) -> None:
    world = await make_world(webhooks={"allow_private_addresses": True})
    hook = {"url": "http://127.0.0.1:9/", "events": ["contact.opted_out", "contact.opted_in"]}
    await world.post("/api/webhooks", hook)
    await add(world, reason="asked on the phone")
    await world.call("DELETE", f"{PATH}/{ADA}", params={"reason": "changed her mind"}, status=204)
    async with world.db.read() as connection:
        events = (await connection.execute(table_of(Event).select().order_by(table_of(Event).c.id))).all()
    assert [(row.kind, row.account_id) for row in events] == [
        ("contact.opted_out", LOCAL_ACCOUNT),
        ("contact.opted_in", LOCAL_ACCOUNT),
    ]
    assert ADA in events[0].data


async def test_each_account_has_its_own_list(make_world: MakeWorld) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    for account in ("local", "acme"):
        await world.gateway.identity.users.create(f"user@{account}.example", "secure_password", account)
    headers = []
    for account in ("local", "acme"):
        login = {"email": f"user@{account}.example", "password": "secure_password"}
        tokens = await world.post("/api/auth/login", login)
        headers.append({"Authorization": f"Bearer {tokens['access_token']}"})
    await world.post(PATH, {"phone_number": ADA}, headers=headers[0])
    assert (await world.call("GET", f"{PATH}/{ADA}", headers=headers[1])).status_code == 404
    assert (await world.call("GET", PATH, headers=headers[1])).json()["total"] == 0
    assert (await world.call("GET", f"{PATH}/{ADA}/history", headers=headers[1])).json()["total"] == 0
    gone = await world.call("DELETE", f"{PATH}/{ADA}", params={"reason": "x"}, headers=headers[1])
    assert gone.status_code == 404
    assert (await world.call("GET", f"{PATH}/{ADA}", headers=OPERATOR)).status_code == 200


async def test_an_operator_keeps_the_list_of_any_account_and_nobody_else_does(world: World) -> None:
    await world.gateway.identity.users.create("user@acme.example", "secure_password", "acme")
    of_acme: dict[str, Any] = {"params": {"account": "acme"}, "headers": OPERATOR}
    wish = {"phone_number": ADA, "account": "acme", "source": "console"}
    await world.call("POST", PATH, wish, status=403)
    made = await world.post(PATH, wish, headers=OPERATOR)
    assert (made["account"], made["all_accounts"]) == ("acme", False)
    assert (await world.get(PATH))["total"] == 0
    assert (await world.call("GET", PATH, **of_acme)).json()["items"] == [made]
    assert (await world.call("GET", f"{PATH}/{ADA}", **of_acme)).json() == made
    for path in (PATH, f"{PATH}/export", f"{PATH}/{ADA}", f"{PATH}/{ADA}/history"):
        await world.call("GET", path, params={"account": "acme"}, status=403)
    gone = {"reason": "a mistake", "account": "acme", "source": "console"}
    await world.call("DELETE", f"{PATH}/{ADA}", params=gone, status=403)
    await world.call("DELETE", f"{PATH}/{ADA}", params={"reason": "not there"}, headers=OPERATOR, status=404)
    await world.call("DELETE", f"{PATH}/{ADA}", params=gone, headers=OPERATOR, status=204)
    steps = (await world.call("GET", f"{PATH}/{ADA}/history", **of_acme)).json()["items"]
    assert [(step["action"], step["source"], step["account"]) for step in steps] == [
        ("opted_in", "console", "acme"),
        ("opted_out", "console", "acme"),
    ]


async def test_an_account_that_is_not_there_has_no_list(world: World) -> None:
    for fields in ({"account": "nobody"}, {"account": "local", "all_accounts": True}):
        refused = await world.call("POST", PATH, {"phone_number": ADA, **fields}, headers=OPERATOR, status=422)
        assert refused.json()["errors"][0]["field"] == "account"
    assert (await world.call("GET", PATH, headers=OPERATOR)).json()["total"] == 0

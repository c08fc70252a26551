"""The messaging API over HTTP beside single messages: numbers, balance, campaigns, statistics."""

import importlib
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text, update

from campaigns.doors.messaging import stats_queries
from campaigns.sending.models import Campaign
from gateway.db import table_of
from tests.api.conftest import MakeWorld
from tests.api.test_clients import bearer, make_client
from tests.api.test_messaging import ADA, API, BEA, BULK, CLEO, SEND, bulk, has_left, hello
from tests.api.world import ALICE, BERT, Body, World, until

pytestmark = pytest.mark.timeout(60)

VALIDATE, BALANCE, STATS = f"{API}/validate-phone/", f"{API}/account/balance/", f"{API}/stats/"
CREATE = f"{API}/create-campaign-send/"
DAY = 86_400.0


async def look(world: World, number: str, made: Body, *, status: int = 200) -> Body:
    """What is told of a number."""
    answer = await world.call("POST", VALIDATE, {"phone_number": number}, headers=bearer(made), status=status)
    told: Body = answer.json()
    return told


# --- a number


async def test_a_number_is_looked_up_at_whatsapp_once_and_the_answer_kept(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_minute": 1, "reads_per_minute": 0, "writes_per_minute": 0})
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE])
    await world.waha.tell("PUT", "/numbers", {"unregistered": [BEA[1:]]})
    told = await look(world, "+1 (212) 555-0123", made)
    assert (told["is_valid"], told["formatted_number"], told["can_receive_messages"]) == (True, "+12125550123", True)
    assert (told["region"], told["type"], told["reason"]) == ("US", "fixed_line_or_mobile", None)
    assert told["checked_at"] > 1_700_000_000
    assert await look(world, "12125550123", made) == told
    error = await look(world, BEA, made, status=429)
    assert (error["success"], error["error_code"]) == (False, "RATE_LIMIT_EXCEEDED")
    await world.admin("PATCH", f"/api/admin/clients/{made['id']}", {"messages_per_minute": 10}, status=200)
    assert (await look(world, BEA, made))["can_receive_messages"] is False
    await world.call("POST", SEND, hello(), headers=bearer(made), status=200)


async def test_where_nobody_can_be_asked_it_is_not_known_and_that_is_said(world: World) -> None:
    made = await make_client(world, senders=[ALICE])
    told = await look(world, ADA, made)
    assert told["can_receive_messages"] is None
    assert "connected" in told["reason"]
    await world.pair(BERT)  # of another account
    assert (await look(world, ADA, made))["can_receive_messages"] is None


async def test_a_server_that_does_not_answer_is_not_a_no(world: World) -> None:
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE])
    await world.waha.close()
    told = await look(world, ADA, made)
    assert (told["can_receive_messages"], told["formatted_number"]) == (None, ADA)
    assert "did not answer" in told["reason"]


async def test_what_is_no_number_is_not_valid(world: World) -> None:
    made = await make_client(world)
    told = await look(world, "letters", made)
    assert (told["is_valid"], told["formatted_number"], told["can_receive_messages"]) == (False, None, False)
    assert told["reason"]
    error = (await world.call("POST", VALIDATE, {}, headers=bearer(made), status=422)).json()
    assert (error["success"], [one["field"] for one in error["errors"]]) == (False, ["phone_number"])


async def test_the_carrier_is_that_of_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    carriers = importlib.import_module("phonenumbers.carrier")
    monkeypatch.setattr(carriers, "name_for_number", lambda number, language: f"carrier of {number.national_number}")
    told = await look(world, "+447700900123", await make_client(world))
    assert told["carrier_info"] == "carrier of 7700900123"


def test_a_start_does_not_read_the_list_of_carriers() -> None:
    code = "import sys, gateway.web; print('phonenumbers.carrierdata' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]


# --- the account


async def test_a_clients_balance_is_told_to_the_last_decimal_and_its_day_as_it_is(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE], balance="1000.60", price="0.10", daily_limit=1000, currency="EUR")
    await world.call("POST", SEND, hello(), headers=bearer(made), status=200)
    await has_left(world)

    async def ask() -> Any:
        answer = await world.call("GET", BALANCE, headers=bearer(made), status=200)
        return json.loads(answer.text, parse_float=Decimal)

    async def charged() -> Any:
        told = await ask()
        return told if told["messages_sent_today"] else None

    assert await until(charged) == {
        "balance": Decimal("1000.50"),
        "currency": "EUR",
        "messages_sent_today": 1,
        "messages_limit_daily": 1000,
        "messages_remaining": 999,
    }
    assert '"balance":1000.50,' in (await world.call("GET", BALANCE, headers=bearer(made))).text
    small = await make_client(world, "small", balance="-0.000001")
    assert '"balance":-0.000001,' in (await world.call("GET", BALANCE.rstrip("/"), headers=bearer(small))).text


async def test_without_a_client_there_is_no_balance_and_no_limit(world: World) -> None:
    await world.pair(ALICE)
    await world.post(SEND, hello())
    none = dict.fromkeys(("balance", "currency", "messages_limit_daily", "messages_remaining"))

    async def told() -> bool:
        return bool(await world.get(BALANCE) == none | {"messages_sent_today": 1})

    assert await until(told)  # a message is counted when it is settled, a moment after it has left


# --- a campaign


def campaign(*numbers: str, **fields: Any) -> Body:
    """A campaign."""
    return {"message_template": "Hello {{name}}!", "phone_numbers": list(numbers), "campaign_name": "Spring", **fields}


async def test_a_campaign_takes_the_good_numbers_and_lists_the_others(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE])
    person = {"name": "Ada", "phone_number": ADA}
    await world.call("POST", "/api/recipients", person, headers=bearer(made), status=201)
    await world.call("POST", "/api/suppressions", {"phone_number": CLEO}, headers=bearer(made), status=201)
    body = campaign("0044 7700 900100", ADA, "letters", BEA, CLEO, priority="high")
    told = (await world.call("POST", CREATE, body, headers=bearer(made), status=200)).json()
    assert (told["success"], told["campaign_name"], told["priority"]) == (True, "Spring", "high")
    counts = ("total", "queued", "duplicates", "invalid_count", "opted_out_count")
    assert [told[name] for name in counts] == [5, 2, 1, 1, 1]
    assert [(one["index"], one["recipient"]) for one in told["invalid"]] == [(2, "letters")]
    assert [one["recipient"] for one in told["opted_out"]] == [CLEO]
    texts = {one["chat_id"]: one["text"] for one in await has_left(world, 2)}
    assert texts == {f"{ADA[1:]}@c.us": "Hello Ada!", f"{BEA[1:]}@c.us": f"Hello {BEA}!"}
    status = await world.call("GET", f"/api/status/{told['campaign_id']}", headers=bearer(made), status=200)
    assert status.json()["name"] == "Spring"


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("Hi {{ name | friend }}", {}, "Hi friend"),
        ("Hi {{name}}", {"Name": "you"}, "Hi you"),
        ("{{NAME}} at {{shop}}", {"shop": "Acme"}, f"{BEA} at Acme"),
        ("Hi", {}, "Hi"),
    ],
)
async def test_a_name_that_is_not_known_is_the_number_unless_something_else_was_said(
    world: World, template: str, variables: Body, text: str
) -> None:
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE])
    body = campaign(BEA, message_template=template, variables=variables)
    await world.call("POST", CREATE, body, headers=bearer(made), status=200)
    assert [one["text"] for one in await has_left(world)] == [text]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (campaign(ADA, use_ai_personalization=True), "use_ai_personalization", "NOT_CONFIGURED"),
        (campaign(), "phone_numbers", "VALIDATION_ERROR"),
        (campaign("letters"), "phone_numbers.0", "INVALID_PHONE_NUMBER"),
        (campaign(ADA, message_template="Hi {{shop}}"), "phone_numbers.0.variables", "VALIDATION_ERROR"),
        (campaign(ADA, message_template="Hi {{name"), "message_template", "VALIDATION_ERROR"),
        (campaign(ADA, message_template=" "), "message_template", "VALIDATION_ERROR"),
        (campaign(ADA, priority="asap"), "priority", "VALIDATION_ERROR"),
        (campaign(*[ADA] * 10_001), "phone_numbers", "VALIDATION_ERROR"),
    ],
)
async def test_a_campaign_that_cannot_be_is_refused_and_nothing_is_queued(
    world: World, body: Body, field: str, code: str
) -> None:
    made = await make_client(world, senders=[ALICE])
    error = (await world.call("POST", CREATE, body, headers=bearer(made), status=422)).json()
    assert [one["field"] for one in error["errors"]] == [field]
    assert (error["error_code"], error["success"], error["error"]) == (code, False, error["detail"])
    assert await world.count(Campaign) == 0


async def test_the_same_key_is_one_campaign(world: World) -> None:
    made = await make_client(world, senders=[ALICE])
    headers = bearer(made) | {"Idempotency-Key": "k"}
    first = (await world.call("POST", CREATE, campaign(ADA), headers=headers, status=200)).json()
    assert (await world.call("POST", CREATE, campaign(ADA), headers=headers, status=200)).json() == first
    assert await world.count(Campaign) == 1


# --- statistics


async def test_statistics_add_up_by_status_by_day_and_by_campaign(any_world: World) -> None:
    world = any_world
    made = await make_client(world, senders=[ALICE], timezone="Asia/Kolkata")
    other = await make_client(world, "other", senders=[BERT])
    headers = bearer(made)
    await world.call("POST", BULK, bulk(hello(), hello(BEA), campaign_id="spring"), headers=headers, status=200)
    await world.call("POST", CREATE, campaign(ADA, BEA, CLEO), headers=headers, status=200)
    await world.call("POST", SEND, hello(), headers=bearer(other), status=200)
    table = table_of(Campaign)
    async with world.db.write() as tx:
        counted = {"n_queued": 0, "n_sent": 1, "n_read": 1, "n_failed": 1, "n_replied": 1}
        earlier = {"created_at": table.c.created_at - 2 * DAY}
        await tx.execute(update(table).where(table.c.name == "Spring").values(**counted, **earlier))
    stats = (await world.call("GET", STATS, params={"days": 3}, headers=headers, status=200)).json()
    assert stats["totals"] == {"messages": 5, "sent": 2, "delivered": 1, "read": 1, "failed": 1, "replied": 1}
    assert (stats["delivery_rate"], stats["reply_rate"], stats["timezone"]) == (0.5, 0.5, "Asia/Kolkata")
    none = dict.fromkeys(("sending", "delivered"), 0)
    assert stats["by_status"] == {"queued": 2, "sent": 1, "read": 1, "failed": 1, **none}
    assert [(day["total"], day["queued"]) for day in stats["by_day"]] == [(3, 0), (2, 2)]
    assert stats["by_day"][0]["date"] < stats["by_day"][1]["date"]
    by_campaign = {one["campaign"]: (one["total"], one["replied"], one["reply_rate"]) for one in stats["by_campaign"]}
    assert by_campaign == {"Spring": (3, 1, 0.5), "spring": (2, 0, None)}
    assert stats["campaigns"] == 2
    today = (await world.call("GET", STATS, params={"days": 1}, headers=headers, status=200)).json()
    assert today["totals"]["messages"] == 2


@pytest.mark.parametrize("days", [0, 366, "x"])
async def test_days_are_from_1_to_365(module_world: World, days: object) -> None:
    error = (await module_world.call("GET", STATS, params={"days": days}, status=422)).json()
    assert (error["success"], [one["field"] for one in error["errors"]]) == (False, ["days"])


async def test_statistics_look_at_no_message_and_at_no_other_account(world: World) -> None:
    asked: list[Any] = []
    async with world.db.read() as connection:
        listening = connection.sync_connection
        event.listen(listening, "before_execute", lambda _c, query, *_: asked.append(query))
        await stats_queries.by_slot(connection, "local", 0.0)
        await stats_queries.by_campaign(connection, "local", 0.0, 5)
        queries = [query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}) for query in asked]
        plans = [str((await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()) for query in queries]
    assert len(plans) == 3
    for plan in plans:
        assert "ix_campaign_account_created (account_id=? AND created_at>?)" in plan
        assert "SCAN campaign" not in plan

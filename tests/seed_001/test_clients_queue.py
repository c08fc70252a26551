"""Clients with keys, contacts and a queue: the document's tables and its request, section by section."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.audience.models import Recipient
from campaigns.sending.models import Message
from tests.api.test_clients import bearer, client_of, make_client
from tests.api.world import ALICE, BERT, Body, World, until
from tests.seed_002.seed import Seed

DANI = "+447700900100"
PATH = "/send-message/"
TEXT = "Hello Dani, {{this}} is for you"


def table(seed: Seed, name: str) -> dict[str, tuple[str, ...]]:
    """The fields of a model, by their names."""
    return seed.table(next(one for one in seed.titles() if one.strip().strip("`") == name))


def request_of(seed: Seed, client: Body) -> Body:
    """The document's request, which lacks a comma, quotes and the text: the same fields, repaired, for our client."""
    example = seed.source.partition("#### Request:")[2].partition("}")[0]
    assert re.findall(r"\"?(\w+)\"?: \"", example) == list(FIELDS[:4])
    return dict(zip(FIELDS, ("infinity", client["api_key"], DANI, "Dani", TEXT), strict=True))


FIELDS = ("client_name", "api_key", "phone", "name", "text")


async def entry(world: World, client: Body, entry_id: str) -> Body:
    """An entry of the queue as the client sees it."""
    found: Body = (await world.call("GET", f"{PATH}{entry_id}", headers=bearer(client), status=200)).json()
    return found


async def has_status(world: World, client: Body, entry_id: str, status: str) -> Body:
    """The entry, as soon as it has this status."""

    async def look() -> Body | None:
        found = await entry(world, client, entry_id)
        return found if found["status"] == status else None

    found = await until(look)
    assert found is not None
    return found


async def test_a_message_is_queued_for_a_contact_and_sent(world: World, client: Body, seed: Seed) -> None:
    body = request_of(seed, client)
    made = (await world.call("POST", PATH, body, status=201)).json()
    queue = set(table(seed, "MessageQueue"))
    assert queue <= set(made), "every field of the document's queue"
    assert set(table(seed, "Contact")) - {"client"} <= set(made["contact"])
    assert made["status"] in ("pending", "sent")
    assert (made["client"], made["text"], made["error_reason"]) == ("infinity", TEXT, None)
    assert (made["contact"]["name"], made["contact"]["phone"]) == ("Dani", DANI)
    sent = await has_status(world, client, made["id"], "sent")
    assert sent["sent_at"] is not None
    [taken] = await world.waha.ledger()
    assert (taken["session"], taken["chat_id"], taken["text"]) == (ALICE[1:], f"{DANI[1:]}@c.us", TEXT)
    assert (await client_of(world, client))["balance"] == "9.95"


async def test_a_contact_is_made_once_and_keeps_its_name(world: World, client: Body, seed: Seed) -> None:
    body = request_of(seed, client)
    first = (await world.call("POST", PATH, body, status=201)).json()
    again = (await world.call("POST", PATH, body | {"name": "Daniel", "text": "again"}, status=201)).json()
    assert first["contact"] == again["contact"]
    assert first["id"] != again["id"]
    assert await world.count(Recipient) == 1


async def test_with_a_key_for_it_the_same_message_is_queued_once(world: World, client: Body, seed: Seed) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [
        (await world.call("POST", PATH, request_of(seed, client), headers=headers, status=201)).json() for _ in range(2)
    ]
    assert answers[0]["id"] == answers[1]["id"]
    assert await world.count(Message) == 1
    await world.call("POST", PATH, request_of(seed, client) | {"text": "other"}, headers=headers, status=422)


async def test_a_scheduled_message_waits_for_its_time(world: World, client: Body, seed: Seed) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    body = request_of(seed, client) | {"scheduled_time": tomorrow.isoformat()}
    made = (await world.call("POST", PATH, body, status=201)).json()
    assert (made["status"], datetime.fromisoformat(made["scheduled_time"])) == ("pending", tomorrow)
    assert await world.waha.ledger() == []


@pytest.mark.parametrize(
    "change",
    [{"client_name": "others"}, {"api_key": "wgk_" + "x" * 43}, {"api_key": "123456"}, {"api_key": "wgk_\u0660"}],
)
async def test_a_key_that_is_not_the_named_clients_is_refused(
    world: World, client: Body, seed: Seed, change: dict[str, Any]
) -> None:
    await make_client(world, "others")
    await world.call("POST", PATH, request_of(seed, client) | change, status=401)
    assert await world.count(Message) == 0
    assert await world.count(Recipient) == 0


async def test_the_name_is_the_clients_however_it_is_written(world: World, client: Body, seed: Seed) -> None:
    await world.call("POST", PATH, request_of(seed, client) | {"client_name": "INFINITY"}, status=201)
    await world.call("POST", PATH.rstrip("/"), request_of(seed, client), status=201)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone": "12"}, "phone"),
        ({"phone": ""}, "phone"),
        ({"name": " "}, "name"),
        ({"text": ""}, "text"),
        ({"text": None}, "text"),
        ({"scheduled_time": "tomorrow"}, "scheduled_time"),
        ({"scheduled_time": "2020-01-01T00:00:00Z"}, "scheduled_time"),
        ({"client_name": 7}, "client_name"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_queued(
    world: World, client: Body, seed: Seed, change: dict[str, Any], field: str
) -> None:
    error = (await world.call("POST", PATH, request_of(seed, client) | change, status=422)).json()
    assert [one["field"] for one in error["errors"]] == [field]
    assert (await world.count(Message), await world.count(Recipient)) == (0, 0)


async def test_one_who_is_not_on_whatsapp_has_failed_with_the_reason(world: World, client: Body, seed: Seed) -> None:
    await world.waha.tell("PUT", "/numbers", {"unregistered": [DANI]})
    made = (await world.call("POST", PATH, request_of(seed, client), status=201)).json()
    failed = await has_status(world, client, made["id"], "failed")
    assert failed["error_reason"]
    assert (await client_of(world, client))["balance"] == "10.00"


async def test_another_client_sees_nothing_of_it(world: World, client: Body, seed: Seed) -> None:
    made = (await world.call("POST", PATH, request_of(seed, client), status=201)).json()
    other = await make_client(world, "others")
    await world.call("GET", f"{PATH}{made['id']}", headers=bearer(other), status=404)


async def test_a_client_without_numbers_is_told_so(world: World, seed: Seed) -> None:
    empty = await make_client(world, "infinity")
    error = (await world.call("POST", PATH, request_of(seed, empty), status=409)).json()
    assert error["error_code"] == "SESSION_NOT_CONNECTED"


async def test_what_it_cannot_pay_is_refused_with_what_is_left(world: World, seed: Seed) -> None:
    poor = await make_client(world, "infinity", senders=[ALICE], balance="0.04", price="0.05", currency="USD")
    error = (await world.call("POST", PATH, request_of(seed, poor), status=402)).json()
    assert error["error_code"] == "INSUFFICIENT_BALANCE"
    assert "0.04 USD" in error["detail"]
    assert (await world.count(Message), await world.count(Recipient)) == (0, 0)


async def test_one_of_two_numbers_sends_and_the_other_where_it_falls(world: World, seed: Seed) -> None:
    await world.pair(BERT)
    both = await make_client(world, "infinity", senders=[ALICE, BERT])
    await world.waha.phone_logs_out(ALICE)

    async def fell() -> bool:
        return bool((await world.admin("GET", f"/api/sessions/{ALICE}", status=200)).json()["status"] != "CONNECTED")

    assert await until(fell)
    made = (await world.call("POST", PATH, request_of(seed, both), status=201)).json()
    await has_status(world, both, made["id"], "sent")
    assert [one["session"] for one in await world.waha.ledger()] == [BERT[1:]]

"""The support API, section by section: each request as it is written (numbers replaced), each answer as it is shown."""

import hashlib
import hmac
import json
import re
from typing import Any

import orjson
import pytest

from campaigns.inbox.models import IncomingMessage
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, Body, World, until
from tests.seed_002.seed import Seed, assert_like

ADA = "+447700900100"
SEND, HOOK = "1. **Send Message**", "2. **Webhook Handler**"
SECRET = "a secret of sixteen"


def path_of(seed: Seed, heading: str) -> str:
    """The URL that a section names."""
    found = re.search(r"\*\*URL\*\*: `([^`]+)`", seed.text(heading))
    assert found is not None
    assert "`POST`" in seed.text(heading)
    return found[1]


def example(seed: Seed, heading: str, place: int) -> Any:
    """A section's request (0), its good answer (1) or its error (2)."""
    return json.loads(seed.blocks(heading, "json")[place].text)


def to_send(seed: Seed) -> Body:
    """The document's message, from Alice to Ada."""
    return {**example(seed, SEND, 0), "sender": ALICE, "receiver": ADA}


def that_came(seed: Seed) -> Body:
    """The document's message that came in, from Ada to Alice."""
    return {**example(seed, HOOK, 0), "sender": ADA, "receiver": ALICE}


async def conversation(world: World, **headers: str) -> Body:
    """The only conversation, with its messages."""
    own = {"sender_number": ALICE}
    (found,) = (await world.call("GET", "/api/conversations", params=own, headers=headers, status=200)).json()["items"]
    path = f"/api/conversations/{found['id']}/messages"
    return {**found, **(await world.call("GET", path, headers=headers, status=200)).json()}


# --- send message -----------------------------------------------------------------------------------------------------


async def test_send_message(world: World, seed: Seed) -> None:
    body = to_send(seed)
    answer = await world.call("POST", path_of(seed, SEND), body, status=201)
    shown = example(seed, SEND, 1)
    assert_like({**shown, "data": shown["data"] | {"sender": ALICE, "receiver": ADA}}, answer.json())
    assert set(answer.json()) == set(shown)
    assert set(answer.json()["data"]) == set(shown["data"])
    assert answer.json()["message"] == shown["message"]
    assert {name: answer.json()["data"][name] for name in body} == body

    async def has_left() -> list[Body]:
        return await world.waha.ledger()

    (sent,) = await until(has_left)
    assert (sent["session"], sent["chat_id"], sent["text"]) == (ALICE[1:], f"{ADA[1:]}@c.us", body["content"])
    status = await world.get(answer.headers["location"])
    assert (status["total"], status["priority"]) == (1, "urgent")


async def test_it_works_without_the_trailing_slash_too(world: World, seed: Seed) -> None:
    await world.call("POST", path_of(seed, SEND).rstrip("/"), to_send(seed), status=201)
    await world.call("POST", path_of(seed, HOOK).rstrip("/"), that_came(seed), status=200)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sender": None}, "sender"),
    ({"receiver": ""}, "receiver"),
    ({"content": " "}, "content"),
    ({"content": 7}, "content"),
    ({"sender": "sender_phone_number"}, "sender"),
    ({"receiver": "receiver_phone_number"}, "receiver"),
]


@pytest.mark.parametrize("heading", [SEND, HOOK])
async def test_an_invalid_payload(world: World, seed: Seed, heading: str) -> None:
    good = to_send(seed) if heading == SEND else that_came(seed)
    for wrong, field in WRONG:
        error = (await world.call("POST", path_of(seed, heading), good | wrong, status=400)).json()
        assert error["error"] == example(seed, heading, 2)["error"]
        assert (error["status_code"], error["error_code"][-5:]) == (400, "ERROR")
        assert [one["field"] for one in error["errors"]] == [field]
    for broken in (b"{", b"[]", b"7", b"", b'{"sender": "\xff"}'):
        headers = {"Content-Type": "application/json"}
        refused = await world.call("POST", path_of(seed, heading), content=broken, headers=headers, status=400)
        assert refused.json()["error"] == example(seed, heading, 2)["error"]
    assert await world.waha.ledger() == []
    assert await world.count(IncomingMessage) == 0


async def test_a_sender_that_was_never_paired_is_told_in_both_shapes(world: World, seed: Seed) -> None:
    error = (await world.call("POST", path_of(seed, SEND), to_send(seed) | {"sender": BERT}, status=409)).json()
    assert error["error_code"] == "SESSION_NOT_CONNECTED"
    assert error["error"] == error["detail"]


async def test_a_text_goes_out_as_it_is_written_and_once_for_a_key(world: World, seed: Seed) -> None:
    body, headers = to_send(seed) | {"content": "{{name}} }} {{"}, {"Idempotency-Key": "one"}
    for _ in range(2):
        await world.call("POST", path_of(seed, SEND), body, headers=headers, status=201)

    async def has_left() -> list[Body]:
        return await world.waha.ledger()

    assert [one["text"] for one in await until(has_left)] == ["{{name}} }} {{"]
    other = await world.call("POST", path_of(seed, SEND), to_send(seed), headers=headers, status=422)
    assert other.json()["errors"][0]["code"] == "key_reused"


# --- webhook ----------------------------------------------------------------------------------------------------------


async def test_webhook(world: World, seed: Seed) -> None:
    body = that_came(seed)
    answer = (await world.call("POST", path_of(seed, HOOK), body, status=200)).json()
    shown = example(seed, HOOK, 1)
    assert_like({**shown, "data": shown["data"] | {"sender": ADA, "receiver": ALICE}}, answer)
    assert (set(answer), set(answer["data"])) == (set(shown), set(shown["data"]))
    assert answer["message"] == shown["message"]
    found = await conversation(world)
    assert (found["phone_number"], found["items"][0]["text"]) == (ADA, body["content"])


async def test_a_posted_message_with_an_id_is_stored_once(world: World, seed: Seed) -> None:
    body = that_came(seed) | {"id": "3EB0A", "timestamp": "2026-01-25T10:05:00Z"}
    for _ in range(2):
        answer = (await world.call("POST", path_of(seed, HOOK), body, status=200)).json()
        assert answer["data"]["timestamp"] == "2026-01-25T10:05:00Z"
    assert await world.count(IncomingMessage) == 1


def event_of(seed: Seed, kind: str = "message", **payload: Any) -> Body:
    """The message as WAHA tells it."""
    usual = {"id": f"false_{ADA[1:]}@c.us_3EB0A", "fromMe": False, "body": that_came(seed)["content"]}
    usual |= {"from": f"{ADA[1:]}@c.us", "timestamp": 1_768_000_000}
    return {"id": "evt_1", "event": kind, "session": ALICE[1:], "timestamp": 1, "payload": usual | payload}


@pytest.mark.parametrize("kind", ["message", "message.any"])
async def test_wahas_own_event_is_taken_too(world: World, seed: Seed, kind: str) -> None:
    answer = (await world.call("POST", path_of(seed, HOOK), event_of(seed, kind), status=200)).json()
    assert (answer["data"]["sender"], answer["data"]["receiver"]) == (ADA, ALICE)
    assert answer["data"]["content"] == that_came(seed)["content"]
    assert (await conversation(world))["items"][0]["message_id"] == "3EB0A"


@pytest.mark.parametrize("change", [{"fromMe": True}, {"id": "false_120363000000000000@g.us_3EB0A"}])
async def test_an_event_of_no_message_to_us_is_passed_over(world: World, seed: Seed, change: Body) -> None:
    answer = (await world.call("POST", path_of(seed, HOOK), event_of(seed, **change), status=200)).json()
    assert answer["data"] is None
    ack = event_of(seed, "message.ack", ack=2)
    assert (await world.call("POST", path_of(seed, HOOK), ack, status=200)).json()["data"] is None
    assert await world.count(IncomingMessage) == 0


async def test_a_malformed_event_is_an_invalid_payload(world: World, seed: Seed) -> None:
    event = {"event": "message", "session": ALICE[1:], "payload": {}}
    assert (await world.call("POST", path_of(seed, HOOK), event, status=400)).json()["error"] == "Invalid payload"


# --- who may post -----------------------------------------------------------------------------------------------------


def signed(body: Body, secret: str = SECRET) -> dict[str, Any]:
    """A body that is signed as WAHA signs."""
    content = orjson.dumps(body)
    signature = hmac.new(secret.encode(), content, hashlib.sha512).hexdigest()
    headers = {"X-Webhook-Hmac": signature, "X-Webhook-Hmac-Algorithm": "sha512", "Content-Type": "application/json"}
    return {"content": content, "headers": headers}


@pytest.fixture
async def closed_world(database_url: str, make_world: MakeWorld) -> World:
    """The gateway in token mode, with a secret of WAHA's."""
    auth = {"admin_token": ADMIN_TOKEN, "user_access": "token"}
    return await make_world(database_url=database_url, auth=auth, waha={"webhook_secret": SECRET})


async def test_who_has_neither_credential_nor_signature_can_forge_nothing(closed_world: World, seed: Seed) -> None:
    world, path = closed_world, path_of(seed, HOOK)
    for body in (that_came(seed), event_of(seed)):
        await world.call("POST", path, body, status=401)
        await world.call("POST", path, **signed(body, "a wrong secret of sixteen"), status=401)
        tampered = signed(body) | {"content": orjson.dumps(body | {"content": "STOP"})}
        await world.call("POST", path, **tampered, status=401)
    assert await world.count(IncomingMessage) == 0


async def test_open_mode_that_others_can_reach_trusts_nobody(make_world: MakeWorld, seed: Seed) -> None:
    auth = {"admin_token": ADMIN_TOKEN, "allow_open_on_network": True}
    world = await make_world(auth=auth, server={"host": "0.0.0.0", "allowed_hosts": ["*"]}, capacities=())
    await world.call("POST", path_of(seed, HOOK), that_came(seed), status=401)
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    await world.call("POST", path_of(seed, HOOK), that_came(seed), headers=operator, status=200)


async def test_a_signature_is_not_looked_at_where_no_secret_is_set(world: World, seed: Seed) -> None:
    await world.call("POST", path_of(seed, HOOK), **signed(that_came(seed), ""), status=401)


async def test_wahas_signature_opens_every_number_of_ours_and_no_other(closed_world: World, seed: Seed) -> None:
    world, path = closed_world, path_of(seed, HOOK)
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    world.client.headers.update(operator)
    await world.pair(ALICE)
    del world.client.headers["X-Admin-Token"]
    await world.call("POST", path, **signed(that_came(seed)), status=200)
    await world.call("POST", path, **signed(that_came(seed) | {"receiver": BERT}), status=404)
    await world.call("POST", path, **signed(event_of(seed)), status=200)
    nobody = signed(event_of(seed) | {"session": "nobody"})
    assert (await world.call("POST", path, **nobody, status=200)).json()["data"] is None
    assert (await conversation(world, **operator))["total"] == 2


async def test_a_numbers_token_opens_that_number_only(closed_world: World, seed: Seed) -> None:
    world, path = closed_world, path_of(seed, HOOK)
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    tokens = await world.pair(ALICE, BERT)
    del world.client.headers["X-Admin-Token"]
    for body in (that_came(seed), event_of(seed)):
        await world.call("POST", path, body, headers={"X-Sender-Token": tokens[BERT]}, status=404)
        await world.call("POST", path, body, headers={"X-Sender-Token": tokens[ALICE]}, status=200)
    await world.call("POST", path_of(seed, SEND), to_send(seed), headers={"X-Sender-Token": tokens[BERT]}, status=404)
    await world.call("POST", path_of(seed, SEND), to_send(seed), status=401)


# --- what else the document says --------------------------------------------------------------------------------------


async def test_the_messages_of_both_directions_are_kept_with_their_status(world: World, seed: Seed) -> None:
    assert "Store incoming and outgoing WhatsApp messages" in seed.text("Features")
    await world.call("POST", path_of(seed, HOOK), that_came(seed), status=200)
    await world.call("POST", path_of(seed, SEND), to_send(seed), status=201)

    async def both() -> list[Body]:
        items: list[Body] = (await conversation(world))["items"]
        return items if len(items) == 2 else []

    messages = {one["direction"]: one for one in await until(both)}
    assert messages["in"]["status"] == "received"
    assert messages["out"]["status"] in ("sent", "delivered", "read")

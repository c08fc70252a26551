"""`Idempotency-Key` on every POST: what moves a state, and what shows a secret once."""

import hashlib
import hmac

import pytest
from sqlalchemy import select

from gateway.idempotency.keys import idempotency_key
from tests.api.test_clients import make_client
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, World

pytestmark = pytest.mark.timeout(60)

CLIENTS, LOGINS = "/api/admin/clients", "/api/admin/logins"
WITHOUT = {
    "/api/webhook/": "told by another system; the message's own id is what is stored once",
    "/api/webhook/waha": "told by WAHA; each event has an id of its own",
    "/api/send/preview": "changes nothing",
    "/api/messaging/validate-phone/": "changes nothing",
    "/api/contacts/read": "changes nothing",
    "/api/sessions/{phone_number}/pair-link": "signs a link, and stores nothing",
    "/api/admin/console-link": "shows a secret that lets in once, and is over after a quarter of an hour",
    "/api/auth/login": "its answer is credentials, which are stored nowhere",
    "/api/auth/refresh": "its answer is credentials; a refresh token that comes again ends the login, on purpose",
    "/api/auth/logout": "has no answer to give again",
}
KEYED = {"Idempotency-Key": "k"}
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN, **KEYED}


async def stored(world: World) -> str:
    """All answers that are kept."""
    async with world.db.read() as connection:
        return "\n".join((await connection.execute(select(idempotency_key.c.response))).scalars())


async def test_every_post_takes_the_header_or_has_a_reason_not_to(module_world: World) -> None:
    document = await module_world.get("/openapi.json")
    without = set()
    for path, operations in document["paths"].items():
        names = {one["name"] for one in operations.get("post", {}).get("parameters", [])}
        if "post" in operations and "Idempotency-Key" not in names:
            without.add(path)
    assert without == set(WITHOUT)


async def test_a_campaign_that_was_paused_and_resumed_is_not_paused_by_the_first_request_again(world: World) -> None:
    campaign = await world.send(queue_if_offline=True)
    path = f"/api/campaigns/{campaign['campaign_id']}"
    paused = await world.call("POST", f"{path}/pause", headers=KEYED, status=200)
    await world.call("POST", f"{path}/resume", headers={"Idempotency-Key": "l"}, status=200)
    again = await world.call("POST", f"{path}/pause", headers=KEYED, status=200)
    assert again.json() == paused.json()
    assert (await world.get(f"/api/status/{campaign['campaign_id']}"))["status"] == "running"
    reused = (await world.call("POST", f"{path}/resume", headers=KEYED, status=422)).json()
    assert [(one["field"], one["code"]) for one in reused["errors"]] == [("Idempotency-Key", "key_reused")]


async def test_what_was_refused_is_refused_anew(world: World) -> None:
    campaign = await world.send(queue_if_offline=True)
    path = f"/api/campaigns/{campaign['campaign_id']}"
    await world.call("POST", f"{path}/resume", headers=KEYED, status=409)
    await world.call("POST", f"{path}/pause", status=200)
    await world.call("POST", f"{path}/resume", headers=KEYED, status=200)


async def test_a_session_is_opened_once_and_its_token_shown_once(world: World) -> None:
    body = {"phone_number": ALICE}
    first = (await world.call("POST", "/api/sessions", body, headers=KEYED, status=201)).json()
    again = (await world.call("POST", "/api/sessions", body, headers=KEYED, status=201)).json()
    assert first["sender_token"]
    assert again == first | {"sender_token": None}
    assert first["sender_token"] not in await stored(world)
    await world.call("POST", "/api/sessions", body, status=409)
    await world.call("POST", "/api/sessions", {"phone_number": BERT}, headers=KEYED, status=422)


async def test_a_client_and_its_keys_are_made_once_and_shown_once(world: World) -> None:
    body = {"name": "infinity"}
    first = (await world.call("POST", CLIENTS, body, headers=OPERATOR, status=201)).json()
    again = (await world.call("POST", CLIENTS, body, headers=OPERATOR, status=201)).json()
    assert again == first | {"api_key": None}
    keys = f"{CLIENTS}/{first['id']}/keys"
    made = [(await world.call("POST", keys, {}, headers=OPERATOR | {"Idempotency-Key": "l"})).json() for _ in "ab"]
    assert made[1] == made[0] | {"api_key": None}
    rotate = f"{keys}/{made[0]['id']}/rotate"
    new = [(await world.call("POST", rotate, headers=OPERATOR | {"Idempotency-Key": "m"})).json() for _ in "ab"]
    assert new[1] == new[0] | {"api_key": None}
    assert len((await world.admin("GET", keys, status=200)).json()["items"]) == 3
    kept = await stored(world)
    assert [one["api_key"] in kept for one in (first, made[0], new[0])] == [False] * 3


async def test_a_password_in_a_request_cannot_be_tried_against_its_hash(world: World) -> None:
    user = {"email": "ada@example.com", "password": "secure_password"}
    made = (await world.call("POST", LOGINS, user, headers=OPERATOR, status=201)).json()
    again = await world.call("POST", LOGINS, user, headers=OPERATOR, status=201)
    assert again.json() == made
    await world.call("POST", LOGINS, user | {"password": "another_password"}, headers=OPERATOR, status=422)
    async with world.db.read() as connection:
        told = (await connection.execute(select(idempotency_key.c.request_hash))).scalar_one()
    line = f"POST {LOGINS}?\n".encode() + again.request.content
    assert told != hashlib.sha256(line).hexdigest()
    assert told == hmac.new(world.gateway.vault.derive("fingerprints of requests"), line, hashlib.sha256).hexdigest()


async def test_another_caller_has_keys_of_its_own(world: World) -> None:
    campaign = await world.send(queue_if_offline=True)
    path = f"/api/campaigns/{campaign['campaign_id']}/pause"
    await world.call("POST", path, headers=KEYED, status=200)
    made = await make_client(world)
    theirs = {"Authorization": f"Bearer {made['api_key']}"} | KEYED
    await world.call("POST", path, headers=theirs, status=404)
    await world.call("POST", path, headers=OPERATOR, status=409)

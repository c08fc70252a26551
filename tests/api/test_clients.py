"""Clients over HTTP: made by the operator, their keys and what those open, their senders and their money."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from campaigns.sending.models import Message
from gateway.auth.clients.models import ApiKey
from gateway.auth.clients.scopes import LOOKING, SENDING, ApiScope, scope_of
from gateway.db import table_of
from gateway.notifications.outbox import Fact, tell
from tests.api.conftest import MakeWorld
from tests.api.test_access import ANYBODY, ANYBODY_BUT_LIARS, OPERATOR, PASSWORD_ALONE, TABLE, WAHA_ALONE
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, World, recipients, until
from tests.harness.live import listening, opened, serving

pytestmark = pytest.mark.timeout(60)

CLIENTS = "/api/admin/clients"
NOBODY = "01890000-0000-7000-8000-000000000000"
Body = dict[str, Any]


async def make_client(world: World, name: str = "infinity", **fields: Any) -> Body:
    """A new client."""
    made: Body = (await world.admin("POST", CLIENTS, {"name": name, **fields}, status=201)).json()
    return made


def bearer(made: Body) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {made['api_key']}"}


async def make_key(world: World, client: Body, **fields: Any) -> Body:
    """Another key of a client."""
    made: Body = (await world.admin("POST", f"{CLIENTS}/{client['id']}/keys", fields, status=201)).json()
    return made


async def client_of(world: World, client: Body) -> Body:
    """A client as it is now."""
    found: Body = (await world.admin("GET", f"{CLIENTS}/{client['id']}", status=200)).json()
    return found


# --- keys


async def test_a_key_is_shown_once_and_stored_as_its_hash_only(any_world: World) -> None:
    world = any_world
    made = await make_client(world, "  Infinity  Ltd ", balance="12.5", price=0.000125, currency="EUR", daily_limit=7)
    assert made["api_key"].startswith("wgk_")
    assert (made["name"], made["balance"], made["price"], made["daily_limit"]) == (
        "Infinity Ltd",
        "12.50",
        "0.000125",
        7,
    )
    listed = (await world.admin("GET", CLIENTS, status=200)).json()
    keys = (await world.admin("GET", f"{CLIENTS}/{made['id']}/keys", status=200)).json()
    assert made["api_key"] not in f"{listed}{keys}"
    assert [(one["prefix"], one["scopes"]) for one in keys["items"]] == [
        (made["api_key"][:10], ["manage", "read", "send"])
    ]
    async with world.db.read() as connection:
        rows = (await connection.execute(select(table_of(ApiKey)))).all()
    assert made["api_key"] not in str(rows)
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)


async def test_a_client_has_a_name_of_its_own_whatever_the_case(world: World) -> None:
    await make_client(world, "Zoë")
    other = await make_client(world, "Ada")
    for method, path in (("POST", CLIENTS), ("PATCH", f"{CLIENTS}/{other['id']}")):
        refused = await world.admin(method, path, {"name": "ZOË"}, status=409)
        assert refused.json()["error_code"] == "DUPLICATE_RESOURCE"
    await world.admin("PATCH", f"{CLIENTS}/{other['id']}", {"name": "ADA"}, status=200)


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer wgk_wrong"}, {"Authorization": "Bearer wgk_"}],
)
async def test_an_unknown_key_opens_nothing(world: World, headers: dict[str, str]) -> None:
    assert (await world.call("GET", "/api/campaigns", headers=headers, status=401)).json()[
        "error_code"
    ] == "UNAUTHORIZED"


async def test_a_key_that_is_over_revoked_or_rotated_opens_nothing_any_more(any_world: World) -> None:
    world = any_world
    made = await make_client(world)
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    expiring = await make_key(world, made, name="shop", expires_at=soon)
    await world.call("GET", "/api/campaigns", headers=bearer(expiring), status=200)
    key = table_of(ApiKey)
    async with world.db.write() as tx:
        await tx.execute(update(key).where(key.c.id == expiring["id"]).values(expires_at=1.0))
    refused = await world.call("GET", "/api/campaigns", headers=bearer(expiring), status=401)
    assert "expired" in refused.json()["detail"]

    path = f"{CLIENTS}/{made['id']}/keys"
    revoked = await make_key(world, made, scopes=["read"])
    for _ in range(2):
        await world.admin("DELETE", f"{path}/{revoked['id']}", status=204)
    await world.call("GET", "/api/campaigns", headers=bearer(revoked), status=401)

    old = await make_key(world, made, name="shop", scopes=["read"])
    new = (await world.admin("POST", f"{path}/{old['id']}/rotate", status=201)).json()
    assert (new["name"], new["scopes"]) == ("shop", ["read"])
    await world.call("GET", "/api/campaigns", headers=bearer(old), status=401)
    await world.call("GET", "/api/campaigns", headers=bearer(new), status=200)
    await world.admin("POST", f"{path}/{old['id']}/rotate", status=409)
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)


async def test_a_key_ends_in_time_to_come_and_is_another_clients_to_nobody(world: World) -> None:
    first, second = await make_client(world), await make_client(world, "other")
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    refused = await world.admin("POST", f"{CLIENTS}/{first['id']}/keys", {"expires_at": past}, status=422)
    assert refused.json()["errors"][0]["field"] == "expires_at"
    key = await make_key(world, first)
    for method, path in (("DELETE", ""), ("POST", "/rotate")):
        await world.admin(method, f"{CLIENTS}/{second['id']}/keys/{key['id']}{path}", status=404)
    await world.call("GET", "/api/campaigns", headers=bearer(key), status=200)


async def test_the_keys_of_a_disabled_client_open_nothing_until_it_may_again(world: World) -> None:
    made = await make_client(world)
    for disabled, status in ((True, 401), (False, 200)):
        await world.admin("PATCH", f"{CLIENTS}/{made['id']}", {"disabled": disabled}, status=200)
        await world.call("GET", "/api/campaigns", headers=bearer(made), status=status)


async def test_the_use_of_a_key_is_written_once_a_minute(any_world: World) -> None:
    world, key = any_world, table_of(ApiKey)
    made = await make_client(world)
    query = select(key.c.last_used_at).where(key.c.client_id == made["id"])

    async def last_used() -> float | None:
        async with world.db.read() as connection:
            found: float | None = (await connection.execute(query)).scalar_one()
        return found

    assert await last_used() is None
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)
    first = await last_used()
    assert first is not None
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)
    assert await last_used() == first
    async with world.db.write() as tx:
        await tx.execute(update(key).values(last_used_at=first - 61.0))
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)
    assert (await last_used() or 0.0) >= first


# --- scopes

NOT_FOR_CLIENTS = (ANYBODY, ANYBODY_BUT_LIARS, OPERATOR, PASSWORD_ALONE, WAHA_ALONE)
SCOPED = [route for route, row in TABLE.items() if row not in NOT_FOR_CLIENTS]
SENDS = {
    ("post", "/api/send"),
    ("post", "/api/schedules"),
    ("post", "/api/schedules/{schedule_id}/send-now"),
    ("post", "/api/upload"),
    ("post", "/api/send-message/"),
    ("post", "/api/conversations/{conversation_id}/reply"),
    ("post", "/api/messaging/send-message/"),
    ("post", "/api/messaging/send-bulk/"),
    ("post", "/api/messaging/create-campaign-send/"),
}
LOOKS = {("post", "/api/send/preview"), ("post", "/api/messaging/validate-phone/")}


def expected_scope(method: str, path: str) -> str:
    """What a route is for."""
    if method == "get" or (method, path) in LOOKS:
        return "read"
    return "send" if (method, path) in SENDS else "manage"


async def test_every_route_opens_to_its_scope_and_to_no_other(world: World) -> None:
    made = await make_client(world)
    keys = {str(scope): bearer(await make_key(world, made, scopes=[scope])) for scope in ApiScope}
    assert len(SCOPED) > 40
    names = dict.fromkeys(("phone_number", "sender_number"), ALICE)
    for method, path in SCOPED:
        needs = expected_scope(method, path)
        for scope, headers in keys.items():
            filled = path.format_map(_Ids(names))
            answer = await world.call(method, filled, headers=headers)
            if scope == needs:
                assert answer.status_code not in (401, 403), (method, path, scope, answer.text)
            else:
                assert answer.status_code == 403, (method, path, scope, answer.text)
                assert f"scope {needs}" in answer.json()["detail"]


class _Ids(dict[str, str]):
    """Values for the parameters of a path; an id that is nobody's where none is told."""

    def __missing__(self, name: str) -> str:
        return NOBODY


async def test_the_operators_routes_open_to_no_key(world: World) -> None:
    made = await make_client(world)
    for (method, path), row in TABLE.items():
        if row == OPERATOR:
            filled = path.format_map(_Ids({"phone_number": ALICE, "name": "waha1"}))
            await world.call(method, filled, headers=bearer(made), status=401)


def test_every_route_of_the_table_of_scopes_is_there() -> None:
    told = {(method.lower(), path) for method, path in SENDING | LOOKING}
    assert told <= {(method, path.rstrip("/")) for method, path in TABLE}
    assert scope_of("HEAD", "/api/campaigns") == "read"
    assert scope_of("POST", "/api/whatever") == "manage"


# --- what is whose


async def test_a_sender_that_is_given_to_a_client_is_its_own_and_the_old_token_ends(any_world: World) -> None:
    world = any_world
    token = (await world.pair(ALICE))[ALICE]
    old = {"X-Sender-Token": token}
    await world.call("GET", f"/api/sessions/{ALICE}", headers=old, status=200)
    made = await make_client(world, senders=["+44 7700 900001"])
    assert made["senders"] == [ALICE]
    await world.call("GET", f"/api/sessions/{ALICE}", headers=old, status=401)
    session = await world.call("GET", f"/api/sessions/{ALICE}", headers=bearer(made), status=200)
    assert session.json()["status"] == "CONNECTED"
    other = await make_client(world, "other")
    await world.call("GET", f"/api/sessions/{ALICE}", headers=bearer(other), status=404)
    sent = await world.send(headers=bearer(made), recipients=recipients(2))
    done = await world.finished_for(bearer(made), sent)
    assert done["status"] == "completed"
    await world.call("GET", f"/api/status/{sent['campaign_id']}", headers=bearer(other), status=404)
    assert (await world.call("GET", "/api/campaigns", headers=bearer(other), status=200)).json()["items"] == []
    await world.send(headers=bearer(other), status=404)


async def test_a_sender_of_another_account_is_refused_and_nothing_is_changed(world: World) -> None:
    first = await make_client(world, senders=[ALICE])
    second = await make_client(world, "other", senders=[BERT])
    refused = await world.admin("POST", CLIENTS, {"name": "third", "senders": [CARA, ALICE]}, status=409)
    assert ALICE in refused.json()["detail"]
    await world.admin("PATCH", f"{CLIENTS}/{second['id']}", {"senders": [BERT, ALICE]}, status=409)
    assert (await client_of(world, first))["senders"] == [ALICE]
    assert (await client_of(world, second))["senders"] == [BERT]
    assert (await world.admin("GET", CLIENTS, status=200)).json()["total"] == 2


async def test_a_sender_that_still_sends_for_the_account_it_leaves_stays_there(world: World) -> None:
    sent = await world.send(queue_if_offline=True)
    await world.admin("POST", CLIENTS, {"name": "infinity", "senders": [ALICE]}, status=409)
    await world.post(f"/api/campaigns/{sent['campaign_id']}/cancel")
    made = await make_client(world, senders=[ALICE])
    await world.send(headers=bearer(made), queue_if_offline=True)
    refused = await world.admin("PATCH", f"{CLIENTS}/{made['id']}", {"senders": []}, status=409)
    assert "not done" in refused.json()["detail"]


async def test_a_removed_client_gives_its_senders_back_and_its_name_is_free(any_world: World) -> None:
    world = any_world
    made = await make_client(world, senders=[ALICE])
    sent = await world.send(headers=bearer(made), queue_if_offline=True)
    path = f"{CLIENTS}/{made['id']}"
    await world.admin("DELETE", path, status=409)
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=200)
    await world.admin("DELETE", f"{path}?cancel_campaigns=true", status=204)
    await world.call("GET", "/api/campaigns", headers=bearer(made), status=401)
    await world.admin("GET", path, status=404)
    await world.admin("DELETE", path, status=404)
    again = await make_client(world, senders=[ALICE])
    assert again["id"] != made["id"]
    status = (await world.admin("GET", f"/api/status/{sent['campaign_id']}", status=200)).json()
    assert status["status"] == "cancelled"


# --- money and limits


async def test_a_campaign_is_charged_and_what_is_not_covered_is_402(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE], balance="0.25", price="0.10", currency="EUR")
    sent = await world.send(headers=bearer(made), recipients=recipients(2))
    assert (await world.finished_for(bearer(made), sent))["status"] == "completed"
    assert (await client_of(world, made))["balance"] == "0.05"
    refused = await world.send(headers=bearer(made), recipients=recipients(1), status=402)
    assert (refused["error_code"], refused["status_code"]) == ("INSUFFICIENT_BALANCE", 402)
    assert "0.05 EUR" in refused["detail"]
    await world.admin("POST", f"{CLIENTS}/{made['id']}/credit", {"amount": "0.05"}, status=200)
    await world.send(headers=bearer(made), recipients=recipients(1))


async def test_too_many_for_today_is_429_with_the_time_until_midnight(world: World) -> None:
    made = await make_client(world, senders=[ALICE], daily_limit=3, timezone="Asia/Kolkata")
    body = {"sender_number": ALICE, "template": "Hi", "recipients": recipients(4), "queue_if_offline": True}
    answer = await world.call("POST", "/api/send", body, headers=bearer(made), status=429)
    assert answer.json()["error_code"] == "DAILY_LIMIT_REACHED"
    assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    await world.call("POST", "/api/send/preview", body, headers=bearer(made), status=200)


async def test_two_who_top_up_at_once_and_one_who_asks_twice_add_up(any_world: World) -> None:
    world = any_world
    made = await make_client(world, balance="1")
    path = f"{CLIENTS}/{made['id']}/credit"
    keys = ["a", "b", "b", "c"]
    answers = await asyncio.gather(
        *(
            world.call(
                "POST",
                path,
                {"amount": "0.10"},
                headers={"X-Admin-Token": ADMIN_TOKEN, "Idempotency-Key": key},
                status=200,
            )
            for key in keys
        )
    )
    assert answers[1].json() == answers[2].json()
    assert Decimal((await client_of(world, made))["balance"]) == Decimal("1.30")
    taken = await world.admin("POST", path, {"amount": "-2"}, status=200)
    assert taken.json() == {"amount": "-2.00", "balance": "-0.70", "currency": "USD"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a", "balance": "1.0000001"}, "balance"),
        ({"name": "a", "balance": True}, "balance"),
        ({"name": "a", "balance": "NaN"}, "balance"),
        ({"name": "a", "price": "-0.01"}, "price"),
        ({"name": "a", "currency": "eur"}, "currency"),
        ({"name": "a", "timezone": "Mars/Base"}, "timezone"),
        ({"name": "a", "daily_limit": -1}, "daily_limit"),
        ({"name": "a", "daily_limit": True}, "daily_limit"),
        ({"name": "a", "senders": ["letters"]}, "senders.0"),
        ({"name": "a", "api_key": "mine"}, "api_key"),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_is_made(world: World, body: Body, field: str) -> None:
    refused = (await world.admin("POST", CLIENTS, body, status=422)).json()
    assert [error["field"] for error in refused["errors"]] == [field]
    assert (await world.admin("GET", CLIENTS, status=200)).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"price": None}, "price"), ({"balance": "5"}, "balance"), ({"disabled": 1}, "disabled")],
)
async def test_a_change_names_what_changes_and_never_the_balance(world: World, body: Body, field: str) -> None:
    made = await make_client(world)
    refused = (await world.admin("PATCH", f"{CLIENTS}/{made['id']}", body, status=422)).json()
    assert [error["field"] for error in refused["errors"]] == [field]


async def test_a_limit_is_taken_off_by_null(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_minute": 30, "reads_per_minute": 0, "writes_per_minute": 0})
    made = await make_client(world, daily_limit=3, messages_per_minute=5)
    assert made["effective_messages_per_minute"] == 5
    changes = {"daily_limit": None, "messages_per_minute": None}
    changed = (await world.admin("PATCH", f"{CLIENTS}/{made['id']}", changes, status=200)).json()
    assert (changed["daily_limit"], changed["messages_per_minute"]) == (None, None)
    assert changed["effective_messages_per_minute"] == 30


async def scheduled(world: World, headers: dict[str, str], people: list[str]) -> str:
    """A schedule for these people that begins at once; its id."""
    message = await world.post("/api/messages", {"title": "Hi", "content": "Hello"}, headers=headers)
    saved = [
        await world.post("/api/recipients", {"name": "Ada", "phone_number": number}, headers=headers)
        for number in people
    ]
    group = {"name": "All", "recipient_ids": [one["id"] for one in saved]}
    made = await world.post("/api/recipients/groups", group, headers=headers)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    parts = {"message_id": message["id"], "group_id": made["id"], "scheduled_time": tomorrow}
    schedule = await world.post("/api/schedules", parts, headers=headers)
    await world.post(f"/api/schedules/{schedule['id']}/send-now", headers=headers)
    return str(schedule["id"])


@pytest.mark.parametrize(("balance", "ends"), [("0.20", "completed"), ("0.19", "failed")])
async def test_a_schedule_is_charged_too_and_fails_where_it_cannot_be_paid(
    any_world: World, balance: str, ends: str
) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE], balance=balance, price="0.10", currency="EUR")
    schedule_id = await scheduled(world, bearer(made), recipients(2))

    async def ended() -> Body | None:
        answer = await world.call("GET", f"/api/status/{schedule_id}", headers=bearer(made), status=200)
        status: Body = answer.json()
        return status if status["status"] in ("completed", "failed") else None

    status = await until(ended)
    assert status is not None
    assert status["status"] == ends
    if ends == "completed":
        assert (await client_of(world, made))["balance"] == "0.00"
        return
    assert "the balance is 0.19 EUR, and 0.20 EUR are needed" in status["reason"]
    assert (await client_of(world, made))["balance"] == "0.19"
    assert await world.count(Message) == 0
    assert await world.waha.ledger() == []


async def test_what_a_schedule_has_too_many_of_for_today_waits(world: World) -> None:
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE], daily_limit=1)
    schedule_id = await scheduled(world, bearer(made), recipients(3))

    async def waits() -> bool:
        answer = await world.call("GET", f"/api/status/{schedule_id}", headers=bearer(made), status=200)
        status = answer.json()
        return status["sent"] == 1 and [one["reason"] for one in status["waiting"]] == ["client_daily_limit"]

    await until(waits)
    assert len(await world.waha.ledger()) == 1
    assert (await client_of(world, made))["sent_today"] == 1


# --- live events


async def test_live_events_open_to_keys_that_may_look_and_tell_what_is_theirs(any_world: World) -> None:
    world = any_world
    made, other = await make_client(world, senders=[ALICE]), await make_client(world, "other")
    deaf = await make_key(world, made, scopes=["send", "manage"])
    async with serving(world.gateway) as url:
        async with opened(url) as refused:
            await refused.say(type="auth", token=deaf["api_key"])
            assert await refused.closed() == (4401, "this API key does not have the scope read")
        async with (
            listening(url, token=made["api_key"]) as own,
            listening(url, token=other["api_key"]) as foreign,
        ):
            for account, index in ((made["account"], 1), (other["account"], 2)):
                async with world.db.write() as tx:
                    await tell(tx, [Fact("message.sent", account, {"index": index})])
            assert (await own.event("message.sent"))["data"] == {"index": 1}
            assert (await foreign.event("message.sent"))["data"] == {"index": 2}


async def test_the_description_tells_of_402_and_429_where_something_is_queued(module_world: World) -> None:
    paths = (await module_world.get("/openapi.json"))["paths"]
    queueing = [f"/api/campaigns/{{campaign_id}}/{end}" for end in ("retry", "messages/{message_id}/resend")]
    for path in ("/api/send", *queueing):
        told = paths[path]["post"]["responses"]
        codes = [told[status]["content"]["application/json"]["example"]["error_code"] for status in ("402", "429")]
        assert codes == ["INSUFFICIENT_BALANCE", "DAILY_LIMIT_REACHED"]

"""The API of webhooks: made, found, changed, tried out, replayed and removed; and what is never told."""

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook

from gateway.notifications.tables import listener
from gateway.notifications.webhooks.service import MOST_ENDPOINTS
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, World
from tests.harness.receiver import SECRET, Receiver, status

pytestmark = pytest.mark.timeout(60)

HOOKS = "/api/webhooks"
BODY: dict[str, Any] = {"url": "https://your-app.com/webhooks/whatsapp", "events": ["message.sent"], "secret": SECRET}
OPERATOR = {"X-Admin-Token": ADMIN_TOKEN}


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway that may call loopback."""
    webhooks = {"allow_private_addresses": True}
    return await make_world(database_url=database_url, capacities=(), webhooks=webhooks)


async def test_a_secret_is_shown_once_in_both_forms_and_stored_encrypted(world: World) -> None:
    made = await world.post(HOOKS, BODY)
    assert made["secret"] == SECRET
    assert made["signing_secret"] == "whsec_eW91ci13ZWJob29rLXNlY3JldA=="
    shown = (await world.call("GET", f"{HOOKS}/{made['id']}", status=200)).text
    listed = (await world.call("GET", HOOKS, status=200)).text
    changed = (await world.call("PATCH", f"{HOOKS}/{made['id']}", {"description": "x"}, status=200)).text
    for text in (shown, listed, changed):
        assert 'secret"' not in text
        assert SECRET not in text
    async with world.db.read() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM webhook_endpoint")).all()
    assert SECRET not in str(rows)


async def test_a_secret_is_made_where_none_is_given(world: World) -> None:
    first, second = [await world.post(HOOKS, {"url": BODY["url"], "events": ["*"]}) for _ in range(2)]
    assert first["secret"].startswith("whsec_")
    assert first["secret"] == first["signing_secret"]
    assert first["secret"] != second["secret"]


async def test_the_same_key_gives_the_same_secret_again_and_nobody_can_read_it_in_the_database(world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"url": BODY["url"], "events": ["*"]}
    first, again = [await world.post(HOOKS, body, headers=headers) for _ in range(2)]
    assert first == again
    assert (await world.get(HOOKS))["total"] == 1
    path = f"{HOOKS}/{first['id']}/rotate-secret"
    rotated, again = [await world.post(path, headers=headers | {"Idempotency-Key": "two"}) for _ in range(2)]
    assert rotated == again
    assert rotated["secret"] != first["secret"]
    assert rotated["old_secret_until"] is not None
    async with world.db.read() as connection:
        kept = str((await connection.exec_driver_sql("SELECT * FROM idempotency_key")).all())
    assert "whsec_" not in kept


async def test_secrets_are_in_no_log(world: World, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    caplog.set_level(logging.DEBUG)
    async with Receiver(lambda _: status(500, body="no")).listening() as receiver:
        made = await world.post(HOOKS, BODY | {"url": receiver.url})
        await world.post(f"{HOOKS}/{made['id']}/test")
    told = caplog.text + "".join(capsys.readouterr())
    assert SECRET not in told


async def test_changes_are_made_in_whole_or_in_part(world: World) -> None:
    made = await world.post(HOOKS, BODY | {"description": "The shop"})
    path = f"{HOOKS}/{made['id']}"
    patched = (await world.call("PATCH", path, {"events": ["message.failed", "*"]}, status=200)).json()
    assert (patched["events"], patched["description"], patched["url"]) == (["*"], "The shop", BODY["url"])
    put = (
        await world.call("PUT", path, {"url": "https://example.com/x", "events": ["message.sent"]}, status=200)
    ).json()
    assert (put["url"], put["events"], put["description"], put["enabled"]) == (
        "https://example.com/x",
        ["message.sent"],
        "",
        True,
    )
    paused = (await world.call("PATCH", path, {"enabled": False}, status=200)).json()
    assert (paused["state"], paused["enabled"]) == ("paused", False)
    async with world.db.read() as connection:
        assert (await connection.execute(select(listener.c.key))).all() == []
    enabled = (await world.call("PATCH", path, {"enabled": True}, status=200)).json()
    assert enabled["state"] == "active"
    await world.call("DELETE", path, status=204)
    await world.call("GET", path, status=404)
    async with world.db.read() as connection:
        assert (await connection.execute(select(listener.c.key))).all() == []


async def test_every_wrong_field_is_named(world: World) -> None:
    wrong = {"url": "", "events": ["message.eaten"], "secret": "short", "description": "x" * 256, "color": "red"}
    error = (await world.call("POST", HOOKS, wrong, status=422)).json()
    assert {one["field"].partition(".")[0] for one in error["errors"]} == {*wrong}
    for body in ({}, {"url": "ftp://example.com/"}, {"secret": SECRET}):
        made = await world.post(HOOKS, BODY)
        await world.call("PATCH", f"{HOOKS}/{made['id']}", body, status=422)


@pytest.mark.parametrize("number", [0, 1, "true"])
async def test_a_yes_or_no_is_true_or_false_and_no_number(world: World, number: object) -> None:
    made = await world.post(HOOKS, BODY)
    path = f"{HOOKS}/{made['id']}"
    details = {"url": BODY["url"], "events": BODY["events"]}
    for method, where, body, field in (
        ("PUT", path, details, "enabled"),
        ("PATCH", path, {}, "enabled"),
        ("POST", HOOKS, BODY, "all_accounts"),
    ):
        error = (await world.call(method, where, {**body, field: number}, status=422)).json()
        assert [one["field"] for one in error["errors"]] == [field]
    assert (await world.get(path))["enabled"] is True


async def test_an_account_has_a_bounded_number_of_webhooks(world: World) -> None:
    for _ in range(MOST_ENDPOINTS):
        await world.post(HOOKS, BODY)
    error = (await world.call("POST", HOOKS, BODY, status=409)).json()
    assert str(MOST_ENDPOINTS) in error["detail"]
    await world.post(HOOKS, BODY | {"all_accounts": True}, headers=OPERATOR)
    assert (await world.get(HOOKS, per_page=7, page=3))["pages"] == 3


async def test_events_of_all_accounts_are_for_the_operator_who_alone_sees_such_a_webhook(world: World) -> None:
    await world.call("POST", HOOKS, BODY | {"all_accounts": True}, status=403)
    made = await world.post(HOOKS, BODY | {"all_accounts": True}, headers=OPERATOR)
    assert made["all_accounts"] is True
    assert (await world.get(HOOKS))["total"] == 0
    for method, body in (("GET", None), ("PATCH", {"url": "https://example.com/"}), ("DELETE", None)):
        await world.call(method, f"{HOOKS}/{made['id']}", body, status=404)
    assert (await world.admin("GET", HOOKS, status=200)).json()["total"] == 1


async def test_a_test_is_sent_now_and_its_result_is_the_answer(world: World) -> None:
    async with Receiver().listening() as receiver:
        made = await world.post(HOOKS, BODY | {"url": receiver.url})
        path = f"{HOOKS}/{made['id']}"
        told = await world.post(f"{path}/test", headers={"Idempotency-Key": "once"})
        assert (told["event"], told["state"], told["status"], told["response"]) == (
            "webhook.test",
            "delivered",
            200,
            "OK",
        )
        assert told == await world.post(f"{path}/test", headers={"Idempotency-Key": "once"})
        [request] = receiver.requests
        Webhook(made["signing_secret"]).verify(request.body, request.headers)
        assert request.event["id"] == told["id"]
        assert request.event["data"] == {"webhook_id": made["id"]}
        receiver.says = lambda _: status(500, body="Oh\x00no")
        failed = await world.post(f"{path}/test")
        assert (failed["state"], failed["status"], failed["response"]) == (
            "given_up",
            500,
            "Oh\N{REPLACEMENT CHARACTER}no",
        )
        listed = await world.get(f"{path}/deliveries")
        assert [one["id"] for one in listed["items"]] == [failed["id"], told["id"]]
        assert (await world.get(f"{path}/deliveries", state="delivered", event="webhook.test"))["total"] == 1
        assert (await world.get(f"{path}/deliveries", event="message.sent"))["total"] == 0
        receiver.says = lambda _: status(204)
        again = await world.post(f"{path}/deliveries/{failed['id']}/replay")
        assert (again["state"], again["attempts"]) == ("pending", 0)
        assert [one.headers["webhook-id"] for one in await receiver.got(2, within=20)][-1] == failed["id"]
    await world.call("POST", f"{path}/deliveries/{made['id']}/replay", status=404)
    await world.call("PATCH", path, {"enabled": False}, status=200)
    error = (await world.call("POST", f"{path}/deliveries/{told['id']}/replay", status=409)).json()
    assert error["error_code"] == "WRONG_STATE"


async def test_a_test_that_is_asked_for_twice_at_the_same_moment_under_one_key_is_sent_once(world: World) -> None:
    async with Receiver().listening() as receiver:
        made = await world.post(HOOKS, BODY | {"url": receiver.url})
        path, headers = f"{HOOKS}/{made['id']}/test", {"Idempotency-Key": "once"}
        told = await asyncio.gather(*(world.post(path, headers=headers) for _ in range(3)))
        assert told[0] == told[1] == told[2]
        assert len(receiver.requests) == 1


async def test_tests_are_limited_because_they_call_somebody(world: World) -> None:
    async with Receiver().listening() as receiver:
        made = await world.post(HOOKS, BODY | {"url": receiver.url})
        answers = [await world.call("POST", f"{HOOKS}/{made['id']}/test") for _ in range(41)]
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429
        assert "Retry-After" in answers[-1].headers


async def test_without_the_setting_private_addresses_are_refused(make_world: MakeWorld) -> None:
    world = await make_world(capacities=())
    error = (await world.call("POST", HOOKS, BODY | {"url": "http://127.0.0.1:8000/x"}, status=422)).json()
    assert [(one["field"], one["code"]) for one in error["errors"]] == [("url", "address_forbidden")]


async def test_a_campaign_is_told_from_its_beginning_to_its_end_in_order(make_world: MakeWorld) -> None:
    world = await make_world(webhooks={"allow_private_addresses": True})
    await world.pair(ALICE)
    async with Receiver().listening() as receiver:
        wanted = ["message.processing", "message.sent", "message.completed"]
        await world.post(HOOKS, BODY | {"url": receiver.url, "events": wanted})
        campaign = await world.send()
        told = [request.event for request in await receiver.got(5, within=30)]
    assert [one["event"] for one in told] == ["message.processing", *["message.sent"] * 3, "message.completed"]
    assert {one["data"]["schedule_id"] for one in told} == {campaign["campaign_id"]}
    assert [one["sequence"] for one in told] == sorted(one["sequence"] for one in told)


async def test_a_family_of_events_is_all_its_kinds_and_what_is_none_is_told_once(world: World) -> None:
    made = await world.post(HOOKS, BODY | {"events": ["contact.*", "contact.opted_in", "message.sent"]})
    assert made["events"] == ["contact.opted_out", "contact.opted_in", "message.sent"]
    path = f"{HOOKS}/{made['id']}"
    changed = (await world.call("PATCH", path, {"events": ["session.*"]}, status=200)).json()
    assert {kind.partition(".")[0] for kind in changed["events"]} == {"session"}
    assert (await world.call("PATCH", path, {"events": ["message.*", "*"]}, status=200)).json()["events"] == ["*"]
    for wrong in ("money.*", "message.", "*.sent", 1):
        error = (await world.call("POST", HOOKS, BODY | {"events": ["message.*", wrong]}, status=422)).json()
        assert [one["field"] for one in error["errors"]] == ["events.1"]
        assert "message.*" in error["detail"]

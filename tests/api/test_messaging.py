"""The messaging API over HTTP: single messages and bulks, their status, and who may ask for how much."""

from datetime import datetime
from typing import Any

import pytest

from campaigns.doors.messaging.rates import Rates
from campaigns.sending.models import Campaign
from gateway.auth.access import Caller
from tests.api.conftest import MakeWorld
from tests.api.test_access import user_of
from tests.api.test_clients import bearer, make_client, make_key
from tests.api.test_media import LOCAL, OGG, PNG, Serve, serve
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, Body, World, until

__all__ = ["serve"]

pytestmark = pytest.mark.timeout(60)

ADA, BEA, CLEO = "+447700900100", "+447700900101", "+447700900102"
API = "/api/messaging"
SEND, BULK = f"{API}/send-message/", f"{API}/send-bulk/"


def hello(phone: str = ADA, **fields: Any) -> Body:
    """A message."""
    return {"phone_number": phone, "message": "Hello", **fields}


def bulk(*messages: Any, **fields: Any) -> Body:
    """Some messages."""
    return {"messages": list(messages), **fields}


async def told(world: World, message_id: str, **options: Any) -> Body:
    """A message's status."""
    answer = await world.call("GET", f"{API}/message/{message_id}/status/", status=200, **options)
    status: Body = answer.json()
    return status


async def has_left(world: World, count: int = 1) -> list[Body]:
    """So many transmissions, waited for."""

    async def look() -> list[Body]:
        ledger = await world.waha.ledger()
        return ledger if len(ledger) >= count else []

    return await until(look)


# --- a message


@pytest.mark.parametrize("path", [SEND, SEND.rstrip("/")])
async def test_a_message_is_sent_and_its_status_followed(any_world: World, path: str) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE], balance="1", price="0.10")
    body = hello("+44 7700 900100", message="Hi {{name}} {", campaign_id="spring", priority="high")
    sent = (await world.call("POST", path, body, headers=bearer(made), status=200)).json()
    assert set(sent) == {"success", "message_id", "status", "priority", "estimated_delivery"}
    assert (sent["success"], sent["priority"]) == (True, "high")
    assert sent["status"] in ("queued", "sending", "sent")  # it may have left already
    datetime.fromisoformat(sent["estimated_delivery"])
    (left,) = await has_left(world)
    assert (left["session"], left["chat_id"], left["text"]) == (ALICE[1:], f"{ADA[1:]}@c.us", "Hi {{name}} {")

    async def arrived() -> Body | None:
        status = await told(world, sent["message_id"], headers=bearer(made))
        return status if status["status"] in ("delivered", "read") else None

    status = await until(arrived)
    assert status is not None
    assert (status["phone_number"], status["sender_number"], status["campaign_id"]) == (ADA, ALICE, "spring")
    assert (status["success"], status["priority"], status["waiting"], status["error"]) == (True, "high", None, None)
    assert status["queued_at"] <= status["sent_at"]


async def test_a_message_that_waits_says_why(world: World) -> None:
    made = await make_client(world, senders=[ALICE])
    sent = (await world.call("POST", SEND, hello(), headers=bearer(made), status=200)).json()
    status = await told(world, sent["message_id"], headers=bearer(made))
    assert (status["status"], status["sent_at"]) == ("queued", None)
    assert status["waiting"]["reason"] == "session_not_connected"


async def test_a_message_leaves_through_the_number_that_is_named(world: World) -> None:
    await world.pair(ALICE, BERT)
    made = await make_client(world, senders=[ALICE, BERT])
    for number in (BERT, ALICE):
        await world.call("POST", SEND, hello(sender_number=number), headers=bearer(made), status=200)
    assert {one["session"] for one in await has_left(world, 2)} == {ALICE[1:], BERT[1:]}
    await world.call("POST", SEND, hello(sender_number=CARA), headers=bearer(made), status=404)


async def test_an_urgent_message_overtakes_what_waits(world: World) -> None:
    made = await make_client(world, senders=[ALICE])
    for priority in ("low", "normal", "high", "urgent"):
        body = hello(message=priority, priority=priority)
        await world.call("POST", SEND, body, headers=bearer(made), status=200)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 0.01, "SENDER_SWITCH_DELAY": 0}, status=200)
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    await world.pair(ALICE)
    assert [one["text"] for one in await has_left(world, 4)] == ["urgent", "high", "normal", "low"]


async def test_who_has_opted_out_is_not_written_to_and_that_is_said(world: World) -> None:
    made = await make_client(world, senders=[ALICE])
    await world.call("POST", "/api/suppressions", {"phone_number": ADA}, headers=bearer(made), status=201)
    sent = (await world.call("POST", SEND, hello(), headers=bearer(made), status=200)).json()
    assert (sent["success"], sent["status"], sent["estimated_delivery"]) == (False, "failed", None)
    assert sent["error_code"] == "opted_out"
    status = await told(world, sent["message_id"], headers=bearer(made))
    assert (status["status"], status["error_code"], status["error"]) == ("failed", "opted_out", sent["error"])


async def test_in_open_mode_the_numbers_are_those_of_this_machine(world: World) -> None:
    assert (await world.call("POST", SEND, hello(), status=409)).json()["error_code"] == "SESSION_NOT_CONNECTED"
    await world.pair(ALICE)
    sent = await world.post(SEND, hello())
    assert (await told(world, sent["message_id"]))["phone_number"] == ADA


async def test_a_message_is_found_by_its_own_id_only_and_by_nobody_else(world: World) -> None:
    made, other = await make_client(world, senders=[ALICE]), await make_client(world, "other")
    sent = (await world.call("POST", SEND, hello(), headers=bearer(made), status=200)).json()
    prefix, number = sent["message_id"].rsplit("_", 1)
    assert prefix == f"custom_msg_{ADA[1:]}"
    wrong = [f"custom_msg_{BEA[1:]}_{number}", f"{prefix}_{int(number) + 1}", f"{prefix}_7", "custom_msg_x_y"]
    for message_id in wrong:
        refused = await world.call("GET", f"{API}/message/{message_id}/status/", headers=bearer(made), status=404)
        assert (refused.json()["success"], refused.json()["error_code"]) == (False, "RESOURCE_NOT_FOUND")
    await world.call("GET", f"{API}/message/{sent['message_id']}/status", headers=bearer(other), status=404)
    await world.call("GET", f"{API}/message/{sent['message_id']}/status", headers=bearer(made), status=200)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone_number"),
        (hello("letters"), "phone_number"),
        (hello(message=None), "message"),
        (hello(message=" "), "message"),
        (hello(message="x" * 5001), "message"),
        (hello(message="a\x00"), "message"),
        (hello(priority="asap"), "priority"),
        (hello(campaign_id="x" * 101), "campaign_id"),
        (hello(attachment_url="http://169.254.169.254/latest"), "attachment_url"),
        (hello(attachment_url="file:///etc/passwd"), "attachment_url"),
        (hello(sender_number="letters"), "sender_number"),
        (hello(mesage="x"), "mesage"),
    ],
)
async def test_a_wrong_field_is_named_in_both_shapes_and_nothing_is_queued(
    world: World, body: Body, field: str
) -> None:
    made = await make_client(world, senders=[ALICE])
    error = (await world.call("POST", SEND, body, headers=bearer(made), status=422)).json()
    assert field in [one["field"] for one in error["errors"]]
    assert (error["success"], error["error"], error["status_code"]) == (False, error["detail"], 422)
    assert not error["detail"].startswith(("template", "media_url"))
    assert await world.count(Campaign) == 0


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b"[]", b"7", b'{"a": "\xff"}', b""])
@pytest.mark.parametrize("path", [SEND, SEND.rstrip("/"), BULK])
async def test_what_is_no_json_is_refused_in_both_shapes(module_world: World, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    error = (await module_world.call("POST", path, content=body, headers=headers, status=422)).json()
    assert (error["success"], error["error_code"]) == (False, "VALIDATION_ERROR")


async def test_who_is_not_let_in_is_told_in_both_shapes(world: World) -> None:
    made = await make_client(world)
    reader = await make_key(world, made, scopes=["read"])
    for headers, status in (({"Authorization": "Bearer wgk_wrong"}, 401), (bearer(reader), 403)):
        error = (await world.call("POST", SEND, hello(), headers=headers, status=status)).json()
        assert (error["success"], error["error"], error["status_code"]) == (False, error["detail"], status)


@pytest.mark.parametrize(("content", "text", "kind"), [(PNG, "Look", "image"), (OGG, "", "voice")])
async def test_a_file_goes_out_with_the_text_as_its_caption(
    make_world: MakeWorld, serve: Serve, content: bytes, text: str, kind: str
) -> None:
    world = await make_world(media=LOCAL)
    await world.pair(ALICE)
    url = await serve(content, "audio/ogg")
    await world.post(SEND, hello(message=text, attachment_url=url))
    (sent,) = await has_left(world)
    assert (sent["kind"], sent["text"] or "", sent["media"]["size"]) == (kind, text, len(content))


# --- how much


async def test_a_client_has_a_minute_of_its_own(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_minute": 2, "reads_per_minute": 0, "writes_per_minute": 0})
    usual = await make_client(world, senders=[ALICE])
    larger = await make_client(world, "larger", senders=[BERT], messages_per_minute=3)
    for made, allowed in ((usual, 2), (larger, 3)):
        second = await make_key(world, made)  # a second key is no second minute
        for turn in range(allowed):
            key = bearer(second if turn % 2 else made)
            await world.call("POST", SEND, hello(), headers=key, status=200)
        refused = await world.call("POST", SEND, hello(), headers=bearer(second), status=429)
        assert refused.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.json()["success"] is False
    assert await world.count(Campaign) == 5


async def test_without_a_client_each_user_has_a_minute_and_the_operator_any_number(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_minute": 1, "reads_per_minute": 0, "writes_per_minute": 0})
    await world.pair(ALICE)
    for caller in ({}, await user_of(world, "local")):
        await world.call("POST", SEND, hello(), headers=caller, status=200)
        await world.call("POST", SEND, hello(), headers=caller, status=429)
    for _ in range(3):
        await world.admin("POST", SEND, hello(), status=200)


async def test_whoever_has_an_ipv6_network_has_one_minute(world: World) -> None:
    rates, nobody = Rates(world.db, world.gateway.meter, 5), Caller(account_id="local")
    addresses = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2")
    who = [(await rates.of(nobody, address)).who for address in addresses]
    assert who[0] == who[1]
    assert len(set(who)) == 4


async def test_what_a_client_cannot_pay_or_send_today_is_refused(world: World) -> None:
    poor = await make_client(world, senders=[ALICE], price="0.10")
    error = (await world.call("POST", SEND, hello(), headers=bearer(poor), status=402)).json()
    assert (error["success"], error["error_code"]) == (False, "INSUFFICIENT_BALANCE")
    done = await make_client(world, "done", senders=[BERT], daily_limit=0)
    answer = await world.call("POST", SEND, hello(), headers=bearer(done), status=429)
    assert answer.json()["error_code"] == "DAILY_LIMIT_REACHED"
    assert int(answer.headers["retry-after"]) > 0


async def test_the_same_key_is_one_message_and_counts_once(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_minute": 1, "reads_per_minute": 0, "writes_per_minute": 0})
    made = await make_client(world, senders=[ALICE])
    headers = bearer(made) | {"Idempotency-Key": "k"}
    first = (await world.call("POST", SEND, hello(), headers=headers, status=200)).json()
    again = (await world.call("POST", SEND, hello(), headers=headers, status=200)).json()
    assert again == first
    assert await world.count(Campaign) == 1
    refused = await world.call("POST", SEND, hello(BEA), headers=headers, status=422)
    assert [one["code"] for one in refused.json()["errors"]] == ["key_reused"]


# --- many


async def test_each_message_of_a_bulk_has_its_result_and_a_wrong_one_stops_no_other(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    made = await make_client(world, senders=[ALICE])
    given = [hello(), hello("letters"), {"phone_number": BEA}, 7, hello(CLEO, campaign_id="own", priority="high")]
    answer = (
        await world.call("POST", BULK, bulk(*given, campaign_id="spring"), headers=bearer(made), status=200)
    ).json()
    assert (answer["success"], answer["total"], answer["successful"], answer["failed"]) == (False, 5, 2, 3)
    results = answer["results"]
    assert [one["success"] for one in results] == [True, False, False, False, True]
    codes = ["INVALID_PHONE_NUMBER", "VALIDATION_ERROR", "VALIDATION_ERROR"]
    assert [one["error_code"] for one in results[1:4]] == codes
    assert [one["phone_number"] for one in results] == [ADA, "letters", BEA, None, CLEO]
    assert "message" in results[2]["error"]
    labels = [(await told(world, results[n]["message_id"], headers=bearer(made)))["campaign_id"] for n in (0, 4)]
    assert labels == ["spring", "own"]
    assert {one["chat_id"] for one in await has_left(world, 2)} == {f"{ADA[1:]}@c.us", f"{CLEO[1:]}@c.us"}


async def test_a_bulk_with_the_same_key_sends_nothing_twice_and_tries_again_what_was_refused(
    make_world: MakeWorld,
) -> None:
    world = await make_world(limits={"messages_per_minute": 2, "reads_per_minute": 0, "writes_per_minute": 0})
    made = await make_client(world, senders=[ALICE])
    headers = bearer(made) | {"Idempotency-Key": "k" * 255}
    body = bulk(hello(), hello(), hello(BEA))
    first = (await world.call("POST", BULK, body, headers=headers, status=200)).json()
    assert [one["success"] for one in first["results"]] == [True, True, False]
    assert first["results"][2]["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < first["results"][2]["retry_after"] <= 60
    await world.admin("PATCH", f"/api/admin/clients/{made['id']}", {"messages_per_minute": 10}, status=200)
    again = (await world.call("POST", BULK, body, headers=headers, status=200)).json()
    assert again["success"]
    assert again["results"][:2] == first["results"][:2]
    assert await world.count(Campaign) == 3


async def test_a_bulk_holds_as_many_as_the_settings_say(make_world: MakeWorld) -> None:
    world = await make_world(limits={"messages_per_bulk": 2})
    made = await make_client(world, senders=[ALICE])
    for body in (bulk(hello(), hello(), hello()), bulk()):
        error = (await world.call("POST", BULK, body, headers=bearer(made), status=422)).json()
        assert (error["success"], [one["field"] for one in error["errors"]]) == (False, ["messages"])
    assert await world.count(Campaign) == 0
    await world.call("POST", BULK, bulk(hello(), hello()), headers=bearer(made), status=200)

"""The messaging API, section by section: each request as it is written but for numbers, each answer as it is shown."""

import re
from typing import Any

import pytest

from campaigns.sending.models import Priority
from gateway.settings import Settings
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, Body, World, until
from tests.seed_002.seed import Request, Seed, assert_like

ADA, BEA = "+447700900100", "+447700900101"
SEND, BULK, VALIDATE = "Send Single Message", "Send Bulk Messages", "Validate Phone Number"
STATUS, BALANCE = "Get Message Status", "Get Account Balance"
CAMPAIGN, STATS = "Create Campaign and Send", "Get Messaging Statistics"
SECTIONS = (SEND, BULK, VALIDATE, STATUS, BALANCE, CAMPAIGN, STATS)


def replaced(value: Any) -> Any:
    """An example with numbers of fiction, and without a file that is nowhere."""
    if isinstance(value, dict):
        return {name: replaced(one) for name, one in value.items() if name != "attachment_url"}
    if isinstance(value, list):
        return [replaced(one) for one in value]
    return {"+1234567890": ADA, "+0987654321": BEA}.get(value, value) if isinstance(value, str) else value


def request_of(seed: Seed, heading: str) -> Request:
    """The request of a section: its body comes after the headers, which are the client's."""
    request = seed.request(heading)
    return Request(request.method, request.path, replaced(request.body))


async def asked(world: World, seed: Seed, heading: str, **names: str) -> Body:
    """The answer to a section's request."""
    request = request_of(seed, heading)
    answer = await world.call(request.method, request.path.format(**names), request.body, status=200)
    told: Body = answer.json()
    return told


async def left(world: World, count: int) -> list[Body]:
    """So many transmissions, waited for."""

    async def look() -> list[Body]:
        ledger = await world.waha.ledger()
        return ledger if len(ledger) >= count else []

    return await until(look)


async def test_send_single_message(world: World, seed: Seed) -> None:
    told = await asked(world, seed, SEND)
    shown = seed.answer(SEND)
    assert_like(shown, told)
    assert set(told) == set(shown)
    pattern = re.sub(r"\d+", r"\\d+", shown["message_id"])
    assert re.fullmatch(pattern, told["message_id"])
    (sent,) = await left(world, 1)
    assert (sent["session"], sent["chat_id"]) == (ALICE[1:], f"{ADA[1:]}@c.us")
    assert sent["text"] == request_of(seed, SEND).body["message"]


async def test_the_attachment_of_a_message_is_looked_for_where_it_is_said_to_be(world: World, seed: Seed) -> None:
    body = seed.request(SEND).body | {"phone_number": ADA}
    error = (await world.call("POST", seed.request(SEND).path, body, status=422)).json()
    assert [one["field"] for one in error["errors"]] == ["attachment_url"]
    assert (error["success"], error["error"]) == (False, error["detail"])


async def test_send_bulk_messages(world: World, seed: Seed) -> None:
    told = await asked(world, seed, BULK)
    assert [one["success"] for one in told["results"]] == [True, True]
    for one, given in zip(told["results"], request_of(seed, BULK).body["messages"], strict=True):
        assert_like(seed.answer(SEND), one)
        assert (one["phone_number"], one["priority"]) == (given["phone_number"], given["priority"])
    assert {one["text"] for one in await left(world, 2)} == {"Hello User 1!", "Hello User 2!"}


async def test_validate_phone_number(world: World, seed: Seed) -> None:
    request = request_of(seed, VALIDATE)
    told = (await world.call("POST", request.path, {"phone_number": "+44 7911 123456"}, status=200)).json()
    assert_like(seed.answer(VALIDATE), told)
    assert (told["is_valid"], told["can_receive_messages"]) == (True, True)
    written = await asked(world, seed, VALIDATE)
    assert set(written) == set(told) >= set(seed.answer(VALIDATE))
    assert (written["formatted_number"], written["can_receive_messages"]) == (ADA, True)


async def test_get_message_status(world: World, seed: Seed) -> None:
    sent = await asked(world, seed, SEND)

    async def arrived() -> Body | None:
        told = await asked(world, seed, STATUS, message_id=sent["message_id"])
        return told if told["status"] in ("delivered", "read") else None

    told = await until(arrived)
    assert told is not None
    assert (told["message_id"], told["phone_number"]) == (sent["message_id"], ADA)
    assert told["campaign_id"] == request_of(seed, SEND).body["campaign_id"]


async def test_get_account_balance(world: World, seed: Seed) -> None:
    await asked(world, seed, SEND)

    async def charged() -> Body | None:
        told = await asked(world, seed, BALANCE)
        return told if told["messages_sent_today"] else None

    told = await until(charged)
    assert told is not None
    shown = seed.answer(BALANCE)
    assert_like(shown, told)
    assert set(told) == set(shown)
    assert (told["balance"], told["currency"]) == (shown["balance"], shown["currency"])
    assert (told["messages_limit_daily"], told["messages_remaining"]) == (shown["messages_limit_daily"], 999)


async def test_create_campaign_and_send(world: World, seed: Seed) -> None:
    told = await asked(world, seed, CAMPAIGN)
    body = request_of(seed, CAMPAIGN).body
    assert (told["success"], told["campaign_name"], told["priority"]) == (True, body["campaign_name"], body["priority"])
    assert (told["queued"], told["invalid"]) == (2, [])
    assert {one["text"] for one in await left(world, 2)} == {
        body["message_template"].replace("{{name}}", number) for number in (ADA, BEA)
    }
    refused = await world.call("POST", seed.request(CAMPAIGN).path, body | {"use_ai_personalization": True}, status=422)
    assert refused.json()["error_code"] == "NOT_CONFIGURED"


async def test_get_messaging_statistics(world: World, seed: Seed) -> None:
    await asked(world, seed, BULK)
    told = await asked(world, seed, STATS)
    assert (told["days"], told["totals"]["messages"]) == (30, 2)
    assert [one["campaign"] for one in told["by_campaign"]] == [request_of(seed, BULK).body["campaign_id"]]
    assert set(told["by_status"]) == {name for name, _ in words(seed, "Message Statuses")}


def words(seed: Seed, heading: str) -> list[tuple[str, str]]:
    """The words that a section lists, with what they mean."""
    (title,) = [one for one in seed.titles() if heading in one]
    return re.findall(r"^- `(\w+)`: (.+)$", seed.text(title), re.MULTILINE)


async def test_the_words_of_the_document_are_those_of_the_description(world: World, seed: Seed) -> None:
    schemas = (await world.get("/openapi.json"))["components"]["schemas"]
    assert schemas["MessageStatus"]["enum"] == [name for name, _ in words(seed, "Message Statuses")]
    assert list(Priority) == [name for name, _ in words(seed, "Priority Levels")]


async def test_all_endpoints_require_authentication(world: World, seed: Seed) -> None:
    (security,) = [one for one in seed.titles() if "Security" in one]
    assert "All endpoints require authentication" in seed.text(security)
    del world.client.headers["Authorization"]
    for heading in SECTIONS:
        request = request_of(seed, heading)
        path = request.path.format(message_id="custom_msg_1_1")
        for headers in ({}, {"Authorization": "Bearer your_api_key"}):
            error = (await world.call(request.method, path, request.body, headers=headers, status=401)).json()
            assert (error["success"], error["error_code"]) == (False, "UNAUTHORIZED")


def test_the_limits_of_the_document_are_the_defaults(seed: Seed) -> None:
    (title,) = [one for one in seed.headings("python") if "Configuration" in one]
    told = dict(re.findall(r"^(\w+) = (\d+)", seed.blocks(title, "python")[0].text, re.MULTILINE))
    limits = Settings().limits
    assert told == {
        "MESSAGING_RATE_LIMIT": str(limits.messages_per_minute),
        "MAX_MESSAGES_PER_BATCH": str(limits.messages_per_bulk),
    }


@pytest.mark.parametrize("slash", ["/", ""])
async def test_every_path_works_with_a_slash_at_its_end_and_without(world: World, seed: Seed, slash: str) -> None:
    sent = await asked(world, seed, SEND)
    for heading in SECTIONS:
        request = request_of(seed, heading)
        path, mark, query = request.path.format(message_id=sent["message_id"]).partition("?")
        assert path.endswith("/")
        await world.call(request.method, path.rstrip("/") + slash + mark + query, request.body, status=200)


async def test_another_client_sees_nothing_of_it(world: World, seed: Seed) -> None:
    sent = await asked(world, seed, SEND)
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    other = await world.post("/api/admin/clients", {"name": "other", "senders": [BERT]}, headers=operator)
    world.client.headers["Authorization"] = f"Bearer {other['api_key']}"
    path = request_of(seed, STATUS).path.format(message_id=sent["message_id"])
    await world.call("GET", path, status=404)
    assert (await asked(world, seed, STATS))["totals"]["messages"] == 0
    assert (await asked(world, seed, BALANCE))["balance"] == 0

"""The inbox over HTTP: conversations, what was written in both directions, answers and read marks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.audience.models import Recipient
from campaigns.sending.models import Message
from sessions.models import SessionState
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, Body, World, until
from tests.harness.live import listening, serving

ADA, BEN = "+447700900100", "+447700900101"
LIST = "/api/conversations"


@pytest.fixture
async def world(any_world: World) -> World:
    """Alice is connected."""
    await any_world.pair(ALICE)
    return any_world


async def say(world: World, text: str, *, by: str = ADA, to: str = ALICE, **fields: Any) -> None:
    """Somebody writes to a number of ours."""
    await world.waha.tell("POST", f"/sessions/{to[1:]}/incoming", {"from": by[1:], "text": text, **fields})


async def conversations(world: World, texts: int = 1, **params: Any) -> list[Body]:
    """Alice's conversations, as soon as so many messages are unread."""

    async def look() -> list[Body]:
        listed = await world.get(LIST, sender_number=ALICE)
        if sum(one["unread"] for one in listed["items"]) < texts:
            return []
        return list((await world.get(LIST, **{"sender_number": ALICE} | params))["items"]) or [{}]

    return await until(look)


async def thread(world: World, conversation: Body, **params: Any) -> list[Body]:
    """The messages of a conversation, newest first."""
    return list((await world.get(f"{LIST}/{conversation['id']}/messages", **params))["items"])


async def test_who_wrote_last_is_first(world: World) -> None:
    await say(world, "hello", seconds_ago=60, author="Ada")
    await say(world, "good morning", by=BEN, seconds_ago=30)
    ben, ada = await conversations(world, 2)
    assert (ada["phone_number"], ada["name"], ada["unread"], ada["last_text"]) == (ADA, "Ada", 1, "hello")
    assert (ben["phone_number"], ben["sender_number"]) == (BEN, ALICE)


async def test_one_conversation_is_told_as_in_the_list(world: World) -> None:
    await say(world, "hello", author="Ada")
    (ada,) = await conversations(world)
    assert await world.get(f"{LIST}/{ada['id']}") == ada
    assert ada["account"] == "local"
    await world.call("GET", f"{LIST}/{ada['id']}", params={"sender_number": BERT}, status=404)


async def test_a_recipients_own_name_counts_before_what_they_call_themselves(world: World) -> None:
    await world.post("/api/recipients", {"name": "Ada Lovelace", "phone_number": ADA})
    await say(world, "hello", author="the countess")
    (ada,) = await conversations(world)
    assert ada["name"] == "Ada Lovelace"
    assert await world.count(Recipient) == 1


@pytest.mark.parametrize(
    ("search", "found"),
    [("ADA", [ADA]), ("0100", [ADA]), ("07700 900101", []), ("good MORNING", [BEN]), ("100%", []), ("zoe", [])],
)
async def test_searching_looks_in_names_numbers_and_texts(world: World, search: str, found: list[str]) -> None:
    await say(world, "hello", author="Ada")
    await say(world, "Good morning", by=BEN)
    assert [one.get("phone_number") for one in await conversations(world, 2, search=search) if one] == found


async def test_both_directions_are_shown_with_what_became_of_them(world: World) -> None:
    campaign = await world.send(recipients=[ADA, BEN], template="Shall we deliver it?")
    await world.finished(campaign)
    await say(world, "Yes, please!")
    (ada,) = await conversations(world)

    async def is_read() -> list[Body]:
        items = await thread(world, ada)
        return items if items[1]["status"] == "read" else []

    answer, question = await until(is_read)
    assert (question["direction"], question["text"]) == ("out", "Shall we deliver it?")
    assert (answer["direction"], answer["status"], answer["text"]) == ("in", "received", "Yes, please!")
    assert (answer["answers_id"], answer["campaign_id"]) == (question["id"], campaign["campaign_id"])
    assert question["read_at"] is not None


async def test_a_thread_is_read_in_pages(world: World) -> None:
    for n in range(5):
        await say(world, str(n), seconds_ago=50 - n)
    (ada,) = await conversations(world, 5)
    page = await world.get(f"{LIST}/{ada['id']}/messages", page=2, per_page=2)
    assert [one["text"] for one in page["items"]] == ["2", "1"]
    assert (page["total"], page["pages"]) == (5, 3)


async def test_an_answer_leaves_from_the_same_number_as_it_was_written(world: World) -> None:
    await say(world, "where is it?")
    (ada,) = await conversations(world)
    text = "It is {{ on }} its way"
    reply = await world.post(f"{LIST}/{ada['id']}/reply", {"text": text})
    assert (reply["direction"], reply["text"], reply["answers_id"]) == ("out", text, None)

    async def has_left() -> list[Body]:
        return await world.waha.ledger()

    (sent,) = await until(has_left)
    assert (sent["session"], sent["chat_id"], sent["text"]) == (ALICE[1:], f"{ADA[1:]}@c.us", text)
    assert (await thread(world, ada))[0]["text"] == text


async def test_an_answer_shows_before_it_has_left_and_overtakes_everything_else(world: World) -> None:
    await say(world, "where is it?")
    (ada,) = await conversations(world)
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "STARTING"})
    await world.state(ALICE, SessionState.STARTING)
    await world.send(recipients=[BEN, ADA], queue_if_offline=True)
    await world.post(f"{LIST}/{ada['id']}/reply", {"text": "soon"})
    reply, question = await thread(world, ada)
    assert (reply["text"], reply["status"], question["text"]) == ("soon", "queued", "where is it?")
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "WORKING"})

    async def all_left() -> list[Body]:
        ledger = await world.waha.ledger()
        return ledger if len(ledger) == 3 else []

    assert (await until(all_left))[0]["text"] == "soon"


async def test_an_answer_with_the_same_key_is_sent_once(world: World) -> None:
    await say(world, "hello")
    (ada,) = await conversations(world)
    path, headers = f"{LIST}/{ada['id']}/reply", {"Idempotency-Key": "one"}
    first, again = [await world.post(path, {"text": "hi"}, headers=headers) for _ in range(2)]
    assert first["id"] == again["id"]
    assert await world.count(Message) == 1


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "  "}, {"text": "a\x00"}, {"text": "x", "to": BEN}])
async def test_an_answer_that_says_nothing_is_refused(world: World, body: Body) -> None:
    await say(world, "hello")
    (ada,) = await conversations(world)
    await world.call("POST", f"{LIST}/{ada['id']}/reply", body, status=422)


async def test_who_has_no_number_yet_cannot_be_answered(world: World) -> None:
    await world.waha.tell(
        "POST", f"/sessions/{ALICE[1:]}/incoming", {"from": "100000000000009@lid", "text": "who am I?"}
    )
    (hidden,) = await conversations(world)
    assert hidden["phone_number"] is None
    refused = await world.call("POST", f"{LIST}/{hidden['id']}/reply", {"text": "hello"}, status=409)
    assert refused.json()["error_code"] == "WRONG_STATE"


async def test_what_was_marked_as_read_is_unread_again_when_they_write(world: World) -> None:
    await say(world, "one")
    (ada,) = await conversations(world)
    read = await world.post(f"{LIST}/{ada['id']}/read")
    assert read["unread"] == 0
    assert (await world.get(LIST, sender_number=ALICE, unread=True))["items"] == []
    assert len((await world.get(LIST, sender_number=ALICE, unread=False))["items"]) == 1
    await say(world, "two")
    (ada,) = await conversations(world, unread=True)
    assert ada["unread"] == 1


async def test_another_numbers_conversations_are_not_there(world: World, make_world: MakeWorld) -> None:
    tokens = await world.pair(BERT)
    await say(world, "hello")
    (ada,) = await conversations(world)
    own = {"headers": {"X-Sender-Token": tokens[BERT]}}
    assert (await world.call("GET", LIST, status=200, **own)).json()["items"] == []
    for verb, path, body in (("GET", "messages", None), ("POST", "reply", {"text": "hi"}), ("POST", "read", None)):
        await world.call(verb, f"{LIST}/{ada['id']}/{path}", body, status=404, **own)
    assert (await world.get(LIST, sender_number=BERT))["items"] == []
    everybody = (await world.call("GET", LIST, headers={"X-Admin-Token": ADMIN_TOKEN}, status=200)).json()
    assert [one["id"] for one in everybody["items"]] == [ada["id"]]


async def test_in_open_mode_a_list_needs_a_number(world: World) -> None:
    refused = (await world.call("GET", LIST, status=422)).json()
    assert [error["field"] for error in refused["errors"]] == ["sender_number"]


async def test_an_answer_stops_what_a_sequence_would_still_send(world: World) -> None:
    first = await world.send(recipients=[ADA, BEN], label="welcome")
    await world.finished(first)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = await world.send(recipients=[ADA, BEN], label="welcome", stop_on_reply=True, start_at=tomorrow)
    await say(world, "tell me more")
    await conversations(world)
    status = await world.get(f"/api/status/{later['campaign_id']}", details=True)
    fates = {one["recipient"]: (one["status"], one["error_code"]) for one in status["messages"]["items"]}
    assert fates == {ADA: ("skipped", "replied"), BEN: ("queued", None)}
    assert (status["label"], status["stop_on_reply"], status["skipped"]) == ("welcome", True, 1)


async def test_what_comes_in_is_told_at_once(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.pair(ALICE)
    campaign = await world.send(recipients=[ADA])
    await world.finished(campaign)
    async with serving(world.gateway) as url, listening(url, events=["message.received"]) as client:
        await say(world, "Yes, please!", author="Ada")
        told = await client.event("message.received")
    (ada,) = await conversations(world)
    data = told["data"]
    assert (data["text"], data["from"], data["name"], data["kind"]) == ("Yes, please!", ADA, "Ada", "text")
    assert (data["conversation_id"], data["schedule_id"]) == (ada["id"], campaign["campaign_id"])

"""From a phone through WAHA's events into the inbox: a whole gateway in front of a simulated WAHA."""

import asyncio
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from campaigns.inbox.hearing import GATHER_SECONDS
from campaigns.inbox.intake import take_in_all
from campaigns.inbox.models import Conversation
from campaigns.inbox.tables import contact, conversation, incoming_message
from gateway.clock import Clock
from gateway.db import AnyRow, DatabaseAway
from gateway.waha.schemas import MessageAnyEvent, parse_event
from tests.api.world import ALICE, World, until
from tests.campaigns.inbox.conftest import MakeWorld

ADA = "+447700900100"
SECRET = "a secret of sixteen"


@pytest.fixture
async def world(database_url: str, make_api_world: MakeWorld) -> World:
    """A gateway with a paired number on each kind of database."""
    world = await make_api_world(database_url=database_url)
    await world.pair(ALICE)
    return world


async def say(world: World, text: str, **fields: Any) -> dict[str, Any]:
    """Ada writes to Alice."""
    body = {"from": ADA[1:], "text": text, **fields}
    told: dict[str, Any] = await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/incoming", body)
    return told


async def stored(world: World, count: int) -> list[AnyRow]:
    """The messages in the order in which they were written, as soon as there are so many."""

    async def look() -> list[AnyRow]:
        query = select(incoming_message, contact.c.phone, contact.c.name).order_by(
            incoming_message.c.at, incoming_message.c.id
        )
        query = query.join(conversation, conversation.c.id == incoming_message.c.conversation_id)
        async with world.db.read() as connection:
            rows = (await connection.execute(query.join(contact, contact.c.id == conversation.c.contact_id))).all()
        return list(rows) if len(rows) >= count else []

    return await until(look)


async def test_what_somebody_writes_is_stored(world: World) -> None:
    told = await say(world, "hello", author="Ada")
    (row,) = await stored(world, 1)
    assert (row.text, row.wa_id, row.kind, row.phone, row.name) == ("hello", told["id"], "text", ADA[1:], "Ada")


async def test_what_is_told_repeatedly_and_under_both_names_is_stored_once(world: World) -> None:
    await world.waha.tell("PUT", "/events", {"repeat": 1, "lid_variant": 1})
    for text in ("one", "two", "three"):
        await say(world, text, times=2)
    await world.waha.tell("PUT", "/events", {})
    await say(world, "the end")
    rows = await stored(world, 4)
    assert [row.text for row in rows] == ["one", "two", "three", "the end"]
    assert {row.phone for row in rows} == {ADA[1:]}
    assert await world.count(Conversation) == 1


async def test_a_hidden_id_is_put_to_its_number_when_waha_tells_it(world: World) -> None:
    await say(world, "under the number")
    await say(world, "under the hidden id", hidden=True)

    async def together() -> bool:
        rows = await stored(world, 2)
        return {row.phone for row in rows} == {ADA[1:]} and len({row.conversation_id for row in rows}) == 1

    assert await until(together)


@pytest.mark.parametrize("chat", ["120363000000000000@g.us", "120363000000000000@newsletter", "status@broadcast"])
async def test_groups_channels_and_status_are_no_conversations(world: World, chat: str) -> None:
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/incoming", {"from": chat, "text": "to all"})
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/phone-message", {"to": ADA[1:], "text": "from our phone"})
    await say(world, "to us")
    assert [row.text for row in await stored(world, 1)] == ["to us"]


async def test_what_somebody_answers_counts_in_the_campaign(world: World) -> None:
    campaign = await world.send(recipients=[ADA])
    await world.finished(campaign)
    await say(world, "yes")
    (row,) = await stored(world, 1)
    assert row.campaign_id == campaign["campaign_id"]
    status = await world.get(f"/api/status/{campaign['campaign_id']}")
    assert status["replied"] == 1


async def test_where_many_come_the_next_ones_are_stored_together_with_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearing, (member,) = world.gateway.hearing, world.gateway.fleet.members
    sizes: list[int] = []

    async def measured(tx: Any, messages: Any, **options: Any) -> Any:
        sizes.append(len(messages))
        return await take_in_all(tx, messages, **options)

    def come(*ids: str) -> None:
        for wa_id in ids:
            payload = {"id": f"false_{ADA[1:]}@c.us_{wa_id}", "from": f"{ADA[1:]}@c.us", "fromMe": False, "body": wa_id}
            event = parse_event({"id": wa_id, "event": "message.any", "session": ALICE[1:], "payload": payload})
            assert isinstance(event, MessageAnyEvent)
            hearing.note(member, event)

    class OneMoreMeanwhile(Clock):
        async def wait(self, event: asyncio.Event, timeout: float | None) -> bool:
            if timeout != GATHER_SECONDS:
                return await super().wait(event, timeout)
            come("fourth")
            return False

    monkeypatch.setattr("campaigns.inbox.hearing.take_in_all", measured)
    come("first")
    await hearing.written()
    monkeypatch.setattr(hearing, "_clock", OneMoreMeanwhile())
    come("second", "third")  # after one alone nothing is waited for
    await hearing.written()
    come("fifth")
    await hearing.written()
    assert sizes == [1, 2, 2]


async def test_what_the_database_refuses_for_now_is_stored_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [DatabaseAway("gone"), DatabaseAway("still gone")]

    async def fail_first(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await take_in_all(*args, **options)

    monkeypatch.setattr("campaigns.inbox.hearing.take_in_all", fail_first)
    await say(world, "one")
    assert [row.text for row in await stored(world, 1)] == ["one"]
    assert not failures


async def test_a_message_that_the_database_never_takes_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(tx: Any, messages: Any, **options: Any) -> Any:
        if any(one.text == "poison" for one in messages):
            raise OperationalError("insert", None, Exception("no"))
        return await take_in_all(tx, messages, **options)

    monkeypatch.setattr("campaigns.inbox.hearing.take_in_all", refuse)
    for text in ("before", "poison", "after"):
        await say(world, text)
    assert [row.text for row in await stored(world, 2)] == ["before", "after"]


async def test_wahas_webhook_is_answered_once_the_message_is_stored(
    database_url: str, make_api_world: MakeWorld
) -> None:
    world = await make_api_world(database_url=database_url, waha={"webhook_secret": SECRET, "servers": []})
    world_with_server = await world.admin(
        "POST", "/api/admin/servers", {"name": "waha1", "url": world.waha.url, "api_key": "canary-waha-key-4242"}
    )
    assert world_with_server.status_code == 201, world_with_server.text
    await world.pair(ALICE)
    (member,) = world.gateway.fleet.members
    event = {
        "id": "evt_1",
        "event": "message.any",
        "session": ALICE[1:],
        "payload": {"id": f"false_{ADA[1:]}@c.us_3EB0A", "fromMe": False, "body": "hello", "timestamp": 1_790_000_000},
    }
    body = orjson.dumps(event)
    signature = hmac.new(SECRET.encode(), body, hashlib.sha512).hexdigest()
    for _ in range(2):
        await world.call(
            "POST",
            f"/api/webhook/waha?server={member.id}",
            content=body,
            headers={"X-Webhook-Hmac": signature, "Content-Type": "application/json"},
            status=200,
        )
        async with world.db.read() as connection:
            rows = (await connection.execute(select(incoming_message))).all()
        assert [(row.text, row.wa_id) for row in rows] == [("hello", "3EB0A")]

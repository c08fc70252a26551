"""People write, and WAHA tells of it repeatedly, out of order and under both names: each message is stored once."""

import argparse
import asyncio
import random
from collections import defaultdict

import httpx
import pytest

from bench.inbox import Flood, Thread, make_flood, stored_threads, wrong_threads
from gateway.web import create_app
from tests.api.world import ALICE, BERT, CARA, until
from tests.campaigns.inbox.conftest import MakeWorld
from tests.sessions.news.conftest import WEBHOOK_SETTINGS, Post

pytestmark = pytest.mark.timeout(120)

MESSAGES, PEOPLE = 200, 20
AT_ONCE = 8


@pytest.mark.parametrize("events", ["websocket", "webhook"])
async def test_whatever_waha_does_to_its_events_each_message_is_stored_once_in_its_thread(
    database_url: str, make_api_world: MakeWorld, events: str
) -> None:
    post = Post()
    told_by = WEBHOOK_SETTINGS if events == "webhook" else {}
    world = await make_api_world(database_url=database_url, simulator={"transport": post}, waha=told_by)
    post.door = httpx.ASGITransport(create_app(world.gateway))
    senders = [ALICE, BERT, CARA]
    await world.pair(*senders)
    faults = {"repeat": 0.2, "lid_variant": 0.2, "reorder_seconds": 4.0}
    await world.waha.tell("PUT", "/events", faults)
    rng = random.Random(1)
    told: dict[Thread, list[str]] = defaultdict(list)
    at_once = asyncio.Semaphore(AT_ONCE)

    async def write(number: int) -> None:
        sender, phone = rng.choice(senders)[1:], f"4477009001{rng.randrange(PEOPLE):02d}"
        text = f"message {number}"
        body = {"from": phone, "text": text, "hidden": rng.random() < 0.3}
        told[sender, phone].append(text)
        async with at_once:
            await world.waha.tell("POST", f"/sessions/{sender}/incoming", body)

    await asyncio.gather(*(write(number) for number in range(MESSAGES)))
    flood = Flood({thread: sorted(texts) for thread, texts in told.items()}, [])

    async def all_is_well() -> bool:
        stored = await stored_threads(world.db, flood)
        return wrong_threads(flood, {thread: sorted(texts) for thread, texts in stored.items()}) == 0

    assert await until(all_is_well)
    await world.waha.server.webhooks.drained()
    assert await all_is_well(), "nor does a late repeat change anything"
    assert bool(post.passed) is (events == "webhook")


def test_the_judge_finds_what_is_missing_twice_elsewhere_or_out_of_order() -> None:
    flood = Flood({("1", "2"): ["a", "b"], ("1", "3"): ["c"]}, [])
    assert wrong_threads(flood, {("1", "2"): ["a", "b"], ("1", "3"): ["c"]}) == 0
    assert wrong_threads(flood, {("1", "2"): ["a"], ("1", "3"): ["c"]}) == 1
    assert wrong_threads(flood, {("1", "2"): ["a", "b"], ("1", "3"): ["c", "c"]}) == 1
    assert wrong_threads(flood, {("1", "2"): ["b", "a"], ("1", "3"): ["c"]}) == 1
    assert wrong_threads(flood, {("1", "2"): ["a", "b"], ("1", "nobody"): ["c"]}) == 2


def test_a_flood_has_repeats_hidden_ids_and_both_names_and_is_out_of_order() -> None:
    chosen = argparse.Namespace(messages=2000, people=50, senders=5)
    flood = make_flood(random.Random(1), chosen, 0)
    assert sum(len(thread) for thread in flood.threads.values()) == 2000
    told: dict[str, list[str]] = defaultdict(list)
    for _, _, chat, message_id, _, _ in flood.events:
        told[message_id].append(chat)
    assert len(told) == 2000
    twice = [chats for chats in told.values() if len(chats) == 2]
    assert 0 < sum(len(set(chats)) == 2 for chats in twice) < len(twice)
    assert {chat.partition("@")[2] for chats in told.values() for chat in chats} == {"c.us", "lid"}
    assert [event[5] for event in flood.events] != sorted(event[5] for event in flood.events)

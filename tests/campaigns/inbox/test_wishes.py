"""Whoever writes STOP to one of our numbers is stopped, and told so once: from WAHA's event to the ledger."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from campaigns.audience.optouts.tables import suppression
from campaigns.sending.tables import message
from tests.api.world import ALICE, BERT, World, until
from tests.campaigns.inbox.conftest import MakeWorld
from tests.campaigns.inbox.test_hearing import ADA, say, stored

CONFIRMATION = "You will not get any more messages from us. Send START if you want them again."


@pytest.fixture
async def world(database_url: str, make_api_world: MakeWorld) -> World:
    """A gateway with a paired number on each kind of database."""
    world = await make_api_world(database_url=database_url)
    await world.pair(ALICE)
    return world


async def texts_to_ada(world: World) -> list[str]:
    """What WhatsApp took for Ada, in order."""
    return [one["text"] for one in await world.waha.ledger() if one["chat_id"].startswith(ADA[1:])]


async def stopped(world: World) -> Sequence[Any]:
    """The rows of the suppression list."""
    async with world.db.read() as connection:
        return (await connection.execute(select(suppression))).all()


async def test_who_writes_stop_is_stopped_for_all_senders_and_told_so_once(world: World) -> None:
    await world.pair(BERT)
    for word in ("Stop!", "STOP"):
        await say(world, word)
    await stored(world, 2)
    assert await until(lambda: is_told(world, [CONFIRMATION]))
    assert [(one.phone, one.said) for one in await stopped(world)] == [(ADA[1:], "Stop!")]
    for number in (ALICE, BERT):
        done = await world.finished(await world.send(sender_number=number, recipients=[ADA], template="Buy this"))
        assert (done["status"], done["skipped"]) == ("failed", 1)
    assert await texts_to_ada(world) == [CONFIRMATION]


async def is_told(world: World, texts: list[str]) -> bool:
    return await texts_to_ada(world) == texts


async def test_who_writes_start_has_messages_again(world: World) -> None:
    await say(world, "STOP")
    assert await until(lambda: is_told(world, [CONFIRMATION]))
    await say(world, "start")
    await stored(world, 2)
    assert await stopped(world) == []
    await world.finished(await world.send(recipients=[ADA], template="Welcome back"))
    assert await texts_to_ada(world) == [CONFIRMATION, "Welcome back"]


async def test_a_word_in_a_sentence_stops_nothing(world: World) -> None:
    await say(world, "Please do not stop writing to me")
    await stored(world, 1)
    assert await stopped(world) == []


async def test_a_stop_under_a_hidden_id_counts_when_its_number_is_known(world: World) -> None:
    await say(world, "STOP", hidden=True)
    assert await until(lambda: is_told(world, [CONFIRMATION]))
    assert [one.phone for one in await stopped(world)] == [ADA[1:]]


async def test_the_report_tells_who_had_opted_out(world: World) -> None:
    await say(world, "STOP")
    assert await until(lambda: is_told(world, [CONFIRMATION]))
    others = ["+447700900191", "+447700900192"]
    done = await world.finished(await world.send(recipients=[ADA, *others]))
    report = await world.get(f"/api/campaigns/{done['campaign_id']}/report")
    assert (report["funnel"]["opted_out"], report["funnel"]["sent"]) == (1, 2)
    async with world.db.read() as connection:
        states = (await connection.execute(select(message.c.state).where(message.c.phone == ADA[1:]))).scalars().all()
    assert "skipped" in states

"""Who wrote to us: people, under their number, whatever id WhatsApp names them by."""

import pytest
from sqlalchemy import select

from campaigns.audience import correspondents
from campaigns.audience.correspondents import TRIES, spellings
from gateway.waha.client import WahaClient
from gateway.waha.errors import WahaServerError
from gateway.waha.schemas import MessageAckEvent, MessageAnyEvent
from tests.conftest import MakeWorld
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

PERSON = recipient_numbers(1)[0]
LID = "123456789012345@lid"


def hear(world: World, chat_id: str | None, *, from_me: bool | None = False, at: float | None = None) -> None:
    """A message went through our session, in this chat."""
    timestamp = None if at is None else int(at * 1000)
    event = MessageAnyEvent("e", world.senders[0], "3EB0", chat_id, from_me, "app", 2, timestamp)
    world.gateway.correspondents.note(world.gateway.fleet.members[0], event)


async def known(world: World) -> dict[str, float]:
    """Whom the tables know, after a moment, and when each wrote."""
    await world.clock.sleep(1.0)
    async with world.gateway.db.read() as connection:
        rows = await connection.execute(select(correspondents.correspondent))
        return {row.phone: row.wrote_at for row in rows}


async def test_who_writes_to_us_is_known_with_the_time_of_the_last_message(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(1)
    now = world.clock.now()
    hear(world, f"{PERSON}@c.us", at=now - 9000)
    assert await known(world) == {PERSON: pytest.approx(now - 9000, abs=0.001)}
    hear(world, f"{PERSON}@c.us", at=now - 10)
    hear(world, f"{PERSON}@c.us", at=now - 20_000)
    assert await known(world) == {PERSON: pytest.approx(now - 10, abs=0.001)}


@pytest.mark.parametrize(
    "chat_id", ["447700900123-1600000000@g.us", "120363000000000000@newsletter", "status@broadcast", None]
)
async def test_groups_channels_and_status_are_nobody(make_world: MakeWorld, chat_id: str | None) -> None:
    world = await make_world(1)
    hear(world, chat_id)
    assert await known(world) == {}


@pytest.mark.parametrize("from_me", [True, None])
async def test_what_we_write_makes_nobody_a_correspondent(make_world: MakeWorld, from_me: bool | None) -> None:
    world = await make_world(1)
    hear(world, f"{PERSON}@c.us", from_me=from_me)
    receipt = MessageAckEvent("e", world.senders[0], "3EB0", f"{PERSON}@c.us", 2, from_me=False, timestamp=None)
    world.gateway.correspondents.note(world.gateway.fleet.members[0], receipt)
    assert await known(world) == {}


async def test_a_session_that_is_not_ours_is_passed_over(make_world: MakeWorld) -> None:
    world = await make_world(1)
    event = MessageAnyEvent("e", "somebody-elses", "3EB0", f"{PERSON}@c.us", False, "app", 2, None)
    world.gateway.correspondents.note(world.gateway.fleet.members[0], event)
    assert await known(world) == {}


async def test_a_hidden_id_is_asked_of_waha_once(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world(1)
    asked: list[str] = []
    ask = WahaClient.phone_of_lid

    async def ask_and_note(client: WahaClient, session: str, lid: str) -> str | None:
        asked.append(lid)
        return await ask(client, session, lid)

    monkeypatch.setattr(WahaClient, "phone_of_lid", ask_and_note)
    lid = world.waha.numbers.lid(PERSON)
    hear(world, lid)
    assert list(await known(world)) == [PERSON]
    hear(world, lid)
    await world.clock.sleep(10.0)
    assert asked == [lid]


@pytest.mark.parametrize("error", [None, WahaServerError("500")])
async def test_a_hidden_id_that_waha_does_not_know_is_asked_some_times_and_given_up(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, error: WahaServerError | None
) -> None:
    world = await make_world(1)
    asked: list[str] = []

    async def know_nothing(_: WahaClient, __: str, lid: str) -> str | None:
        asked.append(lid)
        if error is not None:
            raise error
        return None

    monkeypatch.setattr(WahaClient, "phone_of_lid", know_nothing)
    hear(world, LID)
    await world.clock.sleep(400.0)
    assert asked == [LID] * TRIES
    assert await known(world) == {}


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("5511961234567", ["5511961234567", "551161234567"]),
        ("551161234567", ["551161234567", "5511961234567"]),
        ("551131234567", ["551131234567"]),  # a landline never had one
        (PERSON, [PERSON]),
    ],
)
def test_a_brazilian_is_known_with_and_without_the_ninth_digit(phone: str, expected: list[str]) -> None:
    assert list(spellings(phone)) == expected

"""Numbers are looked up before the first send: the right chat, one question a number, and no crash loses or doubles."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from campaigns.audience.numbers import KEEP_SECONDS, number_check
from campaigns.sending import addressing
from campaigns.sending.retention import forget_old
from campaigns.sending.tables import lane
from gateway.waha.client import WahaClient
from gateway.waha.errors import RateLimited, WahaError, WahaNotImplemented, WahaServerError, WahaTimeout
from gateway.waha.schemas import NumberCheck, SentMessage
from tests.conftest import MakeWorld
from tests.harness.ledger import duplicated, recipients_of, short_gaps
from tests.harness.virtual_time import virtual_loop
from tests.harness.world import World, recipient_numbers

pytestmark = pytest.mark.virtual_time

Check = Callable[[WahaClient, str, str], Awaitable[NumberCheck]]


def brazilians(count: int) -> list[str]:
    """Numbers with the ninth digit."""
    return [f"55119000000{index:02d}" for index in range(count)]


def without_nine(phone: str) -> str:
    """Under what the simulated WhatsApp knows it."""
    return phone[:4] + phone[5:]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers that WAHA was asked about, in order."""
    numbers: list[str] = []
    check: Check = WahaClient.check_number

    async def check_and_note(client: WahaClient, session: str, phone: str) -> NumberCheck:
        numbers.append(phone)
        return await check(client, session, phone)

    monkeypatch.setattr(WahaClient, "check_number", check_and_note)
    return numbers


async def brazil(make_world: MakeWorld, senders: int = 1, **dispatch: object) -> World:
    """A world in which Brazilian numbers exist without their ninth digit only."""
    return await make_world(senders, waha={"brazil_without_nine": True}, **dispatch)


async def test_a_brazilian_number_gets_its_message_under_its_real_chat_id_and_is_asked_once(
    make_world: MakeWorld, database_url: str, asked: list[str]
) -> None:
    world = await brazil(make_world, 2, message_delay=0.5)
    people = brazilians(4)
    first = await world.submit(people)
    assert (await world.finish(first)).state == "completed"
    second = await world.submit(people, template="again")
    assert (await world.finish(second)).state == "completed"
    assert sorted(recipients_of(world.ledger.transmissions)) == sorted([without_nine(one) for one in people] * 2)
    assert sorted(asked) == people
    for row in await world.messages(second):
        assert row.chat_id == f"{without_nine(row.phone)}@c.us"
    assert world.ledger.refusals == []
    assert short_gaps(world.ledger, 0.5) == []
    await world.check_counters()


async def test_what_was_asked_is_known_after_a_restart_for_thirty_days(make_world: MakeWorld, asked: list[str]) -> None:
    world = await brazil(make_world)
    await world.finish(await world.submit(brazilians(1)))
    await world.stop()
    await world.start()
    await world.finish(await world.submit(brazilians(1), template="again"))
    assert len(asked) == 1
    world.clock.ahead += KEEP_SECONDS
    await world.finish(await world.submit(brazilians(1), template="much later"))
    assert len(asked) == 2


async def test_old_answers_are_forgotten(make_world: MakeWorld) -> None:
    world = await brazil(make_world)
    await world.finish(await world.submit(brazilians(2)))

    async def kept() -> int:
        async with world.gateway.db.read() as connection:
            return len((await connection.execute(select(number_check))).all())

    await forget_old(world.gateway.db, world.clock.now() + KEEP_SECONDS - 60.0)
    assert await kept() == 2
    await forget_old(world.gateway.db, world.clock.now() + KEEP_SECONDS + 60.0)
    assert await kept() == 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("off", []), ("brazil", brazilians(1)), ("all", [*brazilians(1), *recipient_numbers(1)])],
)
async def test_the_setting_says_whom_to_ask_about(
    make_world: MakeWorld, asked: list[str], policy: str, expected: list[str]
) -> None:
    world = await make_world(1, check_numbers=policy)
    await world.finish(await world.submit([*brazilians(1), *recipient_numbers(1)]))
    assert asked == expected
    assert world.sent == 2


async def test_a_number_that_is_not_on_whatsapp_is_skipped_and_nothing_leaves(
    make_world: MakeWorld, database_url: str
) -> None:
    world = await make_world(1, message_delay=1, check_numbers="all")
    people = recipient_numbers(3)
    world.waha.numbers.unregistered = {people[1]}
    campaign_id = await world.submit(people)
    done = await world.finish(campaign_id)
    assert (done.state, done.n_skipped, done.n_failed) == ("completed", 1, 0)
    row = (await world.messages(campaign_id))[1]
    assert (row.state, row.error_code, row.attempts, row.sender_id) == ("skipped", "not_on_whatsapp", 0, None)
    assert row.error == addressing.NOT_ON_WHATSAPP
    assert (world.sent, world.ledger.refusals) == (2, [])
    await world.check_counters()


async def test_the_lane_rests_after_a_question_as_after_a_send_but_not_after_a_known_answer(
    make_world: MakeWorld, asked: list[str]
) -> None:
    world = await make_world(1, message_delay=10, check_numbers="all")
    people = recipient_numbers(4)
    world.waha.numbers.unregistered = set(people)
    begun = world.clock.now()
    await world.finish(await world.submit(people))
    assert 30.0 <= world.clock.now() - begun < 33.0
    begun = world.clock.now()
    await world.finish(await world.submit(people, template="again"))
    assert world.clock.now() - begun < 13.0
    assert len(asked) == 4


async def test_a_campaign_of_which_nothing_could_leave_has_failed(make_world: MakeWorld) -> None:
    world = await make_world(1, check_numbers="all")
    world.waha.numbers.unregistered = set(recipient_numbers(2))
    assert (await world.finish(await world.submit(2))).state == "failed"


async def test_whatsapp_asks_for_patience_with_questions_and_no_attempt_is_counted(make_world: MakeWorld) -> None:
    world = await make_world(1, check_numbers="all", waha={"check_limit": 2})
    campaign_id = await world.submit(5)
    assert (await world.finish(campaign_id)).state == "completed"
    assert {row.attempts for row in await world.messages(campaign_id)} == {1}
    assert world.sent == 5


@pytest.mark.parametrize(
    ("error", "attempts"), [(WahaTimeout("slow"), 2), (WahaServerError("500"), 2), (RateLimited("slow down"), 1)]
)
async def test_a_question_that_fails_leaves_the_message_surely_not_sent(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, error: WahaError, attempts: int
) -> None:
    world = await make_world(1, check_numbers="all")
    check: Check = WahaClient.check_number
    errors: list[WahaError] = [error]

    async def fail_once(client: WahaClient, session: str, phone: str) -> NumberCheck:
        if errors:
            raise errors.pop()
        return await check(client, session, phone)

    monkeypatch.setattr(WahaClient, "check_number", fail_once)
    campaign_id = await world.submit(1)
    assert (await world.finish(campaign_id, within=60.0)).state == "completed"  # long before any hold is over
    assert (await world.messages(campaign_id))[0].attempts == attempts


async def test_an_engine_that_cannot_answer_is_sent_to_unasked(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cannot(*_: object) -> NumberCheck:
        raise WahaNotImplemented("not by this engine")

    monkeypatch.setattr(WahaClient, "check_number", cannot)
    world = await make_world(1, check_numbers="all")
    assert (await world.finish(await world.submit(2))).state == "completed"


@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
async def test_an_uncertain_message_is_looked_up_in_the_chat_that_it_went_to(make_world: MakeWorld, fault: str) -> None:
    world = await brazil(make_world, hold_seconds=5)
    world.hears = False
    world.faults(next=[fault])
    campaign_id = await world.submit(brazilians(1))
    assert (await world.finish(campaign_id, within=60.0)).state == "completed"
    assert recipients_of(world.ledger.transmissions) == [without_nine(brazilians(1)[0])]


@pytest.mark.parametrize("moment", ["asking", "asked", "stored", "sent"])
async def test_a_crash_at_any_moment_of_it_loses_nothing_and_doubles_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, asked: list[str], moment: str
) -> None:
    world = await brazil(make_world, hold_seconds=5)
    world.hears = False
    check: Check = WahaClient.check_number
    died: list[str] = []

    async def die_around_the_question(client: WahaClient, session: str, phone: str) -> NumberCheck:
        if not died and moment == "asking":
            await die()
        answer = await check(client, session, phone)
        if not died and moment == "asked":
            await die()
        return answer

    async def die() -> None:
        died.append(moment)
        world.clock.call_later(0.0, lambda: killing.set_result(None))
        await forever

    loop = virtual_loop()
    killing, forever = loop.create_future(), loop.create_future()
    monkeypatch.setattr(WahaClient, "check_number", die_around_the_question)
    send = WahaClient.send_text

    async def die_around_the_send(
        client: WahaClient, session: str, chat_id: str, text: str, message_id: str
    ) -> SentMessage:
        if not died and moment == "stored":
            await die()
        sent = await send(client, session, chat_id, text, message_id)
        if not died and moment == "sent":
            await die()
        return sent

    monkeypatch.setattr(WahaClient, "send_text", die_around_the_send)
    campaign_id = await world.submit(brazilians(2))
    await killing
    await world.kill()
    await world.start()
    assert (await world.finish(campaign_id, within=120.0)).state == "completed"
    assert sorted(recipients_of(world.ledger.transmissions)) == [without_nine(one) for one in brazilians(2)]
    assert duplicated(world.ledger) == []
    await world.check_counters()


# --- while WAHA is being asked ------------------------------------------------------------------------------------


@pytest.fixture
def slow_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """WAHA takes 20 s to tell whether a number is on WhatsApp."""
    check: Check = WahaClient.check_number

    async def check_slowly(client: WahaClient, session: str, phone: str) -> NumberCheck:
        await asyncio.sleep(20.0)
        return await check(client, session, phone)

    monkeypatch.setattr(WahaClient, "check_number", check_slowly)


@pytest.mark.usefixtures("slow_check")
@pytest.mark.parametrize("verb", ["cancel", "pause"])
async def test_nothing_leaves_after_a_halt_that_came_while_its_number_was_checked(
    make_world: MakeWorld, verb: str
) -> None:
    world = await make_world(1, check_numbers="all")
    campaign_id = await world.submit(2)
    await asyncio.sleep(5.0)
    await getattr(world.gateway.steering, verb)(campaign_id, None)
    await asyncio.sleep(60.0)
    assert world.sent == 0
    state = "cancelled" if verb == "cancel" else "queued"
    assert await world.states(campaign_id) == [state, state]
    await world.check_counters()


@pytest.mark.usefixtures("slow_check")
async def test_nothing_leaves_after_its_latest_time_that_came_while_its_number_was_checked(
    make_world: MakeWorld,
) -> None:
    world = await make_world(1, check_numbers="all")
    expires_at = datetime.fromtimestamp(world.clock.now() + 10.0, UTC)
    campaign_id = await world.submit(2, expires_at=expires_at.isoformat())
    await world.finish(campaign_id)
    assert world.sent == 0
    assert await world.states(campaign_id) == ["skipped", "skipped"]
    await world.check_counters()


@pytest.mark.usefixtures("slow_check")
async def test_nothing_leaves_through_a_lane_that_was_taken_over_while_its_number_was_checked(
    make_world: MakeWorld,
) -> None:
    """Another replica found its lease over, in the moment in which this one was about to renew it."""
    world = await make_world(1, check_numbers="all")
    await world.submit(2)
    await asyncio.sleep(5.0)
    async with world.gateway.db.write() as tx:
        taken = {"owner": "another", "epoch": lane.c.epoch + 1, "due_at": world.clock.now() + 3600.0}
        await tx.execute(update(lane).values(taken))
    await asyncio.sleep(60.0)
    assert world.sent == 0

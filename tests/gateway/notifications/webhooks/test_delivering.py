"""Receivers of every kind, in virtual time: each gets every event in the end, and none waits for another."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import update

from gateway.notifications.webhooks.kinds import EventKind
from gateway.notifications.webhooks.retrying import PAUSES
from gateway.notifications.webhooks.schemas import WebhookPatch
from gateway.notifications.webhooks.tables import endpoint
from tests.gateway.notifications.webhooks.conftest import OPERATOR, OWNER, Stage
from tests.harness.receiver import DAYS, OK, Receiver, Say, status

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(60)]

HOUR = 3600.0
COUNT = 5


async def test_a_receiver_is_told_what_it_asked_for_in_order_and_signed(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.endpoint(receiver.url, events=["message.sent", "message.failed"])
    await stage.tell(2)
    await stage.tell(kind="session.connected")
    await stage.tell(kind="message.failed")
    requests = await receiver.got(3)
    assert receiver.numbers == [0, 1, 3]
    assert [one.event["event"] for one in requests] == ["message.sent", "message.sent", "message.failed"]
    assert [one.event["sequence"] for one in requests] == [1, 2, 4]
    assert set(requests[0].event) == {"id", "event", "timestamp", "sequence", "data"}
    assert requests[0].headers["content-type"] == "application/json"


def fails_for_a_while(answer: Say) -> Callable[[int], Say]:
    return lambda asked: OK if asked >= 12 else answer


@pytest.mark.parametrize(
    "says",
    [
        fails_for_a_while(status(500)),
        fails_for_a_while(status(404, body="no such page")),
        fails_for_a_while(status(303, "Location: /elsewhere")),
        fails_for_a_while(None),
        fails_for_a_while(20.0),
        fails_for_a_while(b"SSH-2.0-x\r\n\r\n"),
        lambda _: 5.0,
        lambda asked: status(308, "Location: /moved") if asked % 2 == 0 else OK,
        lambda asked: status(302, "Location: moved") if asked % 3 < 2 else OK,
    ],
    ids=["500", "404", "303", "drops", "times out", "no http", "slow", "308", "302 twice"],
)
async def test_whatever_a_receiver_does_it_gets_every_event_in_the_end_and_holds_nobody_up(
    stage: Stage, says: Callable[[int], Say]
) -> None:
    good, bad = await stage.receiver(), await stage.receiver(says)
    await stage.endpoint(bad.url)
    await stage.endpoint(good.url)
    began = asyncio.get_running_loop().time()
    await stage.tell(COUNT)
    await good.got(COUNT)
    assert good.numbers == list(range(COUNT))
    assert asyncio.get_running_loop().time() - began < 1
    await bad.got(COUNT)
    assert sorted(bad.numbers) == list(range(COUNT))


async def test_a_receiver_that_is_not_there_yet_gets_everything_when_it_is(stage: Stage) -> None:
    absent = Receiver()
    async with absent.listening():
        pass  # it has a port, and nobody listens there
    hook = await stage.endpoint(absent.url)
    await stage.tell(COUNT)
    await asyncio.sleep(3 * HOUR)
    assert {row.state for row in await stage.deliveries(hook)} == {"retrying"}
    assert {row.error for row in await stage.deliveries(hook)} == {"UNREACHABLE: no connection can be made"}
    async with absent.listening():
        await absent.got(COUNT)
    assert sorted(absent.numbers) == list(range(COUNT))


async def test_an_event_that_its_receiver_does_not_want_is_given_up_after_a_day_and_the_others_go_on(
    stage: Stage,
) -> None:
    receiver = await stage.receiver()
    unwanted = 1
    hook = await stage.endpoint(receiver.url)
    receiver.says = lambda asked: status(400) if asked == unwanted or asked >= COUNT else OK
    await stage.tell(COUNT)
    await receiver.got(COUNT - 1)
    assert receiver.numbers == [0, 2, 3, 4]
    requests = await receiver.asked(COUNT + len(PAUSES), within=3 * DAYS)
    assert {one.event["data"]["n"] for one in requests[COUNT:]} == {unwanted}
    await asyncio.sleep(DAYS)
    assert len(receiver.requests) == COUNT + len(PAUSES)
    row = (await stage.deliveries(hook))[unwanted]
    assert (row.state, row.attempts, row.status) == ("given_up", len(PAUSES) + 1, 400)
    assert requests[-1].at - requests[1].at == pytest.approx(24 * HOUR, rel=0.15)


async def test_a_slow_receiver_is_sent_some_campaigns_side_by_side_and_each_in_order(stage: Stage) -> None:
    receiver = await stage.receiver(lambda _: 1.0)
    await stage.endpoint(receiver.url)
    campaigns = [f"01a1fb76-b031-7b43-9d8e-a57d61621{index:03d}" for index in range(9)]
    for _ in range(3):
        for campaign in campaigns:
            await stage.tell(campaign=campaign)
    await receiver.got(27)
    assert 2 <= receiver.most_at_once <= 5
    for index in range(9):
        assert [n for n in receiver.numbers if n % 9 == index] == [index, index + 9, index + 18]


async def test_many_dead_receivers_take_no_socket_from_a_good_one(stage: Stage) -> None:
    black_hole = await stage.receiver(lambda _: 1000.0)
    for _ in range(6):
        await stage.endpoint(black_hole.url)
    await stage.tell(1)
    await black_hole.asked(6)
    good = await stage.receiver()
    await stage.endpoint(good.url)
    began = asyncio.get_running_loop().time()
    await stage.tell(COUNT)
    await good.got(COUNT)
    assert asyncio.get_running_loop().time() - began < 1


@pytest.mark.parametrize(("code", "header"), [(429, "600"), (503, "600")])
async def test_a_receiver_that_says_when_is_left_alone_until_then(stage: Stage, code: int, header: str) -> None:
    receiver = await stage.receiver(lambda asked: status(code, f"Retry-After: {header}") if asked == 0 else OK)
    await stage.endpoint(receiver.url)
    await stage.tell(1)
    await receiver.asked(1)
    await stage.tell(2)
    await receiver.got(3)
    assert receiver.requests[1].at - receiver.requests[0].at >= 600
    assert sorted(receiver.numbers) == [0, 1, 2]


async def test_410_switches_the_endpoint_off_and_the_others_are_told(stage: Stage) -> None:
    gone, other = await stage.receiver(lambda _: status(410)), await stage.receiver()
    hook = await stage.endpoint(gone.url)
    await stage.endpoint(other.url, events=["webhook.disabled"])
    await stage.tell(3)
    told = (await other.got(1))[0].event
    assert (told["event"], told["data"]["webhook_id"]) == (EventKind.WEBHOOK_DISABLED, hook)
    assert "410" in told["data"]["reason"]
    await stage.tell(2)
    await asyncio.sleep(HOUR)
    assert len(gone.requests) == 1
    assert (await stage.row(hook)).state == "disabled"
    assert [row.state for row in await stage.deliveries(hook)] == ["given_up", "pending", "pending"]


async def test_an_endpoint_that_is_dead_for_three_days_is_switched_off_and_the_others_are_told(stage: Stage) -> None:
    dead, other = await stage.receiver(lambda _: status(500)), await stage.receiver()
    hook = await stage.endpoint(dead.url, events=["message.sent"])
    await stage.endpoint(other.url, events=["webhook.disabled"])
    for _ in range(3):
        assert (await stage.row(hook)).state == "active"
        await stage.tell(1)
        await asyncio.sleep(DAYS)
    await stage.tell(1)
    told = (await other.got(1))[0].event
    assert told["data"] == {"webhook_id": hook, "url": dead.url, "reason": "nothing was delivered for three days"}
    assert (await stage.row(hook)).state == "disabled"
    asked = len(dead.requests)
    await asyncio.sleep(HOUR)
    assert len(dead.requests) == asked


async def test_what_waited_for_an_endpoint_that_was_switched_off_is_sent_when_it_is_enabled_again(stage: Stage) -> None:
    receiver = await stage.receiver(lambda asked: status(410) if asked == 0 else OK)
    hook = await stage.endpoint(receiver.url)
    await stage.tell(3)
    await receiver.asked(1)
    await asyncio.sleep(1)
    await stage.tell(1)  # of this one nobody wants to hear
    await asyncio.sleep(1)
    await enable(stage, hook, True)
    await receiver.got(2)
    assert receiver.numbers == [1, 2]
    row = await stage.row(hook)
    assert (row.state, row.failures, row.reason) == ("active", 0, "")


async def enable(stage: Stage, hook: str, enabled: bool) -> None:
    """As its owner does."""
    await stage.first.service.change(OWNER, hook, WebhookPatch(enabled=enabled))


async def test_a_paused_endpoint_is_told_nothing(stage: Stage) -> None:
    receiver, other = await stage.receiver(), await stage.receiver()
    hook = await stage.endpoint(receiver.url)
    await stage.endpoint(other.url)
    await enable(stage, hook, False)
    await stage.tell(2)
    await other.got(2)
    await enable(stage, hook, True)
    await stage.tell(1)
    await receiver.got(1)
    assert receiver.numbers == [2]


async def test_an_account_hears_of_itself_and_the_operator_of_everybody_who_is_asked_for(stage: Stage) -> None:
    own, all_of_them = await stage.receiver(), await stage.receiver()
    await stage.endpoint(own.url, OPERATOR)
    await stage.endpoint(all_of_them.url, OPERATOR, all_accounts=True)
    await stage.tell(account_id="acme")
    await stage.tell()
    await all_of_them.got(2)
    await own.got(1)
    assert (own.numbers, sorted(all_of_them.numbers)) == ([1], [0, 1])


async def test_a_replay_sends_the_same_event_again(stage: Stage) -> None:
    receiver = await stage.receiver()
    hook = await stage.endpoint(receiver.url)
    await stage.tell(2)
    await receiver.got(2)
    await asyncio.sleep(1)
    first = (await stage.deliveries(hook))[0]
    told = await stage.first.service.replay(OWNER, hook, first.event_id)
    assert (told["state"], told["attempts"]) == ("pending", 0)
    again = (await receiver.got(3))[2]
    assert again.body == receiver.taken[0].body
    assert again.headers["webhook-id"] == first.event_id


async def test_while_a_secret_is_changed_receivers_with_either_accept(stage: Stage) -> None:
    receiver = await stage.receiver()
    hook = await stage.endpoint(receiver.url)
    receiver.secret = "your-next-webhook-secret"
    await stage.first.service.rotate_secret(OWNER, hook, receiver.secret)
    await stage.tell(1)
    request = (await receiver.got(1))[0]
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    await asyncio.sleep(DAYS + 1)
    await stage.tell(1)
    request = (await receiver.got(2))[1]
    assert len(request.headers["webhook-signature"].split(" ")) == 1


async def test_an_answer_counts_as_soon_as_its_status_is_there_and_little_of_it_is_kept(stage: Stage) -> None:
    receiver = await stage.receiver(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x\x00" * 400)
    hook = await stage.endpoint(receiver.url)
    await stage.tell(1)
    await receiver.got(1)
    await asyncio.sleep(5)
    [row] = await stage.deliveries(hook)
    assert (row.state, row.status, len(row.response)) == ("delivered", 200, 500)
    assert row.response.startswith("x\N{REPLACEMENT CHARACTER}x")


async def test_a_deleted_endpoint_is_told_nothing_more(stage: Stage) -> None:
    receiver = await stage.receiver(lambda _: status(500))
    hook = await stage.endpoint(receiver.url)
    await stage.tell(2)
    await receiver.asked(2)
    await stage.first.service.delete(OWNER, hook)
    await stage.tell(1)
    await asyncio.sleep(HOUR)
    assert len(receiver.requests) == 2
    assert await stage.deliveries(hook) == []


async def test_where_nobody_wants_it_nothing_is_stored(stage: Stage) -> None:
    receiver = await stage.receiver()
    hook = await stage.endpoint(receiver.url, events=["session.connected"])
    async with stage.first.db.write() as tx:
        await tx.execute(update(endpoint).values(events='["session.connect"]'))
    await stage.tell(1, kind="session.connected")
    await asyncio.sleep(10)
    assert await stage.deliveries(hook) == []

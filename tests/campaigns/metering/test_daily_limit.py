"""A client's daily limit: refused at the door, and never passed by one message, however many lanes and replicas."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event

from campaigns.metering.allowances import limit_of_client, used_up_until
from campaigns.sending.models import MessageState
from campaigns.sending.outcomes import QueueSettings, Result
from campaigns.sending.status import StatusReader
from gateway.errors import DailyLimitReached
from tests.campaigns.metering.conftest import OpenShop, Shop
from tests.harness.books import Books
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time

DAY = 86_400.0


async def next_day(shop: Shop) -> None:
    """Let time pass until the client's midnight."""
    row = await shop.row()
    assert row.day_ends_at > shop.books.clock.now()
    await shop.books.rest(row.day_ends_at - shop.books.clock.now() + 0.001)


async def test_what_is_too_much_for_today_is_refused_until_midnight(open_shop: OpenShop) -> None:
    shop = await open_shop(daily_limit=5, timezone="Asia/Kolkata")
    await shop.submit(3)
    assert await shop.send_all() == 3
    await shop.submit(recipient_numbers(1, first=10))
    with pytest.raises(DailyLimitReached, match="at most 5 messages a day") as refused:
        await shop.submit(recipient_numbers(2, first=20))
    midnight = (await shop.row()).day_ends_at
    assert datetime.fromtimestamp(midnight).astimezone().timestamp() == midnight
    assert refused.value.retry_after == pytest.approx(midnight - shop.books.clock.now(), abs=1.0)
    await shop.submit(recipient_numbers(1, first=20))
    assert await shop.send_all() == 2
    await next_day(shop)
    await shop.submit(recipient_numbers(5, first=30))
    assert await shop.send_all() == 5


async def test_what_begins_tomorrow_is_not_counted_today(open_shop: OpenShop) -> None:
    shop = await open_shop(daily_limit=5)
    tomorrow = datetime.fromtimestamp(shop.books.clock.now() + DAY).astimezone().isoformat()
    await shop.submit(5, start_at=tomorrow)
    await shop.submit(recipient_numbers(5, first=10))
    with pytest.raises(DailyLimitReached):
        await shop.submit(recipient_numbers(1, first=20))


async def test_a_limit_of_nothing_lets_nothing_in(open_shop: OpenShop) -> None:
    shop = await open_shop(daily_limit=0)
    with pytest.raises(DailyLimitReached):
        await shop.submit(1)


async def test_many_lanes_send_the_limit_and_not_one_more_on_any_day(open_shop: OpenShop) -> None:
    shop = await open_shop(5)
    first = await shop.submit(14)
    second = await shop.submit(recipient_numbers(6, first=100))
    await shop.change(daily_limit=7)
    days = []
    for _ in range(3):
        days.append(await shop.send_all())
        row = await shop.row()
        assert row.sent_today == days[-1]
        await next_day(shop)
    assert days == [7, 7, 6]
    for campaign_id in (first, second):
        assert {row.state for row in await shop.books.messages(campaign_id)} == {MessageState.SENT}


async def test_in_one_turn_lanes_take_no_more_than_is_left_and_a_failure_gives_its_place_back(
    open_shop: OpenShop,
) -> None:
    shop = await open_shop(5)
    await shop.submit(10)
    await shop.change(daily_limit=3)
    claims = await shop.claims()
    assert len(claims) == 3
    assert await shop.claims() == []
    await shop.books.settle(claims[0], Result.FAILED, code="x", reason="x")
    await shop.books.rest(1.1)
    more = await shop.claims()
    assert len(more) == 1
    for claim in [*claims[1:], *more]:
        await shop.books.settle(claim, Result.SENT)
    await shop.books.rest(1.1)
    assert await shop.claims() == []
    assert (await shop.row()).sent_today == 3


async def test_another_lane_takes_the_place_that_a_failure_gave_back(open_shop: OpenShop) -> None:
    shop = await open_shop(2)
    await shop.submit(1, senders=[0])
    await shop.submit(recipient_numbers(1, first=10), senders=[1])
    await shop.change(daily_limit=1)
    (claim,) = await shop.claims()
    await shop.books.settle(claim, Result.FAILED, code="x", reason="x")
    await shop.books.rest(1.1)
    assert await shop.send_all() == 1


async def test_what_may_have_left_counts(open_shop: OpenShop) -> None:
    shop = await open_shop(2)
    await shop.submit(5)
    await shop.change(daily_limit=2)
    for claim in await shop.claims():
        await shop.books.settle(claim, Result.UNCONFIRMED)
    await shop.books.rest(1.1)
    assert await shop.claims() == []


@pytest.mark.parametrize("result", [Result.SENT, Result.FAILED, None])
async def test_what_whatsapp_refuses_and_delivers_after_all_counts_once(
    open_shop: OpenShop, result: Result | None
) -> None:
    """Its answer was that it was sent, or that it was not, or did not come before its receipts."""
    shop = await open_shop()
    await shop.submit(1)
    (claim,) = await shop.claims()
    if result is not None:
        await shop.books.settle(claim, result, code="x", reason="x")
    for ack in (-1, 2):
        await shop.books.receipts({claim.wa_id: ack})
    assert (await shop.books.message(claim.message_id)).state == MessageState.DELIVERED
    assert (await shop.row()).sent_today == 1


async def test_what_is_in_flight_at_midnight_counts_on_both_days(open_shop: OpenShop) -> None:
    shop = await open_shop(3, timezone="Europe/London")
    await shop.submit(10)
    await shop.change(daily_limit=2)
    claims = await shop.claims()
    assert len(claims) == 2
    await shop.books.settle(claims[0], Result.SENT)
    midnight = (await shop.row()).day_ends_at
    await shop.books.turn(renewals=[claims[1]], claiming=False)
    await shop.books.rest(midnight - shop.books.clock.now() - 1.0)
    await shop.books.turn(renewals=[claims[1]], claiming=False)
    await shop.books.rest(1.5)
    assert len(await shop.claims()) == 1
    assert await shop.claims() == []
    await shop.books.settle(claims[1], Result.SENT)
    assert (await shop.row()).sent_today == 1


async def test_two_replicas_at_once_take_no_more_than_is_left(open_shop: OpenShop) -> None:
    shop = await open_shop(8)
    for index in range(8):
        await shop.submit(recipient_numbers(3, first=10 * index), senders=[index])
    await shop.change(daily_limit=5)
    replicas = [QueueSettings(replica=name) for name in ("one", "two", "three")]
    taken = 0
    for _ in range(12):
        turns = await asyncio.gather(*(shop.books.turn(by=replica) for replica in replicas))
        for replica, turn in zip(replicas, turns, strict=True):
            taken += len(turn.claims)
            sent = [(one, shop.books.outcome(Result.SENT)) for one in turn.claims]
            await shop.books.turn(sent, by=replica, claiming=False)
        await shop.books.rest(1.1)
    assert taken == 5
    assert (await shop.row()).sent_today == 5


ZONES = [
    # the day on which the clock is set forward has 23 hours, the one on which it is set back 25
    ("Europe/London", "2027-03-28T00:00:00+00:00", 23),
    ("Europe/London", "2027-10-30T23:00:00+00:00", 25),
    ("America/Sao_Paulo", "2027-03-28T03:00:00+00:00", 24),
]


@pytest.mark.parametrize(("zone", "midnight", "hours"), ZONES)
async def test_a_day_is_as_long_as_the_clock_of_the_client_says(
    open_shop: OpenShop, zone: str, midnight: str, hours: int
) -> None:
    shop = await open_shop(2, timezone=zone)
    begins = datetime.fromisoformat(midnight).timestamp()
    shop.books.clock.ahead = begins - 60.0 - shop.books.clock.now()
    await shop.submit(20)
    await shop.change(daily_limit=4)
    assert await shop.send_all() == 4
    assert (await shop.row()).day_ends_at == begins
    await shop.books.rest(61.0)
    assert await shop.send_all() == 4
    assert (await shop.row()).day_ends_at == begins + hours * 3600
    await shop.books.rest(hours * 3600 - 62.0)
    assert await shop.claims() == []
    await shop.books.rest(61.0)
    assert await shop.send_all() == 4


async def test_ahead_of_midnight_nothing_fires_before_it(open_shop: OpenShop) -> None:
    shop = await open_shop(2)
    await shop.submit(6)
    await shop.change(daily_limit=2)
    assert await shop.send_all() == 2
    midnight = (await shop.row()).day_ends_at
    await shop.books.rest(midnight - shop.books.clock.now() - 0.1)
    claims = await shop.claims()
    assert [claim.fire_at for claim in claims] == [midnight, midnight]
    assert await shop.claims() == []


async def test_it_says_why_it_waits_and_until_when(open_shop: OpenShop) -> None:
    shop = await open_shop()
    campaign_id = await shop.submit(3)
    await shop.change(daily_limit=1)
    reader = StatusReader(shop.books.db, shop.books.forecaster, lambda _engine: 10.0)
    assert await shop.send_all() == 1
    row = await shop.books.campaign(campaign_id)
    midnight = (await shop.row()).day_ends_at
    status = await reader.of(row)
    assert [one["reason"] for one in status["waiting"]] == ["client_daily_limit"]
    assert status["waiting"][0]["until"].timestamp() == midnight
    assert status["estimated_finish"].timestamp() >= midnight
    messages, _ = await reader.messages(row, [MessageState.QUEUED], 0, 10)
    assert {one["waiting"]["reason"] for one in messages} == {"client_daily_limit"}
    assert (await shop.books.lane()).due_at == pytest.approx(midnight, abs=0.001)
    async with shop.books.db.read() as connection:
        limit = await limit_of_client(connection, shop.client_id)
    assert used_up_until(limit, midnight - 1.0) == midnight
    assert used_up_until(limit, midnight) is None


@pytest.mark.parametrize("change", [{"daily_limit": 5}, {"daily_limit": None}])
async def test_a_higher_limit_holds_at_once_for_what_waits(open_shop: OpenShop, change: dict[str, Any]) -> None:
    shop = await open_shop()
    await shop.submit(3)
    await shop.change(daily_limit=1)
    assert await shop.send_all() == 1
    await shop.change(**change)
    assert await shop.send_all() == 2


async def test_in_another_zone_today_ends_at_another_time_and_what_was_sent_counts(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.submit(3)
    await shop.change(daily_limit=1)
    assert await shop.send_all() == 1
    before = (await shop.row()).day_ends_at
    await shop.change(timezone="Asia/Kolkata")
    row = await shop.row()
    assert row.day_ends_at != before
    assert row.sent_today == 1
    assert await shop.send_all() == 0


async def test_without_clients_nothing_more_is_asked(books: Books) -> None:
    await books.open(2)
    await books.submit(4)
    asked = statements(books)
    claims = (await books.turn()).claims
    await books.receipts({claims[0].wa_id: 2})  # before its answer
    await books.turn([(one, books.outcome(Result.SENT)) for one in claims])
    await books.receipts({one.wa_id: 3 for one in claims})
    assert len(claims) == 2
    assert len(asked) > 10
    assert [one for one in asked if "FROM client" in one or "UPDATE client" in one] == []


def statements(books: Books) -> list[str]:
    """What the books' database is asked from now on."""
    asked: list[str] = []
    engines = [books.db.engine.sync_engine, *([books.db._writer] if books.db._writer is not None else [])]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    return asked

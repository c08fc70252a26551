"""What an operator sets for one sender, on both databases: its cap, its zone, and who rests because of them."""

from typing import Any

import pytest
from sqlalchemy import update

from campaigns.sending.caps import day_end, zone_of_number
from campaigns.sending.models import IDLE
from campaigns.sending.outcomes import Result
from campaigns.sending.sender_limits import SenderLimitService
from campaigns.sending.tables import lane
from gateway.db import AnyRow
from gateway.errors import NotFound
from gateway.events import DelaysChanged
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time


def service(books: Books) -> SenderLimitService:
    return SenderLimitService(books.db, books.bus, daily_cap=100)


async def put(books: Books, **values: Any) -> None:
    async with books.db.write() as tx:
        await tx.execute(update(lane).where(lane.c.sender_id == books.sender_id(0)).values(**values))


async def change(books: Books, **changes: Any) -> AnyRow:
    await service(books).change(books.senders[0], changes)
    return await books.lane()


async def test_a_sender_has_the_general_values_until_it_gets_its_own(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=2.0)
    number = books.senders[0]
    before = await service(books).get(number)
    assert (before.daily_cap, before.effective_daily_cap) == (None, 100)
    assert (before.message_delay, before.effective_message_delay) == (None, 2.0)
    assert (before.timezone, before.effective_timezone) == (None, zone_of_number(number))
    after = await service(books).change(number, {"daily_cap": 0, "timezone": "Asia/Kolkata", "message_delay": 9.0})
    assert (after.daily_cap, after.effective_daily_cap) == (0, 0)
    assert (after.timezone, after.effective_timezone) == ("Asia/Kolkata", "Asia/Kolkata")
    assert after.effective_message_delay == 9.0
    assert await service(books).change(number, dict.fromkeys(("daily_cap", "timezone", "message_delay"))) == before


async def test_what_is_not_named_stays(open_books: OpenBooks) -> None:
    books = await open_books()
    await change(books, daily_cap=5, timezone="Asia/Kolkata")
    row = await change(books, message_delay=1.0)
    assert (row.daily_cap, row.timezone, row.message_delay) == (5, "Asia/Kolkata", 1.0)


@pytest.mark.parametrize("changes", [{"daily_cap": 7}, {"timezone": "Asia/Kolkata"}])
@pytest.mark.parametrize("code", ["daily_cap", "hourly_cap"])
async def test_who_rests_because_of_a_cap_is_looked_at_anew(
    open_books: OpenBooks, code: str, changes: dict[str, Any]
) -> None:
    books = await open_books()
    await books.submit(1)
    until = books.clock.now() + 5000.0
    await put(books, resting_code=code, resting_until=until, due_at=until)
    told: list[DelaysChanged] = []
    books.bus.subscribe(DelaysChanged, told.append)
    row = await change(books, **changes)
    assert (row.resting_code, row.resting_until) == ("", 0.0)
    assert row.due_at <= books.clock.now()
    assert told == [DelaysChanged()]


@pytest.mark.parametrize(
    ("code", "changes"),
    [("backoff", {"daily_cap": 7}), ("number_lock", {"timezone": "UTC"}), ("daily_cap", {"message_delay": 3.0})],
)
async def test_who_rests_for_another_reason_goes_on_resting(
    open_books: OpenBooks, code: str, changes: dict[str, Any]
) -> None:
    books = await open_books()
    await books.submit(1)
    until = books.clock.now() + 5000.0
    await put(books, resting_code=code, resting_until=until)
    row = await change(books, **changes)
    assert (row.resting_code, row.resting_until) == (code, until)


async def test_in_another_zone_today_ends_at_another_time_and_what_was_sent_counts(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    now = books.clock.now()
    await put(books, sent_today=12, day_ends_at=now + 60.0)
    row = await change(books, daily_cap=50)
    assert (row.sent_today, row.day_ends_at) == (12, now + 60.0)
    row = await change(books, timezone="Asia/Kolkata")
    assert (row.sent_today, row.day_ends_at) == (12, day_end(now, "Asia/Kolkata"))
    await put(books, day_ends_at=now + 60.0)
    row = await change(books, timezone="Asia/Kolkata")
    assert row.day_ends_at == now + 60.0
    row = await change(books, timezone=None)
    assert row.day_ends_at == day_end(now, zone_of_number(books.senders[0]))


async def test_a_day_that_is_over_is_told_as_nothing_sent(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    await put(books, sent_today=12, day_ends_at=books.clock.now() - 1.0)
    limits = await service(books).get(books.senders[0])
    assert (limits.sent_today, limits.day_ends_at) == (0, 0.0)
    row = await change(books, timezone="Asia/Kolkata")
    assert row.day_ends_at < books.clock.now()


async def test_an_idle_sender_stays_idle(open_books: OpenBooks) -> None:
    books = await open_books()
    assert (await change(books, daily_cap=5)).due_at == IDLE


async def test_a_number_that_is_no_sender_is_not_found(open_books: OpenBooks) -> None:
    books = await open_books()
    with pytest.raises(NotFound):
        await service(books).get("447700900999")
    with pytest.raises(NotFound):
        await service(books).change("447700900999", {"daily_cap": 1})


@pytest.mark.parametrize(
    ("result", "counted"),
    [
        (Result.SENT, 1),
        (Result.UNCONFIRMED, 1),
        (Result.UNCERTAIN, 0),
        (Result.FAILED, 0),
        (Result.RETRY, 0),
        (Result.RELEASED, 0),
    ],
)
async def test_a_cap_counts_what_has_left_or_may_have_once_that_is_known(
    open_books: OpenBooks, result: Result, counted: int
) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    await books.settle(claim, result)
    row = await books.lane()
    assert (row.sent_today, row.slice_sent) == (counted, counted)


async def test_a_cap_counts_what_a_receipt_proved_before_its_look_up_gave_up(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1)
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=1.0)
    await books.receipts({claim.wa_id: 2})
    await books.rest(2.0)
    for again in (await books.turn()).claims:
        await books.settle(again, Result.UNCONFIRMED)
    assert (await books.lane()).sent_today == 1


@pytest.mark.parametrize("timezone", ["Asia/Kolkata", "Pacific/Auckland", None])
async def test_a_sender_at_its_daily_cap_rests_until_midnight_in_its_own_zone(
    open_books: OpenBooks, timezone: str | None
) -> None:
    books = await open_books()
    await change(books, timezone=timezone, daily_cap=2)
    await books.submit(3)
    await books.send_all(2)
    row = await books.lane()
    zone = timezone or zone_of_number(books.senders[0])
    assert (row.resting_code, row.resting_until) == ("daily_cap", day_end(books.clock.now(), zone))
    await books.rest(row.resting_until - books.clock.now() - 1.0)
    assert (await books.turn()).claims == []
    await books.rest(1.5)
    assert len((await books.turn()).claims) == 1

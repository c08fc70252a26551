"""When a campaign would be done, from the tables: hours, caps, and what is said about them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from campaigns.sending.forecasting import Forecast, Forecaster
from campaigns.sending.hours import Hours
from campaigns.sending.models import Rotation
from campaigns.sending.status import StatusReader
from campaigns.sending.tables import lane
from campaigns.sending.wall_clock import next_midnight, zone_of
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books
from tests.harness.world import OPEN_CALLER

pytestmark = pytest.mark.virtual_time
HOUR, DAY = 3600.0, 86_400.0
LATENCY = 0.1


async def foretell(books: Books, count: int, hours: Hours | None = None, **caps: int) -> Forecast:
    forecaster = Forecaster(lambda: LATENCY, **caps)
    return await forecaster.of(books.db, books.senders, count, Rotation.EVEN, hours or Hours())


async def change_lane(books: Books, index: int = 0, **values: Any) -> None:
    async with books.db.write() as tx:
        await tx.execute(update(lane).where(lane.c.sender_id == books.sender_id(index)).values(**values))


async def test_without_limits_it_is_the_pace_alone(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=1.9)
    found = await foretell(books, 100)
    assert (found.duration_seconds, found.note) == (99 * 2.0 + LATENCY, "")
    assert found.finish_at == books.clock.now() + found.duration_seconds


async def test_a_campaign_that_does_not_fit_into_its_hours_ends_in_the_next_ones_and_says_so(
    open_books: OpenBooks,
) -> None:
    books = await open_books(message_delay=59.9)
    now = books.clock.now()
    start = now + HOUR
    closed = Hours(starts_at=start, quiet_from=int((start + HOUR) % DAY // 60), quiet_to=int(start % DAY // 60))
    found = await foretell(books, 90, closed)
    assert DAY - HOUR < found.finish_at - now < DAY + 2 * HOUR
    assert "hours close" in found.note


async def test_a_campaign_that_expires_first_says_how_many_it_would_skip(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=9.9)
    expiry = books.clock.now() + 500.0
    found = await foretell(books, 100, Hours(expires_at=expiry))
    assert found.finish_at == expiry
    assert "about 50 of 100 messages would be skipped" in found.note


async def test_a_sender_whose_own_delay_is_long_makes_it_slower_and_that_is_what_is_said(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, message_delay=1.9)
    await books.submit(2)
    await change_lane(books, index=1, message_delay=9.9)
    assert "one has a longer delay of its own" in (await foretell(books, 100)).note
    await change_lane(books, index=1, message_delay=2.9)
    assert (await foretell(books, 100)).note == ""


async def test_an_hourly_cap_makes_it_slower_and_says_so(open_books: OpenBooks) -> None:
    books = await open_books(senders=2, message_delay=0.9)
    assert (await foretell(books, 2000, hourly_cap=1000)).note == ""
    found = await foretell(books, 2002, hourly_cap=1000)
    assert found.duration_seconds == 3900.0 + LATENCY
    assert "1000 messages an hour" in found.note


async def test_daily_caps_spread_it_over_days_of_the_senders_zone(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=0.9)
    now = books.clock.now()
    await books.submit(1)
    await change_lane(books, timezone="Asia/Kolkata")
    assert (await foretell(books, 50, daily_cap=50)).note == ""
    found = await foretell(books, 51, daily_cap=50)
    assert found.finish_at == next_midnight(now, zone_of("Asia/Kolkata")) + LATENCY
    assert "daily caps" in found.note


async def test_a_cap_of_its_own_goes_before_the_general_one_and_what_was_sent_today_counts(
    open_books: OpenBooks,
) -> None:
    books = await open_books(message_delay=0.9)
    now = books.clock.now()
    await books.submit(1)
    ends_at = now + HOUR
    await change_lane(books, daily_cap=20, sent_today=15, day_ends_at=ends_at)
    assert (await foretell(books, 5, daily_cap=1)).note == ""
    assert (await foretell(books, 26, daily_cap=1)).finish_at == ends_at + DAY + LATENCY
    await change_lane(books, daily_cap=0)
    assert (await foretell(books, 1000, daily_cap=1)).note == ""


async def test_the_day_of_yesterday_counts_for_nothing(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=0.9)
    await books.submit(1)
    await change_lane(books, daily_cap=20, sent_today=20, day_ends_at=books.clock.now() - 1.0)
    assert (await foretell(books, 20)).note == ""


async def test_preview_and_status_take_the_hours_into_account(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=99.9)
    expires_at = datetime.fromtimestamp(round(books.clock.now()) + 1000, UTC)
    _, found = await books.campaigns.preview(OPEN_CALLER, books.request(700, expires_at=expires_at))
    assert found.finish_at == expires_at.timestamp()
    campaign_id = await books.submit(700, expires_at=expires_at)
    status = StatusReader(books.db, books.forecaster, lambda _engine: 0.0)
    told = await status.of(await books.campaign(campaign_id))
    assert told["estimated_finish"] == expires_at

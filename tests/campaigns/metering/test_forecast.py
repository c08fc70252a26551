"""A forecast knows that a client's daily limit holds messages until the next days."""

from datetime import UTC, datetime

import pytest

from campaigns.sending.status import StatusReader
from tests.campaigns.metering.conftest import OpenShop, Shop
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time
HOUR, DAY = 3600.0, 86_400.0


async def finish_of(shop: Shop, campaign_id: str) -> float:
    """When a campaign is told to be done."""
    status = StatusReader(shop.books.db, shop.books.forecaster, lambda _engine: 0.0)
    told = (await status.of(await shop.books.campaign(campaign_id)))["estimated_finish"]
    assert isinstance(told, datetime)
    return told.timestamp()


async def midnight_of(shop: Shop) -> float:
    """The client's next midnight, once something was sent today."""
    return float((await shop.row()).day_ends_at)


async def test_what_waits_is_spread_over_the_days_that_it_takes(open_shop: OpenShop) -> None:
    shop = await open_shop(2, timezone="Asia/Kolkata")
    campaign_id = await shop.submit(14)
    await shop.change(daily_limit=5)
    soon = await finish_of(shop, campaign_id)
    assert await shop.send_all() == 5
    midnight = await midnight_of(shop)
    assert midnight + DAY <= soon < midnight + DAY + HOUR  # 5 today, 5 tomorrow, 4 on the day after
    assert await finish_of(shop, campaign_id) == pytest.approx(soon, abs=60.0)
    await shop.books.rest(midnight - shop.books.clock.now() + 0.001)
    assert await finish_of(shop, campaign_id) == pytest.approx(soon, abs=60.0)
    assert await shop.send_all() == 5
    assert await finish_of(shop, campaign_id) == pytest.approx(soon, abs=60.0)
    await shop.books.rest(DAY)
    assert await shop.send_all() == 4


async def test_what_fits_into_today_is_done_today(open_shop: OpenShop) -> None:
    shop = await open_shop(daily_limit=5)
    campaign_id = await shop.submit(5)
    assert await finish_of(shop, campaign_id) < shop.books.clock.now() + HOUR


async def test_a_preview_of_what_begins_later_says_that_it_takes_days(open_shop: OpenShop) -> None:
    shop = await open_shop(daily_limit=5)
    start = shop.books.clock.now() + 2 * DAY
    request = shop.books.request(recipient_numbers(11), start_at=datetime.fromtimestamp(start, UTC).isoformat())
    _, found = await shop.books.campaigns.preview(shop.caller, request)
    assert start + DAY < found.finish_at < start + 2 * DAY + HOUR
    assert "at most 5 messages a day" in found.note
    few = shop.books.request(5, start_at=datetime.fromtimestamp(start, UTC).isoformat())
    _, found = await shop.books.campaigns.preview(shop.caller, few)
    assert (found.note, found.finish_at < start + HOUR) == ("", True)

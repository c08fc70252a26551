"""What a client pays: the price of each message that was sent, once, whatever happens to it and in which order."""

import asyncio
import random
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import QueueSettings, Result
from campaigns.sending.tables import message
from gateway.errors import InsufficientBalance, NotFound
from tests.campaigns.metering.conftest import OpenShop, Shop
from tests.harness.world import recipient_numbers

pytestmark = pytest.mark.virtual_time

PRICE = Decimal("0.05")
MONEY = {"balance": "10.00", "price": str(PRICE), "currency": "EUR"}


async def test_what_was_sent_is_charged_once_whatever_receipts_tell(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    await shop.submit(1)
    (claim,) = await shop.claims()
    assert await shop.spent() == 0
    await shop.books.settle(claim, Result.SENT)
    assert await shop.spent() == PRICE
    for ack in (1, 2, 2, 3, 1):
        await shop.books.receipts({claim.wa_id: ack})
        assert await shop.spent() == PRICE


async def test_a_receipt_before_the_answer_charges_and_the_answer_does_not_again(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    await shop.submit(1)
    (claim,) = await shop.claims()
    await shop.books.receipts({claim.wa_id: 2})
    assert await shop.spent() == PRICE
    await shop.books.settle(claim, Result.SENT)
    assert await shop.spent() == PRICE
    assert (await shop.row()).sent_today == 1


async def test_two_who_settle_one_message_charge_it_once(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    await shop.submit(1)
    (claim,) = await shop.claims()
    sent = shop.books.outcome(Result.SENT)
    first, second = await asyncio.gather(
        shop.books.turn([(claim, sent)], claiming=False), shop.books.turn([(claim, sent)], claiming=False)
    )
    assert len(first.lost) + len(second.lost) == 1
    assert await shop.spent() == PRICE


@pytest.mark.parametrize("result", [Result.FAILED, Result.SKIPPED, Result.RELEASED, Result.RETRY, Result.LATER])
async def test_what_was_not_sent_costs_nothing(open_shop: OpenShop, result: Result) -> None:
    shop = await open_shop(**MONEY)
    campaign_id = await shop.submit(1)
    (claim,) = await shop.claims()
    await shop.books.settle(claim, result, code="x", reason="x")
    assert await shop.spent() == 0
    assert (await shop.row()).sent_today == 0
    if result in (Result.RELEASED, Result.RETRY, Result.LATER):
        await shop.books.steering.cancel(campaign_id, None)
        assert await shop.spent() == 0


async def test_a_cancelled_campaign_pays_for_what_was_in_flight_and_nothing_else(open_shop: OpenShop) -> None:
    shop = await open_shop(2, **MONEY)
    campaign_id = await shop.submit(6)
    claims = await shop.claims()
    assert len(claims) == 2
    await shop.books.steering.cancel(campaign_id, None)
    await shop.books.settle(claims[0], Result.SENT)
    await shop.books.settle(claims[1], Result.FAILED, code="x", reason="x")
    assert await shop.spent() == PRICE


async def test_what_nobody_can_tell_is_charged_when_a_person_or_a_receipt_says_so(open_shop: OpenShop) -> None:
    shop = await open_shop(2, **MONEY)
    campaign_id = await shop.submit(2)
    claims = await shop.claims()
    for claim in claims:
        await shop.books.settle(claim, Result.UNCONFIRMED)
    assert await shop.spent() == 0
    assert (await shop.row()).sent_today == 2
    await shop.books.steering.accept(campaign_id, claims[0].message_id, None)
    assert await shop.spent() == PRICE
    await shop.books.receipts({claims[1].wa_id: 3, claims[0].wa_id: 2})
    assert await shop.spent() == 2 * PRICE
    assert (await shop.row()).sent_today == 2


async def test_what_a_person_sends_again_is_charged_once(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    campaign_id = await shop.submit(1)
    (claim,) = await shop.claims()
    await shop.books.settle(claim, Result.UNCONFIRMED)
    await shop.books.steering.resend(campaign_id, claim.message_id, None)
    assert await shop.send_all() == 1
    assert await shop.spent() == PRICE


async def test_what_whatsapp_refuses_later_is_given_back_and_charged_when_it_arrives_after_all(
    open_shop: OpenShop,
) -> None:
    shop = await open_shop(**MONEY)
    campaign_id = await shop.submit(1)
    (claim,) = await shop.claims()
    await shop.books.settle(claim, Result.SENT)
    await shop.books.receipts({claim.wa_id: -1})
    assert (await shop.books.message(claim.message_id)).state == MessageState.FAILED
    assert await shop.spent() == 0
    await shop.books.receipts({claim.wa_id: 2})
    assert await shop.spent() == PRICE
    assert (await shop.books.campaign(campaign_id)).state == CampaignState.COMPLETED


async def test_a_retry_is_charged_when_it_is_sent_and_only_then(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    campaign_id = await shop.submit(1)
    (claim,) = await shop.claims()
    await shop.books.settle(claim, Result.FAILED, code="x", reason="x")
    await shop.books.steering.retry(campaign_id, None)
    assert await shop.spent() == 0
    assert await shop.send_all() == 1
    assert await shop.spent() == PRICE


async def test_a_retry_that_cannot_be_paid_any_more_is_refused_and_changes_nothing(open_shop: OpenShop) -> None:
    shop = await open_shop(2, balance="0.10", price="0.05")
    campaign_id = await shop.submit(2)
    claims = await shop.claims()
    for claim in claims:
        await shop.books.settle(claim, Result.FAILED, code="x", reason="x")
    await shop.submit(recipient_numbers(1, first=10))
    with pytest.raises(InsufficientBalance):
        await shop.books.steering.retry(campaign_id, None)
    assert (await shop.books.campaign(campaign_id)).n_failed == 2
    await shop.check()


async def test_a_campaign_keeps_the_price_of_the_moment_it_was_submitted(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    await shop.submit(2)
    await shop.change(price="0.20")
    await shop.submit(recipient_numbers(1, first=10))
    assert await shop.send_all() == 3
    assert await shop.spent() == Decimal("0.30")


async def test_without_a_price_nothing_is_charged_and_nothing_needed(open_shop: OpenShop) -> None:
    shop = await open_shop()
    await shop.submit(3)
    assert await shop.send_all() == 3
    assert await shop.spent() == 0


async def test_what_the_balance_does_not_cover_is_refused_and_nothing_is_stored(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY | {"balance": "0.14"})
    await shop.submit(1)
    with pytest.raises(InsufficientBalance, match=r"the balance is 0\.14 EUR, and 0\.15 EUR are needed"):
        await shop.submit(recipient_numbers(2, first=10))
    async with shop.books.db.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(message))).scalar_one() == 1
    await shop.submit(recipient_numbers(1, first=10))
    assert await shop.send_all() == 2
    assert (await shop.row()).balance == 40_000


async def test_what_is_in_flight_counts_as_needed(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY | {"balance": "0.05"})
    campaign_id = await shop.submit(1)
    (claim,) = await shop.claims()
    with pytest.raises(InsufficientBalance):
        await shop.submit(recipient_numbers(1, first=10))
    await shop.books.steering.cancel(campaign_id, None)
    with pytest.raises(InsufficientBalance):
        await shop.submit(recipient_numbers(1, first=10))
    await shop.books.settle(claim, Result.RELEASED)
    await shop.submit(recipient_numbers(1, first=10))


async def test_of_many_who_come_at_once_only_those_are_let_in_that_can_be_paid(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY | {"balance": "0.30"})
    asked = [shop.submit(recipient_numbers(2, first=10 * index)) for index in range(8)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, str) for one in answers].count(True) == 3
    assert [type(one) for one in answers if not isinstance(one, str)] == [InsufficientBalance] * 5
    async with shop.books.db.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(message))).scalar_one() == 6
    assert await shop.send_all() == 6
    assert (await shop.row()).balance == 0


async def test_what_others_send_is_not_the_clients_to_pay(open_shop: OpenShop) -> None:
    shop = await open_shop(**MONEY)
    await shop.books.submit(2)  # nobody in particular, in open mode
    with pytest.raises(NotFound):
        await shop.books.campaigns.submit(shop.caller, shop.books.request(1, sender_number="+447700900099"))
    assert await shop.send_all() == 2
    assert await shop.spent() == 0


@pytest.mark.parametrize("seed", range(4))
async def test_it_adds_up_to_the_millionth_after_whatever_happens(open_shop: OpenShop, seed: int) -> None:
    chance = random.Random(seed)
    shop = await open_shop(3, balance="50", price="0.000333")
    campaigns = [await shop.submit(recipient_numbers(12, first=12 * index)) for index in range(3)]
    wa_ids: list[str] = []
    other = QueueSettings(replica="two")
    for _ in range(60):
        await _do_something(shop, chance, campaigns, wa_ids, other)
        await shop.books.rest(chance.uniform(0.1, 6.0))
        await shop.check()
    assert await shop.spent() > 0


async def _do_something(
    shop: Shop, chance: random.Random, campaigns: list[str], wa_ids: list[str], other: QueueSettings
) -> None:
    books = shop.books
    step = chance.randrange(10)
    if step < 5:
        for claim in (await books.turn(by=chance.choice([books.replica, other]))).claims:
            wa_ids.append(claim.wa_id)
            if chance.random() < 0.9:  # else its replica dies
                result = chance.choice([Result.SENT] * 4 + [Result.FAILED, Result.UNCONFIRMED, Result.UNCERTAIN])
                by = books.replica if chance.random() < 0.5 else other
                await books.turn([(claim, books.outcome(result, code="x", reason="x"))], by=by, claiming=False)
    elif step < 8 and wa_ids:
        await books.receipts({chance.choice(wa_ids): chance.choice([-1, 1, 2, 3])})
    elif step == 8:
        for campaign_id in campaigns:
            if (await books.campaign(campaign_id)).n_failed:
                await books.steering.retry(campaign_id, None)
    else:
        rows = [row for key in campaigns for row in await books.messages(key) if row.state == MessageState.UNCONFIRMED]
        for row in rows[:1]:
            await books.steering.accept(row.campaign_id, row.id, None)

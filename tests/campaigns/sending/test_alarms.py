"""What the clock does to campaigns: start, hours, expiry; and what campaigns do to themselves. On both databases."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from campaigns.sending import alarms
from campaigns.sending.alarms import AGAIN_SECONDS
from campaigns.sending.models import CampaignState, MessageState
from campaigns.sending.outcomes import Result, TurnRequest
from campaigns.sending.queries import end_queued
from campaigns.sending.queue import HELD_SECONDS, take_turn
from campaigns.sending.sender_limits import SenderLimitService
from campaigns.sending.tables import campaign
from gateway.clock import Clock
from tests.campaigns.sending.conftest import OpenBooks
from tests.harness.books import Books

pytestmark = pytest.mark.virtual_time

HOUR = 3600.0


def iso(clock: Clock, seconds: float) -> str:
    """A time so many seconds from now, as a request names it."""
    return datetime.fromtimestamp(clock.now() + seconds, UTC).isoformat()


async def send_for(books: Books, seconds: float) -> int:
    """Let lanes send for so long, looking when the turn before said; how many messages were sent."""
    sent, until = 0, books.clock.now() + seconds
    while books.clock.now() < until:
        turn = await books.turn()
        while turn.claims:
            sent += len(turn.claims)
            turn = await books.turn([(claim, books.outcome(Result.SENT)) for claim in turn.claims])
        now = books.clock.now()
        await books.rest(max(0.5, min(turn.look_again_at, until) - now))
    return sent


async def test_a_scheduled_campaign_starts_at_its_time_and_not_before(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(3, start_at=iso(books.clock, HOUR))
    assert (await books.campaign(campaign_id)).state == CampaignState.SCHEDULED
    turn = await books.turn()
    assert turn.claims == []
    assert turn.look_again_at == pytest.approx(books.clock.now() + HOUR, abs=0.001)
    await books.rest(HOUR - 1.0)
    assert (await books.turn()).claims == []
    await books.rest(1.0)
    assert len((await books.turn()).claims) == 1
    assert (await books.campaign(campaign_id)).state == CampaignState.RUNNING
    await books.check()


async def test_a_start_that_was_slept_through_is_made_up_for(open_books: OpenBooks) -> None:
    books = await open_books()
    await books.submit(1, start_at=iso(books.clock, HOUR))
    await books.rest(5 * HOUR)
    assert len((await books.turn()).claims) == 1


async def test_nothing_leaves_in_quiet_hours_and_it_goes_on_after_them(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=60.0)
    minute = int(books.clock.now() % 86_400 // 60)  # of the day in UTC
    quiet = {"from": _time_of(minute + 30), "to": _time_of(minute + 150)}
    campaign_id = await books.submit(200, quiet_hours=quiet, timezone="UTC")
    before = await send_for(books, 40 * 60.0)
    assert 25 <= before <= 32
    assert (await books.campaign(campaign_id)).opens_at == pytest.approx(
        books.clock.now() // 60 * 60 + 110 * 60, abs=120
    )
    assert await send_for(books, 100 * 60.0) == 0
    assert await send_for(books, 30 * 60.0) >= 15
    await books.check()


def _time_of(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


async def test_what_was_not_sent_in_time_is_skipped_with_the_reason_and_never_sent(open_books: OpenBooks) -> None:
    books = await open_books(message_delay=600.0)
    campaign_id = await books.submit(5, expires_at=iso(books.clock, 900.0))
    assert await send_for(books, 899.0) == 2
    await books.rest(1.5)
    turn = await books.turn()
    assert turn.claims == []
    assert turn.finished == [(campaign_id, CampaignState.COMPLETED)]
    rows = await books.messages(campaign_id)
    assert [row.state for row in rows] == ["sent", "sent", "skipped", "skipped", "skipped"]
    assert {row.error_code for row in rows[2:]} == {"expired"}
    assert (await books.campaign(campaign_id)).reason != ""
    assert (await books.campaign(campaign_id)).alarm_at is None
    await books.check()


async def test_many_messages_expire_over_several_turns(open_books: OpenBooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "EXPIRED_AT_ONCE", 40)
    books = await open_books()
    campaign_id = await books.submit(100, start_at=iso(books.clock, 30.0), expires_at=iso(books.clock, 60.0))
    await books.rest(61.0)
    skipped: list[int] = []
    for _ in range(3):
        assert (await books.turn()).claims == []
        skipped.append((await books.campaign(campaign_id)).n_skipped)
    assert skipped == [40, 80, 100]
    assert (await books.campaign(campaign_id)).state == CampaignState.FAILED
    await books.check()


async def test_what_comes_back_to_the_queue_after_the_expiry_is_skipped_too(open_books: OpenBooks) -> None:
    books = await open_books()
    campaign_id = await books.submit(1, expires_at=iso(books.clock, 60.0))
    (claim,) = (await books.turn()).claims
    await books.settle(claim, Result.UNCERTAIN, wait_seconds=1.0)
    await books.rest(70.0)
    turn = await books.turn()
    assert [one.message_id for one in turn.claims] == [claim.message_id]  # to be looked up
    assert (await books.campaign(campaign_id)).state == CampaignState.RUNNING
    await books.turn([(turn.claims[0], books.outcome(Result.ABSENT))])
    await books.rest(AGAIN_SECONDS + 1.0)
    assert (await books.turn()).claims == []
    assert [row.state for row in await books.messages(campaign_id)] == [MessageState.SKIPPED]
    assert (await books.campaign(campaign_id)).state == CampaignState.FAILED


@pytest.mark.parametrize("code", ["daily_cap", "hourly_cap"])
async def test_a_lane_rests_at_its_cap_and_its_share_goes_to_the_others(open_books: OpenBooks, code: str) -> None:
    books = await open_books(2)
    caps = {"daily_cap": 0, "hourly_cap": 0, code: 3}
    books.replica = replace(books.replica, daily_cap=caps["daily_cap"], hourly_cap=caps["hourly_cap"])
    campaign_id = await books.submit(10)
    assert await send_for(books, 600.0) == 6
    lanes = [await books.lane(index) for index in (0, 1)]
    assert [lane.resting_code for lane in lanes] == [code, code]
    assert all(lane.resting_until > books.clock.now() for lane in lanes)
    await books.rest(max(lane.resting_until for lane in lanes) - books.clock.now() + 1.0)
    assert await send_for(books, 30.0) == 4
    assert (await books.campaign(campaign_id)).state == CampaignState.COMPLETED
    await books.check()


async def test_a_cap_of_its_own_holds_one_sender_only(open_books: OpenBooks) -> None:
    books = await open_books(2)
    books.replica = replace(books.replica, daily_cap=1)
    limits = SenderLimitService(books.db, books.bus, daily_cap=1)
    await limits.change(books.senders[0], {"daily_cap": 4})
    await books.submit(10)
    assert await send_for(books, 600.0) == 5
    assert [(await books.lane(index)).sent_today for index in (0, 1)] == [4, 1]


async def test_a_new_process_goes_by_its_own_caps_at_once(open_books: OpenBooks) -> None:
    """Somebody has raised them in the settings: the day that is not over yet is judged by the new ones."""
    books = await open_books()
    books.replica = replace(books.replica, daily_cap=2)
    await books.submit(5)
    assert await send_for(books, 600.0) == 2
    resting = await books.lane()
    assert resting.resting_code == "daily_cap"

    async def begin(cap: int) -> None:
        books.replica = replace(books.replica, daily_cap=cap)
        async with books.db.write() as tx:
            await take_turn(tx, books.replica, TurnRequest(first=True, claiming=False), books.clock)

    await begin(cap=2)
    assert await send_for(books, 60.0) == 0
    assert (await books.lane()).resting_until == resting.resting_until
    await begin(cap=4)
    assert await send_for(books, 60.0) == 2
    await begin(cap=0)
    assert await send_for(books, 60.0) == 1


@pytest.mark.parametrize("how", ["cancelled", "skipped"])
async def test_one_of_which_nothing_is_left_when_its_time_comes_ends(open_books: OpenBooks, how: str) -> None:
    books = await open_books()
    campaign_id = await books.submit(2, start_at=iso(books.clock, HOUR))
    ended = {"cancelled": MessageState.CANCELLED, "skipped": MessageState.SKIPPED}[how]
    async with books.db.write() as tx:
        await end_queued(tx, campaign_id, ended, "", "", books.clock.now(), limit=2)
    assert (await books.campaign(campaign_id)).state == CampaignState.SCHEDULED
    await books.rest(HOUR)
    turn = await books.turn()
    row = await books.campaign(campaign_id)
    assert row.state == (CampaignState.COMPLETED if how == "cancelled" else CampaignState.FAILED)
    assert turn.finished == [(campaign_id, row.state)]
    assert row.finished_at == books.clock.now()
    await books.check()


@pytest.mark.postgres
async def test_an_alarm_that_another_transaction_holds_is_looked_at_again_in_a_moment_and_not_at_once(
    postgres_url: str,
) -> None:
    books = Books(postgres_url)
    await books.open(1)
    campaign_id = await books.submit(1, start_at=iso(books.clock, HOUR))
    await books.rest(HOUR)
    async with books.db.write() as other:
        await other.execute(update(campaign).where(campaign.c.id == campaign_id).values(name="held"))
        turn = await books.turn()
    assert turn.claims == []
    assert turn.look_again_at == pytest.approx(books.clock.now() + HELD_SECONDS, abs=0.01)
    assert len((await books.turn()).claims) == 1
    await books.db.close()

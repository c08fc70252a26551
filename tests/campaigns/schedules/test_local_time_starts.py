"""Schedules in local time, on the queue alone: each recipient by their own clock. On both databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, update

from campaigns.audience.tables import group_member, recipient
from campaigns.schedules.models import ScheduleStatus
from campaigns.sending.models import CampaignState, MessageState
from tests.campaigns.schedules.conftest import Diary, OpenDiary, Step
from tests.campaigns.schedules.test_repeating import DAILY, newest, rows, until
from tests.harness.world import OPEN_CALLER

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
NEW_YORK, LONDON, PARIS = "12125550142", "447700900142", "33639980142"
NINE = datetime(2027, 1, 18, 9)  # noqa: DTZ001 - the clock on the wall


def nine_in(zone: str) -> float:
    """When it is nine there."""
    return NINE.replace(tzinfo=ZoneInfo(zone)).timestamp()


async def open_local(open_diary: OpenDiary) -> Diary:
    """A group of one in New York, one in London and one in Paris."""
    diary = await open_diary(members=0)
    await diary.join([NEW_YORK, LONDON, PARIS])
    return diary


async def test_each_has_the_time_of_their_own_clock_and_the_first_comes_first(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    looked_at = (await diary.books.campaign(schedule_id)).alarm_at
    assert looked_at == NINE.replace(tzinfo=UTC).timestamp() - 14 * HOUR
    await until(diary, looked_at)
    messages = await diary.books.messages(schedule_id)
    assert [(one.phone, one.not_before) for one in messages] == [
        (PARIS, nine_in("Europe/Paris")),
        (LONDON, nine_in("Europe/London")),
        (NEW_YORK, nine_in("America/New_York")),
    ]
    assert (await diary.books.campaign(schedule_id)).next_at == nine_in("Europe/Paris")
    await diary.books.check()


@pytest.mark.parametrize("members", [9, 10, 11, 25])
async def test_a_group_of_any_size_is_stored_whole_and_in_order(open_diary: OpenDiary, members: int) -> None:
    diary = await open_diary(members=0)
    numbers = [f"{(12125550100, 447700900100, 33639980100)[n % 3] + n}" for n in range(members)]
    await diary.join(numbers)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await until(diary, (await diary.books.campaign(schedule_id)).alarm_at)
    messages = await diary.books.messages(schedule_id)
    assert sorted(one.phone for one in messages) == sorted(numbers)
    times = [one.not_before for one in messages]
    assert (times, [one.seq for one in messages]) == (sorted(times), list(range(members)))
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.n_queued, row.next_at) == (CampaignState.QUEUED, members, times[0])


async def test_whose_time_is_over_by_too_much_is_skipped_with_the_reason(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await until(diary, nine_in("Europe/London") + 30 * MINUTE)  # in Paris it is 90 minutes late, of 60 that are allowed
    told = {one.phone: (one.state, one.error_code) for one in await diary.books.messages(schedule_id)}
    assert told == {
        PARIS: (MessageState.SKIPPED, "too_late"),
        LONDON: (MessageState.QUEUED, None),
        NEW_YORK: (MessageState.QUEUED, None),
    }
    row = await diary.books.campaign(schedule_id)
    assert (row.n_queued, row.n_skipped, row.next_at) == (2, 1, nine_in("Europe/London"))
    assert "90 minutes late" in (await diary.books.messages(schedule_id))[0].error
    await diary.books.check()


async def test_where_everybody_is_too_late_it_has_failed(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await until(diary, nine_in("America/New_York") + 2 * HOUR)
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.n_skipped) == (CampaignState.FAILED, 3)
    assert "none of its 3 recipients" in row.reason


async def test_after_the_last_clock_on_earth_nobody_is_looked_at(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await until(diary, NINE.replace(tzinfo=UTC).timestamp() + 13.5 * HOUR)
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.total) == (CampaignState.FAILED, 0)
    assert "90 minutes late" in row.reason


async def test_send_now_counts_no_clocks(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await diary.service.send_now(OPEN_CALLER, schedule_id)
    await diary.begin()
    assert {one.not_before for one in await diary.books.messages(schedule_id)} == {0.0}
    row = await diary.books.campaign(schedule_id)
    assert (row.n_queued, row.next_at) == (3, None)


async def test_a_series_in_local_time_goes_on_by_the_clocks(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    await diary.plan(scheduled_time=NINE, local_time=True, recurrence=DAILY)
    for _ in range(2):
        await until(diary, (await diary.books.campaign((await newest(diary)).campaign_id)).alarm_at)
    first, second, third = await rows(diary)
    assert [row.local_wall for row in (first, second, third)] == [f"2027-01-{day}T09:00:00" for day in (18, 19, 20)]
    assert [one.not_before for one in await diary.books.messages(second.campaign_id)] == [
        nine_in(zone) + DAY for zone in ("Europe/Paris", "Europe/London", "America/New_York")
    ]


async def test_a_downtime_costs_those_their_occurrence_whose_time_it_took(open_diary: OpenDiary) -> None:
    diary = await open_local(open_diary)
    await diary.plan(scheduled_time=NINE, local_time=True, recurrence=DAILY)
    await until(diary, nine_in("America/New_York") + 2 * DAY)
    await diary.begin()
    first, second, third = await rows(diary)
    assert (first.status, first.missed, second.status) == (ScheduleStatus.FAILED, 1, ScheduleStatus.PROCESSING)
    states = {one.phone: one.state for one in await diary.books.messages(second.campaign_id)}
    assert states == {
        PARIS: MessageState.SKIPPED,
        LONDON: MessageState.SKIPPED,
        NEW_YORK: MessageState.QUEUED,
    }
    assert third.status == ScheduleStatus.PENDING


async def test_who_leaves_or_changes_their_number_while_it_begins_is_sent_nothing_or_by_the_new_clock(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary(members=0)
    gone, moved = await diary.join([LONDON, PARIS])
    await diary.join([NEW_YORK])
    schedule_id = await diary.plan(scheduled_time=NINE, local_time=True)
    await diary.books.rest((await diary.books.campaign(schedule_id)).alarm_at - diary.clock.now())
    (due,) = await diary.due()
    done = False

    async def step(count: int) -> None:
        nonlocal done
        if count == 2 and not done:  # their order is known
            done = True
            async with diary.db.write() as tx:
                await tx.execute(update(recipient).where(recipient.c.id == moved).values(phone="447700900143"))
                await tx.execute(delete(group_member).where(group_member.c.recipient_id == gone))

    before_each_write(diary, step)
    await diary.starter.start(due)
    told = {one.phone: one.not_before for one in await diary.books.messages(schedule_id)}
    assert told == {"447700900143": nine_in("Europe/London"), NEW_YORK: nine_in("America/New_York")}

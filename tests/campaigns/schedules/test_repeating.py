"""Schedules that come again, on the queue alone: each occurrence once, whatever crashes. On both databases."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from campaigns.schedules.following import schedule
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.series_queries import occurrence_table
from campaigns.sending.alarms import START_LEASE_SECONDS
from campaigns.sending.models import CampaignState
from campaigns.sending.tables import campaign, campaign_sender
from gateway.db import AnyRow
from gateway.errors import WrongState
from gateway.events import StartEnded
from tests.campaigns.schedules.conftest import Diary, OpenDiary, Step
from tests.harness.world import OPEN_CALLER, sender_number

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
DAILY = "FREQ=DAILY"


async def rows(diary: Diary) -> Sequence[AnyRow]:
    """All schedules by their times."""
    async with diary.db.read() as connection:
        return (await connection.execute(select(schedule).order_by(schedule.c.scheduled_time))).all()


async def statuses(diary: Diary) -> list[str]:
    """What the schedules are, by their times."""
    return [row.status for row in await rows(diary)]


async def newest(diary: Diary) -> AnyRow:
    """The schedule with the latest time, which waits."""
    row = (await rows(diary))[-1]
    waiting = await diary.books.campaign(row.campaign_id)
    assert (row.status, waiting.state, waiting.total) == (ScheduleStatus.PENDING, CampaignState.SCHEDULED, 0)
    return row


async def repeat(diary: Diary, after: float = MINUTE, **fields: Any) -> str:
    """Schedule the text each day, at whole minutes; the id of the first one."""
    time = datetime.fromtimestamp((diary.clock.now() + after) // 60 * 60, UTC)
    return await diary.plan(**{"scheduled_time": time, "recurrence": DAILY, **fields})


async def until(diary: Diary, at: float) -> None:
    """Let time pass until then, and begin what is due."""
    await diary.books.rest(at - diary.clock.now())
    await diary.begin()


# --- a series goes on ---------------------------------------------------------------------------------------------


async def test_each_occurrence_leads_to_the_next_at_nine_by_the_clock_of_its_zone(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2027, 3, 26, 9, tzinfo=berlin)  # the clock is set forward on the 28th
    await diary.books.rest(first.timestamp() - DAY - diary.clock.now())
    await diary.plan(scheduled_time=first, recurrence=DAILY, timezone="Europe/Berlin")
    for _ in range(4):
        await until(diary, (await newest(diary)).scheduled_time)
    times = [datetime.fromtimestamp(row.scheduled_time, berlin) for row in await rows(diary)]
    assert [(time.day, time.hour) for time in times] == [(26, 9), (27, 9), (28, 9), (29, 9), (30, 9)]
    assert [time.astimezone(UTC).hour for time in times] == [8, 8, 7, 7, 7]
    await diary.books.check()


async def test_an_occurrence_is_like_the_one_before_and_reads_the_text_as_it_is_then(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=2, members=2)
    named: dict[str, Any] = {"sender_number": f"+{sender_number(1)}", "sender_numbers": [f"+{sender_number(0)}"]}
    expires_at = datetime.fromtimestamp(diary.clock.now() + MINUTE + HOUR, UTC)
    first = await diary.plan(
        recurrence=DAILY, max_lateness=900, priority="high", auto_pause=False, expires_at=expires_at, **named
    )
    await diary.templates.change(OPEN_CALLER, diary.template_id, "Anew", "Another text")
    await diary.books.rest(MINUTE)
    await diary.begin()
    second = await newest(diary)
    before, after = await diary.books.campaign(first), await diary.books.campaign(second.campaign_id)
    assert (after.priority, after.auto_pause, after.senders, after.sender_number) == (2, False, 2, sender_number(1))
    assert (before.template, after.template) == ("Another text", "Another text")
    assert (second.max_lateness, second.created_by, second.any_sender) == (900.0, "local", False)
    assert (after.starts_at, after.alarm_at) == (second.scheduled_time, second.scheduled_time)
    assert after.expires_at - after.starts_at == pytest.approx(HOUR)
    async with diary.db.read() as connection:
        query = select(campaign_sender.c.sender_id, campaign_sender.c.open).order_by(campaign_sender.c.position)
        senders = (await connection.execute(query.where(campaign_sender.c.campaign_id == second.campaign_id))).all()
    assert [tuple(row) for row in senders] == [(diary.books.sender_id(1), False), (diary.books.sender_id(0), False)]
    await until(diary, second.scheduled_time)
    assert {one.text for one in await diary.books.messages(second.campaign_id)} <= {"Another text", None}
    assert (await diary.books.campaign(second.campaign_id)).n_queued == 2


async def test_all_connected_senders_take_part_in_each_occurrence_anew(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=2, members=1)
    await repeat(diary)
    await diary.books.rest(MINUTE)
    await diary.begin()
    await diary.books.fall(0)
    second = await newest(diary)
    assert (await diary.books.campaign(second.campaign_id)).sender_number == ""
    await until(diary, second.scheduled_time)
    begun = await diary.books.campaign(second.campaign_id)
    assert (begun.sender_number, begun.senders) == (sender_number(1), 1)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_a_process_that_dies_over_an_occurrence_leaves_one_successor(
    open_diary: OpenDiary, before_each_write: Install, unwatched: Callable[[Diary], None], number: int
) -> None:
    diary = await open_diary()
    await repeat(diary)
    await diary.books.rest(MINUTE)
    await diary.die_at(number, before_each_write)
    unwatched(diary)
    assert await statuses(diary) == [ScheduleStatus.PENDING if number == 1 else ScheduleStatus.PROCESSING]
    assert len(await rows(diary)) == 1
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    assert await statuses(diary) == [ScheduleStatus.PROCESSING, ScheduleStatus.PENDING]
    await diary.books.check()


async def test_a_replica_that_was_frozen_over_an_occurrence_makes_no_second_successor(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary()
    await repeat(diary)
    await diary.books.rest(MINUTE)
    (first,) = await diary.due()
    frozen, thawed = asyncio.Event(), asyncio.Event()

    async def step(count: int) -> None:
        if count == 5:  # it is about to let it begin
            frozen.set()
            await thawed.wait()

    before_each_write(diary, step)
    diary.starter.begin([first])
    await frozen.wait()
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    ended = asyncio.Event()
    diary.books.bus.subscribe(StartEnded, lambda _: ended.set())
    thawed.set()
    await ended.wait()
    assert await statuses(diary) == [ScheduleStatus.PROCESSING, ScheduleStatus.PENDING]


async def test_a_cancel_and_a_start_at_the_same_moment_leave_one_successor(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=3)
    schedule_id = await repeat(diary)
    await diary.books.rest(MINUTE)
    (due,) = await diary.due()
    cancels = [diary.books.steering.cancel(schedule_id, None) for _ in range(3)]
    told = await asyncio.gather(diary.starter.start(due), *cancels, return_exceptions=True)
    assert sum(isinstance(one, WrongState) for one in told) == 2
    row = await diary.row(schedule_id)
    assert row.status == ScheduleStatus.CANCELLED
    assert len(await rows(diary)) == 2
    assert (await newest(diary)).scheduled_time == row.scheduled_time + DAY
    await diary.books.check()


async def test_ten_days_of_downtime_are_told_and_one_of_them_is_sent(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    schedule_id = await repeat(diary)
    at = (await diary.row(schedule_id)).scheduled_time
    await until(diary, at + 10 * DAY + 30 * MINUTE)
    late = await diary.row(schedule_id)
    assert (late.status, late.missed) == (ScheduleStatus.FAILED, 9)
    reason = (await diary.books.campaign(schedule_id)).reason
    assert "240.5 hours late" in reason
    assert "9 further occurrences of the series passed meanwhile and will not be sent" in reason
    assert (await newest(diary)).scheduled_time == at + 10 * DAY  # half an hour late: it may still be sent
    await diary.begin()
    assert await statuses(diary) == [ScheduleStatus.FAILED, ScheduleStatus.PROCESSING, ScheduleStatus.PENDING]
    assert (await newest(diary)).scheduled_time == at + 11 * DAY


async def test_however_late_they_may_be_they_are_not_sent_in_a_burst(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    schedule_id = await repeat(diary, max_lateness=30 * DAY)
    at = (await diary.row(schedule_id)).scheduled_time
    await until(diary, at + 10 * DAY + HOUR)
    begun = await diary.row(schedule_id)
    assert (begun.status, begun.missed) == (ScheduleStatus.PROCESSING, 10)
    assert (await newest(diary)).scheduled_time == at + 11 * DAY
    assert len(await rows(diary)) == 2


async def test_the_last_occurrence_ends_the_series(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    schedule_id = await repeat(diary, recurrence="FREQ=DAILY;COUNT=2")
    at = (await diary.row(schedule_id)).scheduled_time
    for day in range(4):
        await until(diary, at + day * DAY)
    assert len(await statuses(diary)) == 2
    assert ScheduleStatus.PENDING not in await statuses(diary)


async def test_an_occurrence_whose_minute_is_taken_is_passed_over(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    await repeat(diary)
    by_hand = await repeat(diary, MINUTE + DAY, recurrence=None)
    await diary.books.rest(MINUTE)
    await diary.begin()
    first, taken, third = await rows(diary)
    assert (taken.campaign_id, third.scheduled_time) == (by_hand, first.scheduled_time + 2 * DAY)
    async with diary.db.read() as connection:
        known = (await connection.execute(select(occurrence_table.c.schedule_id))).scalars().all()
        campaigns = (await connection.execute(select(func.count()).select_from(campaign))).scalar_one()
    assert (set(known), campaigns) == ({first.campaign_id, third.campaign_id}, 3)


# --- steered ------------------------------------------------------------------------------------------------------


async def test_a_cancel_is_of_one_occurrence_at_either_door(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    first = await repeat(diary)
    await diary.service.cancel(OPEN_CALLER, first)
    second = await newest(diary)
    assert second.scheduled_time == (await diary.row(first)).scheduled_time + DAY
    await diary.books.steering.cancel(second.campaign_id, None)
    third = await newest(diary)
    await diary.service.cancel(OPEN_CALLER, third.campaign_id, series=True)
    assert await statuses(diary) == [ScheduleStatus.CANCELLED] * 3
    with pytest.raises(WrongState, match="cancelled"):
        await diary.service.cancel(OPEN_CALLER, third.campaign_id, series=True)


async def test_a_cancel_of_what_is_sent_already_leaves_the_series_alone(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    first = await repeat(diary)
    await diary.books.rest(MINUTE)
    await diary.begin()
    await diary.books.steering.cancel(first, None)
    assert await statuses(diary) == [ScheduleStatus.CANCELLED, ScheduleStatus.PENDING]


async def test_what_was_cancelled_is_deleted_and_the_series_goes_on(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    first = await repeat(diary)
    await diary.service.cancel(OPEN_CALLER, first)
    await diary.service.delete(OPEN_CALLER, first)
    await until(diary, (await newest(diary)).scheduled_time)
    assert await statuses(diary) == [ScheduleStatus.PROCESSING, ScheduleStatus.PENDING]


async def test_send_now_takes_the_place_of_its_own_time_only(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    first = await repeat(diary, 2 * HOUR)
    at = (await diary.row(first)).scheduled_time
    await diary.service.send_now(OPEN_CALLER, first)
    await diary.begin()
    assert (await newest(diary)).scheduled_time == at + DAY
    await diary.books.rest(at - diary.clock.now())
    assert await diary.due() == []

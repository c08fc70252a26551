"""A schedule begins once, and whole, whichever process dies or freezes over it. On both databases."""

import asyncio
from collections.abc import Callable

import pytest

from campaigns.schedules.starting import expire_starts
from campaigns.sending.alarms import START_LEASE_SECONDS
from tests.campaigns.schedules.conftest import SLICE, Diary, OpenDiary, Step

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
HOUR = 3600.0


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_one_that_a_process_died_over_is_begun_anew_by_the_next_one_and_whole(
    open_diary: OpenDiary, before_each_write: Install, unwatched: Callable[[Diary], None], number: int
) -> None:
    """Its writes: decide, three slices, let it begin."""
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.die_at(number, before_each_write)
    unwatched(diary)
    assert await diary.stored() == min(max(0, number - 2), 3) * SLICE
    assert (await diary.books.turn()).claims == []
    assert await diary.due() == []
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    assert await diary.due() == []


async def test_a_replica_that_was_frozen_in_the_middle_stores_nothing_more(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (first,) = await diary.due()
    frozen, thawed = asyncio.Event(), asyncio.Event()

    async def step(count: int) -> None:
        if count == 4:
            frozen.set()
            await thawed.wait()

    before_each_write(diary, step)
    task = asyncio.create_task(diary.starter.start(first))
    await frozen.wait()
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
    thawed.set()
    await task
    await diary.expect_whole(schedule_id)


async def test_a_frozen_replica_that_comes_back_while_the_other_is_at_it_does_no_harm(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (first,) = await diary.due()
    frozen, thawed, task_done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step(count: int) -> None:
        if count == 4:
            frozen.set()
            await thawed.wait()
        if count == 9:  # the other one has removed what was there, and stored its first slice
            thawed.set()
            await task_done.wait()

    before_each_write(diary, step)
    task = asyncio.create_task(diary.starter.start(first))
    task.add_done_callback(lambda _: task_done.set())
    await frozen.wait()
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    await task
    await diary.expect_whole(schedule_id)


async def test_two_replicas_that_look_at_the_same_moment_begin_it_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    turns = await asyncio.gather(diary.turn(), diary.turn())
    handed = [due for turn in turns for due in turn.due]
    assert len(handed) == 1
    await asyncio.gather(*(diary.starter.start(due) for due in (*handed, *handed)))
    await diary.expect_whole(schedule_id)


async def test_what_a_former_process_was_about_to_begin_is_due_at_once_on_sqlite(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    later = await diary.plan(HOUR)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    assert len(await diary.due()) == 1
    await expire_starts(diary.db)
    assert [due.campaign_id for due in await diary.due()] == [schedule_id]
    assert (await diary.books.campaign(later)).alarm_at == (await diary.row(later)).scheduled_time

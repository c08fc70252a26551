"""A schedule begins at its time, once, as its group and template are then, whoever steers it. On both databases."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from campaigns.audience.tables import group_member, recipient
from campaigns.schedules import starting
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.starting import AT_ONCE, sweep_abandoned
from campaigns.sending.models import CampaignState
from gateway.errors import WrongState
from gateway.events import StartEnded
from tests.campaigns.schedules.conftest import SLICE, Diary, OpenDiary, Step
from tests.harness.world import OPEN_CALLER, recipient_numbers

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
HOUR = 3600.0


# --- at its time --------------------------------------------------------------------------------------------------


async def test_nothing_is_stored_while_it_waits_and_it_begins_at_its_time(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan(HOUR)
    assert (await diary.turn()).look_again_at == pytest.approx(diary.clock.now() + HOUR, abs=0.001)
    await diary.books.rest(HOUR - 1.0)
    assert await diary.due() == []
    assert await diary.stored() == 0
    await diary.books.rest(1.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
    assert len((await diary.books.turn()).claims) == 1


@pytest.mark.parametrize("members", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
async def test_a_group_of_any_size_is_stored_whole(open_diary: OpenDiary, members: int) -> None:
    diary = await open_diary(members=members)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    await diary.expect_whole(schedule_id, members)


async def test_group_and_template_are_read_when_it_begins(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=2)
    schedule_id = await diary.plan()
    await diary.templates.change(
        OPEN_CALLER, diary.template_id, "Anew", "Dear {{name}}, your code is {{ code | none }}"
    )
    await diary.join(["447700900199"], code=7)
    await diary.books.rest(60.0)
    await diary.begin()
    texts = [one.text for one in await diary.books.messages(schedule_id)]
    assert texts == ["Dear P100, your code is none", "Dear P101, your code is none", "Dear P199, your code is 7"]
    row, told = await diary.books.campaign(schedule_id), await diary.row(schedule_id)
    assert (row.name, row.template[:4], told.title, told.recipient_count) == ("Anew", "Dear", "Anew", 3)
    assert told.content_read_at is not None


async def test_a_template_that_is_changed_while_it_begins_is_sent_as_it_was_read(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary(content="Hello {{name}}")
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (due,) = await diary.due()

    async def step(count: int) -> None:
        if count == 3:
            await diary.templates.change(OPEN_CALLER, diary.template_id, "Anew", "Another text")

    before_each_write(diary, step)
    await diary.starter.start(due)
    assert {one.text[:6] for one in await diary.books.messages(schedule_id)} == {"Hello "}
    assert (await diary.books.campaign(schedule_id)).template == "Hello {{name}}"
    assert (await diary.row(schedule_id)).title == "Welcome"


async def test_a_number_that_goes_over_to_somebody_else_meanwhile_is_written_to_once(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary(members=30)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (due,) = await diary.due()
    first, last = recipient_numbers(30)[0], recipient_numbers(30)[-1]

    async def step(count: int) -> None:
        if count == 3:
            async with diary.db.write() as tx:
                for before, after in ((first, "447700900998"), (last, first)):
                    await tx.execute(update(recipient).where(recipient.c.phone == before).values(phone=after))

    done = False

    async def once(count: int) -> None:
        nonlocal done
        if count == 3 and not done:
            done = True
            await step(count)

    before_each_write(diary, once)
    await diary.starter.start(due)
    phones = [one.phone for one in await diary.books.messages(schedule_id)]
    assert len(phones) == len(set(phones)) == 29
    assert (await diary.books.campaign(schedule_id)).total == 29


async def test_who_misses_a_variable_is_skipped_with_the_reason_and_never_retried(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=2, content="Your code is {{code}}")
    await diary.join(["447700900199"], code=7)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    rows = await diary.books.messages(schedule_id)
    assert [(one.state, one.error_code) for one in rows] == [
        ("skipped", "missing_variable"),
        ("skipped", "missing_variable"),
        ("queued", None),
    ]
    assert rows[0].error == "no value for code"
    row = await diary.books.campaign(schedule_id)
    assert (row.total, row.n_queued, row.n_skipped) == (3, 1, 2)
    await diary.books.check()


async def test_a_schedule_that_nobody_can_get_fails_with_everybodys_reason(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=3, content="Your code is {{code}}")
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.total, row.n_skipped, row.alarm_at) == (CampaignState.FAILED, 3, 3, None)
    assert "no value for code" in row.reason
    assert (await diary.row(schedule_id)).status == ScheduleStatus.FAILED
    await diary.books.check()


async def test_one_to_an_empty_group_fails(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=3)
    schedule_id = await diary.plan()
    async with diary.db.write() as tx:
        await tx.execute(delete(group_member))
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.total) == (CampaignState.FAILED, 0)
    assert "nobody" in row.reason
    assert (await diary.turn()).look_again_at > diary.clock.now() + HOUR


async def test_a_group_that_is_emptied_while_it_begins_leaves_those_that_were_read(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (due,) = await diary.due()
    emptied = False

    async def step(count: int) -> None:
        nonlocal emptied
        if count == 3 and not emptied:
            emptied = True
            async with diary.db.write() as tx:
                await tx.execute(delete(group_member))

    before_each_write(diary, step)
    await diary.starter.start(due)
    assert (await diary.books.campaign(schedule_id)).total == 2 * SLICE
    await diary.books.check()


# --- steered meanwhile --------------------------------------------------------------------------------------------


async def test_a_cancel_while_it_begins_wins_and_nothing_is_left(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (due,) = await diary.due()
    cancelled = False

    async def step(count: int) -> None:
        nonlocal cancelled
        if count == 4 and not cancelled:
            cancelled = True
            with pytest.raises(WrongState, match="processing"):
                await diary.service.cancel(OPEN_CALLER, schedule_id)
            await diary.books.steering.cancel(schedule_id, None)

    before_each_write(diary, step)
    await diary.starter.start(due)
    assert cancelled
    assert (await diary.books.campaign(schedule_id)).state == CampaignState.CANCELLED
    assert (await diary.row(schedule_id)).status == ScheduleStatus.CANCELLED
    assert await diary.stored() == 0
    assert not (await diary.row(schedule_id)).filling


async def test_what_is_left_of_one_that_was_cancelled_after_a_crash_is_swept_up(
    open_diary: OpenDiary, before_each_write: Install, unwatched: Callable[[Diary], None]
) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.die_at(4, before_each_write)
    unwatched(diary)
    await sweep_abandoned(diary.db)
    assert await diary.stored() == 2 * SLICE  # it is to begin: whoever takes it over removes them
    await diary.books.steering.cancel(schedule_id, None)
    await sweep_abandoned(diary.db)
    assert await diary.stored() == 0


async def test_send_now_begins_at_once_and_only_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan(HOUR)
    told = await diary.service.send_now(OPEN_CALLER, schedule_id)
    assert (told["status"], told["task_id"]) == ("processing", schedule_id)
    with pytest.raises(WrongState, match="processing"):
        await diary.service.send_now(OPEN_CALLER, schedule_id)
    await diary.begin()
    await diary.expect_whole(schedule_id)
    await diary.books.rest(HOUR)
    assert await diary.due() == []


async def test_send_now_at_the_moment_in_which_it_was_handed_over_begins_it_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (handed,) = await diary.due()
    await diary.service.send_now(OPEN_CALLER, schedule_id)
    await diary.starter.start(handed)  # it is not this one's any more
    assert await diary.stored() == 0
    await diary.begin()
    await diary.expect_whole(schedule_id)


# --- many at once -------------------------------------------------------------------------------------------------


async def test_many_that_are_due_are_handed_over_as_there_is_room(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=1)
    for minute in range(10):
        await diary.plan(60.0 * (minute + 1))
    await diary.books.rest(600.0)
    turn = await diary.turn(starts=4)
    assert (len(turn.due), turn.look_again_at > diary.clock.now() + HOUR) == (4, True)  # who makes room tells
    assert len((await diary.turn(starts=0)).due) == 0
    turn = await diary.turn(starts=AT_ONCE)
    assert len(turn.due) == AT_ONCE
    assert len({due.campaign_id for due in turn.due}) == AT_ONCE


async def test_the_starter_has_room_again_when_one_has_begun(
    open_diary: OpenDiary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "AT_ONCE", 1)
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    diary.starter.begin(await diary.due())
    assert diary.starter.room == 0
    ended = asyncio.Event()
    diary.books.bus.subscribe(StartEnded, lambda _: ended.set())
    async with asyncio.timeout(60):
        await ended.wait()
    assert diary.starter.room == 1
    await diary.expect_whole(schedule_id)

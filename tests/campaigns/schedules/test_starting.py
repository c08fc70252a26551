"""A schedule begins at its time, once, as its group and template are then, whatever crashes. On both databases."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import delete, func, select, update

from campaigns.audience.tables import group_member, recipient
from campaigns.schedules import starting
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.starting import AT_ONCE, expire_starts, sweep_abandoned
from campaigns.sending.alarms import START_LEASE_SECONDS
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Result
from campaigns.sending.tables import campaign_sender, message, server
from gateway.errors import WrongState
from gateway.events import StartEnded
from tests.campaigns.schedules.conftest import SLICE, Diary, OpenDiary, Step
from tests.harness.world import OPEN_CALLER, recipient_numbers, sender_number

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
HOUR = 3600.0


async def stored(diary: Diary) -> int:
    """How many messages there are in the table."""
    async with diary.db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(message))).scalar_one())


async def expect_whole(diary: Diary, schedule_id: str, members: int = 35) -> None:
    """It has begun, with one message for each member, and the counters say so."""
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.total, row.n_queued) == (CampaignState.QUEUED, members, members)
    assert sorted(one.phone for one in await diary.books.messages(schedule_id)) == recipient_numbers(members)
    assert [one.seq for one in await diary.books.messages(schedule_id)] == list(range(members))
    assert await stored(diary) == members
    assert (await diary.row(schedule_id)).status == ScheduleStatus.PROCESSING
    assert not (await diary.row(schedule_id)).filling
    await diary.books.check()


# --- at its time --------------------------------------------------------------------------------------------------


async def test_nothing_is_stored_while_it_waits_and_it_begins_at_its_time(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan(HOUR)
    assert (await diary.turn()).look_again_at == pytest.approx(diary.clock.now() + HOUR, abs=0.001)
    await diary.books.rest(HOUR - 1.0)
    assert await diary.due() == []
    assert await stored(diary) == 0
    await diary.books.rest(1.0)
    await diary.begin()
    await expect_whole(diary, schedule_id)
    assert len((await diary.books.turn()).claims) == 1


@pytest.mark.parametrize("members", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
async def test_a_group_of_any_size_is_stored_whole(open_diary: OpenDiary, members: int) -> None:
    diary = await open_diary(members=members)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    await expect_whole(diary, schedule_id, members)


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


# --- too late, and without a sender -------------------------------------------------------------------------------


async def test_a_start_that_was_slept_through_is_made_up_for_but_not_too_late(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    early = await diary.plan(60.0, max_lateness=600)
    later = await diary.plan(900.0, max_lateness=600)
    await diary.books.rest(901.0)
    await diary.begin()
    row = await diary.books.campaign(early)
    assert (row.state, row.total) == (CampaignState.FAILED, 0)
    assert "14 minutes late" in row.reason
    await expect_whole(diary, later)


async def test_without_a_connected_sender_it_waits_and_begins_as_soon_as_there_is_one(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=2)
    await diary.connect(up=False)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, await stored(diary)) == (CampaignState.SCHEDULED, 0)
    assert "no sender" in row.reason
    assert (await diary.row(schedule_id)).status == ScheduleStatus.PENDING
    await diary.connect(up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await expect_whole(diary, schedule_id)
    assert (await diary.books.campaign(schedule_id)).reason == ""


async def test_it_fails_where_none_came_in_time(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    await diary.connect(up=False)
    schedule_id = await diary.plan(max_lateness=30)
    await diary.books.rest(60.0)
    await diary.begin()
    while (await diary.books.campaign(schedule_id)).state == CampaignState.SCHEDULED:
        await diary.books.rest((await diary.turn(starts=1)).look_again_at - diary.clock.now())
        await diary.begin()
        assert diary.clock.now() < 1e12
    assert (
        "no sender of the account was connected within 30 seconds" in (await diary.books.campaign(schedule_id)).reason
    )


async def test_it_waits_until_one_of_the_named_senders_is_connected_and_begins_with_all_of_them(
    open_diary: OpenDiary,
) -> None:
    diary = await open_diary(senders=3)
    for sender in (0, 1):
        await diary.books.fall(sender)
    schedule_id = await diary.plan(sender_number=f"+{sender_number(0)}", sender_numbers=[f"+{sender_number(1)}"])
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, await stored(diary)) == (CampaignState.SCHEDULED, 0)
    assert row.reason == "none of its senders is connected: it begins as soon as one is"
    await diary.books.fall(1, up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await expect_whole(diary, schedule_id)
    row = await diary.books.campaign(schedule_id)
    assert (row.sender_number, row.senders, row.reason) == (sender_number(0), 2, "")


async def test_it_is_never_sent_stale_where_its_named_sender_comes_too_late(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=2)
    await diary.books.fall(1)
    schedule_id = await diary.plan(max_lateness=30, sender_number=f"+{sender_number(1)}")
    await diary.books.rest(60.0)
    await diary.begin()
    while (await diary.books.campaign(schedule_id)).state == CampaignState.SCHEDULED:
        await diary.books.rest((await diary.turn(starts=1)).look_again_at - diary.clock.now())
        await diary.begin()
        assert diary.clock.now() < 1e12
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.reason) == (
        CampaignState.FAILED,
        "none of its senders was connected within 30 seconds of its time",
    )
    assert await stored(diary) == 0


async def test_all_connected_senders_take_part_where_nobody_was_named(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=3)
    await diary.books.fall(1)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    async with diary.db.read() as connection:
        query = select(campaign_sender.c.sender_id, campaign_sender.c.open).order_by(campaign_sender.c.position)
        rows = (await connection.execute(query.where(campaign_sender.c.campaign_id == schedule_id))).all()
    assert [(row.sender_id, row.open) for row in rows] == [
        (diary.books.sender_id(0), True),
        (diary.books.sender_id(2), True),
    ]


# --- a sender that only seems to work -----------------------------------------------------------------------------


async def serve(diary: Diary, *, up: bool) -> None:
    """The WAHA server answers, or is known not to; its sessions are noted as connected all the time."""
    async with diary.db.write() as tx:
        await tx.execute(update(server).values(up=up))


async def refuse(diary: Diary) -> int:
    """Let lanes try, and hear that the server does not answer; how many tried."""
    claims = (await diary.turn()).claims
    for claim in claims:
        await diary.books.settle(claim, Result.LATER, code="server_down", wait_seconds=1.0)
    return len(claims)


@pytest.mark.parametrize("named", [False, True])
async def test_it_waits_while_the_server_of_its_senders_does_not_answer(open_diary: OpenDiary, named: bool) -> None:
    diary = await open_diary()
    await serve(diary, up=False)
    number = f"+{sender_number(0)}" if named else None
    schedule_id = await diary.plan(max_lateness=30, sender_number=number)
    late = await diary.plan(180.0, max_lateness=30, sender_number=number)
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, await stored(diary)) == (CampaignState.SCHEDULED, 0)
    assert row.reason == "the WAHA servers of its senders do not answer: it begins as soon as one does"
    await serve(diary, up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await expect_whole(diary, schedule_id)
    await serve(diary, up=False)
    for seconds in (116.0, 31.0):
        await diary.books.rest(seconds)
        await diary.begin()
    row = await diary.books.campaign(late)
    assert row.state == CampaignState.FAILED
    assert row.reason == "the WAHA servers of its senders did not answer within 30 seconds of its time"


async def test_one_of_which_nothing_could_be_sent_in_time_has_failed_and_is_not_sent_later(
    open_diary: OpenDiary,
) -> None:
    diary = await open_diary(members=5)
    schedule_id = await diary.plan(max_lateness=30)
    await diary.books.rest(60.0)
    await diary.begin()
    assert await refuse(diary) == 1
    await diary.books.rest(29.0)
    assert await refuse(diary) == 1, "it is tried all the time"
    assert (await diary.books.campaign(schedule_id)).state == CampaignState.RUNNING
    await diary.books.rest(1.5)
    assert (await diary.turn()).claims == []
    row, told = await diary.books.campaign(schedule_id), await diary.row(schedule_id)
    assert (row.state, row.n_skipped, told.status) == (CampaignState.FAILED, 5, ScheduleStatus.FAILED)
    assert row.reason == "nothing could be sent within 30 seconds of its time (max_lateness)"
    await diary.books.check()


async def test_one_of_which_something_was_sent_goes_on_after_any_time(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=5)
    schedule_id = await diary.plan(max_lateness=30)
    await diary.books.rest(60.0)
    await diary.begin()
    (claim,) = (await diary.turn()).claims
    await diary.books.settle(claim, Result.SENT)
    await diary.books.rest(HOUR)
    await refuse(diary)
    await diary.books.rest(HOUR)
    assert len((await diary.turn()).claims) == 1
    assert (await diary.books.campaign(schedule_id)).n_skipped == 0


async def test_one_that_waits_for_its_turn_is_not_late(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=5)
    before = await diary.books.submit(300, priority="urgent")
    schedule_id = await diary.plan(max_lateness=30)
    for _ in range(100):
        turn = await diary.turn()
        for claim in turn.claims:
            assert claim.campaign_id == before
            await diary.books.settle(claim, Result.SENT)
        for due in turn.due:
            await diary.starter.start(due)
        await diary.books.rest(2.0)
    row = await diary.books.campaign(schedule_id)
    assert (row.state, row.n_queued, row.n_skipped) == (CampaignState.QUEUED, 5, 0)


async def test_one_that_was_slept_through_before_anything_was_sent_is_not_sent_stale(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=SLICE)
    schedule_id = await diary.plan(max_lateness=30)
    await diary.books.rest(60.0)
    await diary.begin()
    await diary.books.rest(HOUR)
    assert (await diary.turn()).claims == []
    assert (await diary.books.campaign(schedule_id)).state == CampaignState.FAILED


# --- crashes ------------------------------------------------------------------------------------------------------


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
    assert await stored(diary) == min(max(0, number - 2), 3) * SLICE
    assert (await diary.books.turn()).claims == []
    assert await diary.due() == []
    await diary.books.rest(START_LEASE_SECONDS + 1.0)
    await diary.begin()
    await expect_whole(diary, schedule_id)
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
    await expect_whole(diary, schedule_id)
    thawed.set()
    await task
    await expect_whole(diary, schedule_id)


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
    await expect_whole(diary, schedule_id)


async def test_two_replicas_that_look_at_the_same_moment_begin_it_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    turns = await asyncio.gather(diary.turn(), diary.turn())
    handed = [due for turn in turns for due in turn.due]
    assert len(handed) == 1
    await asyncio.gather(*(diary.starter.start(due) for due in (*handed, *handed)))
    await expect_whole(diary, schedule_id)


async def test_what_a_former_process_was_about_to_begin_is_due_at_once_on_sqlite(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    later = await diary.plan(HOUR)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    assert len(await diary.due()) == 1
    await expire_starts(diary.db)
    assert [due.campaign_id for due in await diary.due()] == [schedule_id]
    assert (await diary.books.campaign(later)).alarm_at == (await diary.row(later)).scheduled_time


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
    assert await stored(diary) == 0
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
    assert await stored(diary) == 2 * SLICE  # it is to begin: whoever takes it over removes them
    await diary.books.steering.cancel(schedule_id, None)
    await sweep_abandoned(diary.db)
    assert await stored(diary) == 0


async def test_send_now_begins_at_once_and_only_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan(HOUR)
    told = await diary.service.send_now(OPEN_CALLER, schedule_id)
    assert (told["status"], told["task_id"]) == ("processing", schedule_id)
    with pytest.raises(WrongState, match="processing"):
        await diary.service.send_now(OPEN_CALLER, schedule_id)
    await diary.begin()
    await expect_whole(diary, schedule_id)
    await diary.books.rest(HOUR)
    assert await diary.due() == []


async def test_send_now_at_the_moment_in_which_it_was_handed_over_begins_it_once(open_diary: OpenDiary) -> None:
    diary = await open_diary()
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    (handed,) = await diary.due()
    await diary.service.send_now(OPEN_CALLER, schedule_id)
    await diary.starter.start(handed)  # it is not this one's any more
    assert await stored(diary) == 0
    await diary.begin()
    await expect_whole(diary, schedule_id)


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
    await expect_whole(diary, schedule_id)

"""A schedule whose senders are away begins as soon as one is back, and is never sent stale. On both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from campaigns.schedules.models import ScheduleStatus
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Result
from campaigns.sending.status import StatusReader
from campaigns.sending.tables import campaign_sender, server
from tests.campaigns.schedules.conftest import SLICE, Diary, OpenDiary, Step
from tests.harness.world import sender_number

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
HOUR = 3600.0


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
    await diary.expect_whole(later)


async def test_without_a_connected_sender_it_waits_and_begins_as_soon_as_there_is_one(open_diary: OpenDiary) -> None:
    diary = await open_diary(senders=2)
    await diary.connect(up=False)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    row = await diary.books.campaign(schedule_id)
    assert (row.state, await diary.stored()) == (CampaignState.SCHEDULED, 0)
    assert "no sender" in row.reason
    assert (await diary.row(schedule_id)).status == ScheduleStatus.PENDING
    status = await StatusReader(diary.db, diary.books.forecaster, lambda _engine: 0.0).of(row)
    [wait] = status["waiting"]
    assert (wait["reason"], wait["message"], wait["until"]) == ("session_not_connected", row.reason, None)
    await diary.connect(up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
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
    assert (row.state, await diary.stored()) == (CampaignState.SCHEDULED, 0)
    assert row.reason == "none of its senders is connected: it begins as soon as one is"
    await diary.books.fall(1, up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
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
    assert await diary.stored() == 0


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
    assert (row.state, await diary.stored()) == (CampaignState.SCHEDULED, 0)
    assert row.reason == "the WAHA servers of its senders do not answer: it begins as soon as one does"
    await serve(diary, up=True)
    await diary.books.rest(5.0)
    await diary.begin()
    await diary.expect_whole(schedule_id)
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

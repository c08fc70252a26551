"""Whom a schedule could not write to when it began is told: once, in order, whatever crashes. On both databases."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from campaigns.audience.optouts.models import Source
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.optouts.storing import Change, opt_out
from campaigns.schedules import filling, skips
from campaigns.schedules.skips import tell_the_rest, tell_what_was_left
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import read_now
from tests.campaigns.schedules.conftest import Diary, OpenDiary, Step
from tests.campaigns.sending.test_alarms import iso
from tests.gateway.notifications.conftest import listen, told
from tests.harness.world import recipient_numbers, sender_number

pytestmark = pytest.mark.virtual_time

Install = Callable[[Diary, Step], None]
AT_ONCE = 4
WRITES_BEFORE = 5
"""Decide, three slices, let it begin: what comes then tells of the rest."""


@pytest.fixture(autouse=True)
def told_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four are told at once."""
    monkeypatch.setattr(skips, "TOLD_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(filling, "TOLD_AT_ONCE", AT_ONCE)


async def failed(diary: Diary) -> list[dict[str, Any]]:
    """What was told of messages that failed, in order."""
    return [orjson.loads(row.data) for row in await told(diary.db) if row.kind == "message.failed"]


async def half_skipped(open_diary: OpenDiary) -> tuple[Diary, str, list[str]]:
    """A schedule whose time has come, for 35 people of whom ten lack what its text needs; their numbers."""
    diary = await open_diary(members=10, content="Your code is {{code}}")
    await diary.join(recipient_numbers(35)[10:], code=7)
    await listen(diary.db)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    return diary, schedule_id, [f"+{number}" for number in recipient_numbers(10)]


async def expect_told(diary: Diary, schedule_id: str, numbers: list[str]) -> None:
    """Each of these is told of once, in order, and nothing is left to tell."""
    events = await failed(diary)
    assert [one["recipient"] for one in events] == numbers
    assert {(one["error_code"], one["error"]) for one in events} == {("missing_variable", "no value for code")}
    messages = {f"+{one.phone}": one.id for one in await diary.books.messages(schedule_id)}
    assert [one["id"] for one in events] == [messages[number] for number in numbers]
    assert (await diary.row(schedule_id)).untold_from is None


async def test_all_are_told_in_slices_the_first_of_them_as_it_begins(
    open_diary: OpenDiary, before_each_write: Install
) -> None:
    diary, schedule_id, numbers = await half_skipped(open_diary)
    seen: list[int] = []

    async def step(count: int) -> None:
        seen.append(len(await failed(diary)))

    (due,) = await diary.due()
    before_each_write(diary, step)
    await diary.starter.start(due)
    assert seen == [0] * WRITES_BEFORE + [4, 8]
    await expect_told(diary, schedule_id, numbers)
    first = (await failed(diary))[0]
    assert first["recipient_id"] is not None
    assert first["sender_number"] == f"+{sender_number(0)}"


@pytest.mark.parametrize("number", [WRITES_BEFORE, WRITES_BEFORE + 1, WRITES_BEFORE + 2])
async def test_what_a_process_that_died_had_still_to_tell_is_told_by_another(
    open_diary: OpenDiary, before_each_write: Install, unwatched: Callable[[Diary], None], number: int
) -> None:
    diary, schedule_id, numbers = await half_skipped(open_diary)
    await diary.die_at(number, before_each_write)
    unwatched(diary)
    before = len(await failed(diary))
    assert before == {WRITES_BEFORE: 0, WRITES_BEFORE + 1: 4, WRITES_BEFORE + 2: 8}[number]
    await diary.books.rest(60.0)
    await diary.begin()  # where it had not begun
    await tell_what_was_left(diary.db)
    await expect_told(diary, schedule_id, numbers)


async def test_two_that_tell_at_the_same_time_tell_once(open_diary: OpenDiary, before_each_write: Install) -> None:
    diary, schedule_id, numbers = await half_skipped(open_diary)

    async def step(count: int) -> None:
        if count == WRITES_BEFORE + 1:
            await asyncio.gather(*(tell_the_rest(diary.db, schedule_id) for _ in range(3)))

    before_each_write(diary, step)
    await diary.begin()
    await expect_told(diary, schedule_id, numbers)


async def test_where_nobody_can_be_written_to_all_are_told_before_the_end(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=3, content="Your code is {{code}}")
    await listen(diary.db)
    await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    kinds = [(row.kind, orjson.loads(row.data).get("recipient")) for row in await told(diary.db)]
    people = [("message.failed", f"+{number}") for number in recipient_numbers(3)]
    assert kinds[1:] == [*people, ("message.failed", None), ("message.completed", None)]


async def test_where_nobody_listens_nothing_is_written_and_nothing_left(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=10, content="Your code is {{code}}")
    await diary.join(["447700900999"], code=7)
    schedule_id = await diary.plan()
    await diary.books.rest(60.0)
    await diary.begin()
    assert await told(diary.db) == []
    assert (await diary.row(schedule_id)).untold_from is None


async def test_who_is_skipped_later_is_told_then_and_nobody_twice(
    open_diary: OpenDiary, before_each_write: Install, unwatched: Callable[[Diary], None]
) -> None:
    """Somebody opts out after it has begun, and before those who were skipped at first are all told."""
    diary, _, numbers = await half_skipped(open_diary)
    await diary.die_at(WRITES_BEFORE + 1, before_each_write)
    unwatched(diary)
    await diary.books.rest(1.0)
    late = recipient_numbers(11)[-1]
    async with diary.db.write() as tx:
        change = Change(late, Source.API, "somebody", "asked on the phone")
        await opt_out(tx, Stops(diary.clock), LOCAL_ACCOUNT, [change], await read_now(tx))
    await diary.books.turn()
    await tell_what_was_left(diary.db)
    events = await failed(diary)
    assert [one["recipient"] for one in events] == [*numbers[:AT_ONCE], f"+{late}", *numbers[AT_ONCE:]]
    assert events[AT_ONCE]["error_code"] == "opted_out"


async def test_what_expires_is_told_before_the_end(open_diary: OpenDiary) -> None:
    diary = await open_diary(members=3)
    await listen(diary.db)
    campaign_id = await diary.books.submit(3, expires_at=iso(diary.clock, 60.0), start_at=iso(diary.clock, 30.0))
    await diary.books.rest(61.0)
    await diary.books.turn()
    rows = await told(diary.db)
    assert [row.kind for row in rows] == ["message.failed"] * 3 + ["message.completed"]
    assert {orjson.loads(row.data).get("error_code") for row in rows[:3]} == {"expired"}
    assert {row.campaign_id for row in rows} == {campaign_id}

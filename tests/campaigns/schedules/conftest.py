"""Schedules on the queue alone, on both databases: a template, a group, and a replica's starter."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.schedules import starting
from campaigns.schedules.following import schedule
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.schemas import ScheduleIn
from campaigns.schedules.service import ScheduleService
from campaigns.schedules.starting import ScheduleStarter
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Due, QueueSettings, Turn, TurnRequest
from campaigns.sending.queue import take_turn
from campaigns.sending.tables import message, session
from campaigns.templates.service import TemplateService
from campaigns.uses import Uses
from gateway.auth.access import PhoneReader
from gateway.db import AnyRow
from gateway.ids import make_id, make_ids
from gateway.settings import PhoneSettings
from sessions.models import SessionState
from tests.harness.books import Books
from tests.harness.world import OPEN_CALLER, recipient_numbers

SLICE = 10
Step = Callable[[int], Awaitable[None]]


async def _nobody(_connection: AsyncConnection, _row_id: str) -> Uses:
    return Uses()


class Diary:
    """Books with schedules in them: time passes only in `rest`, and a replica does one thing at a time."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.db = books.db
        self.clock = books.clock
        self.service = ScheduleService(books.db, books.bus, PhoneReader(PhoneSettings()), max_lateness=3600.0)
        self.starter = ScheduleStarter(books.db, books.bus, max_recipients=1000)
        self.templates = TemplateService(books.db, _nobody)
        self.template_id = ""
        self.group_id = ""

    async def open(self, senders: int, members: int, content: str) -> None:
        """Connect senders, save the text, and fill the group."""
        await self.books.open(senders)
        saved = await self.templates.create(OPEN_CALLER, "Welcome", content)
        self.template_id, now = saved["id"], self.clock.now()
        self.group_id = make_id(now)
        times = {"created_at": now, "updated_at": now}
        async with self.db.write() as tx:
            await tx.execute(
                insert(recipient_group).values(
                    id=self.group_id, account_id="local", name="Customers", folded_name="customers", **times
                )
            )
        await self.join(recipient_numbers(members))

    async def join(self, phones: Sequence[str], **variables: Any) -> list[str]:
        """Have these numbers be members, each called after its last three digits; their ids."""
        await self.books.rest(0.01)  # ids carry milliseconds: who joins later comes later
        now = self.clock.now()
        ids = make_ids(now, len(phones))
        people = [
            {
                "id": one,
                "account_id": "local",
                "name": f"P{phone[-3:]}",
                "phone": phone,
                "grade": "valid",
                "search_text": "",
                "variables": orjson.dumps(variables).decode(),
                "created_at": now,
                "updated_at": now,
            }
            for one, phone in zip(ids, phones, strict=True)
        ]
        if people:
            async with self.db.write(bulk=True) as tx:
                await tx.execute(insert(recipient), people)
                members = [{"group_id": self.group_id, "recipient_id": one} for one in ids]
                await tx.execute(insert(group_member), members)
        return ids

    async def plan(self, after: float = 60.0, **fields: Any) -> str:
        """Schedule the text for the group; the schedule's id."""
        body = ScheduleIn.model_validate(
            {
                "message_id": self.template_id,
                "group_id": self.group_id,
                "scheduled_time": datetime.fromtimestamp(self.clock.now() + after, UTC),
                **fields,
            }
        )
        return str((await self.service.create(OPEN_CALLER, body))["id"])

    async def turn(self, *, by: QueueSettings | None = None, starts: int = 6) -> Turn:
        """One turn of a replica that has room for so many starts; what is due is in the turn."""
        async with self.db.write() as tx:
            return await take_turn(tx, by or self.books.replica, TurnRequest(starts=starts), self.clock)

    async def due(self) -> list[Due]:
        """What a turn hands over now."""
        return (await self.turn()).due

    async def begin(self) -> None:
        """Take a turn, and begin what it hands over."""
        for due in await self.due():
            await self.starter.start(due)

    async def row(self, schedule_id: str) -> AnyRow:
        """A schedule's row."""
        async with self.db.read() as connection:
            return (await connection.execute(select(schedule).where(schedule.c.campaign_id == schedule_id))).one()

    async def stored(self) -> int:
        """How many messages there are in the table."""
        async with self.db.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(message))).scalar_one())

    async def expect_whole(self, schedule_id: str, members: int = 35) -> None:
        """It has begun, with one message for each member, and the counters say so."""
        row = await self.books.campaign(schedule_id)
        assert (row.state, row.total, row.n_queued) == (CampaignState.QUEUED, members, members)
        assert sorted(one.phone for one in await self.books.messages(schedule_id)) == recipient_numbers(members)
        assert [one.seq for one in await self.books.messages(schedule_id)] == list(range(members))
        assert await self.stored() == members
        assert (await self.row(schedule_id)).status == ScheduleStatus.PROCESSING
        assert not (await self.row(schedule_id)).filling
        await self.books.check()

    async def connect(self, *, up: bool) -> None:
        """Every session is connected, or none is."""
        state = SessionState.CONNECTED if up else SessionState.FAILED
        async with self.db.write() as tx:
            await tx.execute(update(session).values(state=state))

    async def die_at(self, number: int, install: Callable[["Diary", Step], None]) -> None:
        """Begin what is due in a process that ends before its write of this number."""
        here, never = asyncio.Event(), asyncio.Event()

        async def step(count: int) -> None:
            if count == number:
                here.set()
                await never.wait()

        (due,) = await self.due()
        install(self, step)
        task = asyncio.create_task(self.starter.start(due))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


OpenDiary = Callable[..., Awaitable[Diary]]


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten recipients are a slice."""
    monkeypatch.setattr(starting, "SLICE", SLICE)


@pytest.fixture
async def open_diary(database_url: str) -> AsyncIterator[OpenDiary]:
    """Open a `Diary` with so many senders and members, and a text."""
    books = Books(database_url)

    async def make(senders: int = 1, members: int = 35, content: str = "hello") -> Diary:
        diary = Diary(books)
        await diary.open(senders, members, content)
        return diary

    yield make
    await books.db.close()


@pytest.fixture
def before_each_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Diary, Step], None]:
    """Have a step taken before each transaction that writes, with its number (from 1)."""

    def install(diary: Diary, step: Step) -> None:
        write, count = type(diary.db).write, 0

        @asynccontextmanager
        async def watched(*, bulk: bool = False) -> AsyncIterator[AsyncConnection]:
            nonlocal count
            count += 1
            await step(count)
            async with write(diary.db, bulk=bulk) as tx:
                yield tx

        monkeypatch.setattr(diary.db, "write", watched)

    return install


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> Callable[[Diary], None]:
    """Take the step before each write away again: the process that died is followed by another."""

    def undo(diary: Diary) -> None:
        monkeypatch.setattr(diary.db, "write", type(diary.db).write.__get__(diary.db))

    return undo

"""Beginning schedules: their recipients are read and their messages stored, once, whatever crashes.

The dispatcher hands over what is due (`alarms.hand_over`), with a lease: a time in the campaign's row, at which it is
due again for whoever comes first. Each transaction here moves that time on, and only if it stands there as this replica
has left it; so whoever was believed to be dead, or whose schedule was cancelled, stores nothing more.

The messages are stored some at a time, as those of a request are, while the campaign is still scheduled and has none as
far as anybody can see. The last transaction stores the rest and lets it begin. What is found of an earlier try is
removed first, and read anew. A `kill -9` at any moment leaves a lease that runs out.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts.queries import opted_out_among
from campaigns.schedules import start_queries as queries
from campaigns.schedules.decisions import NOBODY, Begin, Decision, Fail, View, Wait, decide
from campaigns.schedules.filling import Filling, reason_of_none
from campaigns.schedules.launch import Start, TakenAway, content, fail, first_skipped, queue, read
from campaigns.schedules.local_time import LocalTimes, in_order, last_anywhere, read_wall
from campaigns.schedules.reading import InOrder, InTurn, People
from campaigns.schedules.skips import tell_the_rest
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Due
from campaigns.sending.queries import insert_messages
from gateway.db import AnyRow, Database, read_now
from gateway.errors import InsufficientBalance
from gateway.events import EventBus, StartEnded, WorkAdded

log = structlog.get_logger()

SLICE = 500
"""So many recipients are read, rendered and stored at once: the writer is held for some 10 ms."""
AT_ONCE = 6
"""So many schedules are begun at the same time; what else is due waits where it is, in the database."""


class ScheduleStarter:
    """Begins the schedules that are handed to this replica."""

    def __init__(self, db: Database, bus: EventBus, *, max_recipients: int) -> None:
        self._db = db
        self._bus = bus
        self._max_recipients = max_recipients
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> int:
        """How many more may be begun now."""
        return max(0, AT_ONCE - len(self._tasks))

    def begin(self, handed: Sequence[Due]) -> None:
        """Begin these, which are this replica's, on the running event loop."""
        for due in handed:
            task = asyncio.create_task(self._begin(due), name=f"start {due.campaign_id}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._bus.publish(StartEnded())

    async def stop(self) -> None:
        """Leave what is under way: its lease runs out, and whoever takes it over begins anew."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _begin(self, due: Due) -> None:
        try:
            await self.start(due)
        except (SQLAlchemyError, OSError) as error:  # the lease runs out, and it is begun anew
            log.error("start_failed", campaign_id=due.campaign_id, error=str(error))
        except Exception:  # a bug; it is tried until it is too late, and then it has failed
            log.exception("start_failed", campaign_id=due.campaign_id)

    async def start(self, due: Due) -> None:
        """Begin one: it is queued, or has failed, or waits for a sender; or somebody else does that."""
        try:
            if (start := await self._decide(due)) is not None:
                await self._remove_earlier(start)
                await self._fill(start)
        except TakenAway:
            await sweep(self._db, due.campaign_id)

    async def _decide(self, due: Due) -> Start | None:
        """Look whether it can begin; None if that is all there is to do."""
        async with self._db.write() as tx:
            now = await read_now(tx)
            due = await _renewed(tx, due, now)
            row = await queries.read_due(tx, due.campaign_id)
            senders, able, unreachable = await _senders(tx, row)
            count = await queries.count_members(tx, row.group_id)
            decision = decide(self._view(row, now, able, unreachable, count))
            if isinstance(decision, Begin):
                await queries.change(
                    tx,
                    due.campaign_id,
                    filling=True,
                    recipient_count=count,
                    processing_at=row.processing_at or now,
                )
                await queries.move(tx, due, reason="")  # it waits for nobody any more
            elif isinstance(decision, Wait):
                await queries.move(tx, due, alarm_at=decision.until, reason=decision.reason)
        if isinstance(decision, Begin):
            return Start(due, row, senders, now)
        await self._end_without(due, decision, has_messages=row.filling)
        return None

    def _view(self, row: AnyRow, now: float, able: int, unreachable: int, count: int) -> View:
        wall = _wall_of(row)
        return View(
            now=now,
            starts_at=row.starts_at if wall is None else last_anywhere(wall),
            max_lateness=row.max_lateness,
            expires_at=row.expires_at,
            has_content=row.content is not None and row.group_id is not None,
            recipients=count,
            most_recipients=self._max_recipients,
            able=able,
            unreachable=unreachable,
            named=not row.any_sender,
            waited=row.reason != "",
        )

    async def _end_without(self, due: Due, decision: Decision, *, has_messages: bool) -> None:
        """Nothing of it is sent; what an earlier try has stored is removed when it has failed for all to see."""
        if not isinstance(decision, Fail):
            return
        async with self._db.write() as tx:
            await fail(tx, due, decision.reason, await read_now(tx), told={"filling": has_messages})
        log.warning("schedule_failed", campaign_id=due.campaign_id, reason=decision.reason)
        if has_messages:
            await sweep(self._db, due.campaign_id)

    async def _remove_earlier(self, start: Start) -> None:
        """Remove what an earlier try has stored."""
        removed = SLICE if start.row.filling else 0
        while removed == SLICE:
            async with self._db.write(bulk=True) as tx:
                start.due = await _renewed(tx, start.due, await read_now(tx))
                removed = await queries.delete_messages(tx, start.due.campaign_id, SLICE)

    async def _fill(self, start: Start) -> None:
        """Store its messages, a slice at a time, and let it begin with the last one."""
        times = _times_of(start)
        filling = Filling.of(start.due.campaign_id, start.now, start.row.content, times)
        people: People = InTurn(self._db, start.row.group_id, SLICE)
        if times is not None:
            ids = await self._in_order(start, people, times)
            people = InOrder(self._db, start.row.group_id, ids, SLICE)
        while True:
            members = await people.read()
            opted_out = await opted_out_among(self._db, [start.row.account_id], [row.phone for row in members])
            messages = await asyncio.to_thread(filling.add, members, opted_out)
            if not people.more:
                break
            async with self._db.write(bulk=True) as tx:
                start.due = await _renewed(tx, start.due, await read_now(tx))
                if messages:
                    await insert_messages(tx, messages)
        try:
            await self._let_it_begin(start, filling, messages)
        except InsufficientBalance as error:
            await self._end_without(start.due, Fail(error.detail), has_messages=True)

    async def _in_order(self, start: Start, people: People, times: LocalTimes) -> list[str]:
        """The ids of the members: whose time comes first is first."""
        found: list[tuple[float, str]] = []
        while people.more:
            members = await people.read()
            numbers = [row.phone for row in members]
            moments = await asyncio.to_thread(in_order, numbers, times.wall, times.own_zone)
            found += [(moment, members[place].id) for moment, place in moments]
            async with self._db.write() as tx:
                start.due = await _renewed(tx, start.due, await read_now(tx))
        return [member_id for _, member_id in sorted(found)]

    async def _let_it_begin(self, start: Start, filling: Filling, messages: list[dict[str, Any]]) -> None:
        """Store the last messages, and have the lanes look at it: from here on it is a campaign like any other."""
        nobody = filling.count == filling.skipped
        async with self._db.write(bulk=True) as tx:
            now = await read_now(tx)
            if messages:
                await insert_messages(tx, messages)
            if filling.count == 0:
                await fail(tx, start.due, NOBODY, now, told=read(start, filling))
            elif nobody:
                reason = reason_of_none(filling)
                skipped = first_skipped(filling)
                await fail(
                    tx, start.due, reason, now, told=read(start, filling), skipped=skipped, **content(start, filling)
                )
            else:
                await queue(tx, start, filling, now)
        log.info("schedule_begun", campaign_id=start.due.campaign_id, messages=filling.count, skipped=filling.skipped)
        if not nobody:
            self._bus.publish(WorkAdded())
        if filling.untold_from is not None:
            await tell_the_rest(self._db, start.due.campaign_id)


def _wall_of(row: AnyRow) -> datetime | None:
    """What the recipients' clocks show when they are written to; None where they do not count."""
    return None if row.at_once else read_wall(row.local_wall)


def _times_of(start: Start) -> LocalTimes | None:
    wall = _wall_of(start.row)
    return None if wall is None else LocalTimes(wall, start.row.timezone, start.now, start.row.max_lateness)


async def _senders(tx: AsyncConnection, row: AnyRow) -> tuple[list[int], int, int]:
    """Who takes part, how many of them can begin, and how many could if their servers answered.

    All that were named can where it is sent now.
    """
    if row.any_sender:
        senders = await queries.connected_senders(tx, row.account_id)
    else:
        senders = await queries.named_senders(tx, row.campaign_id)
    if row.at_once and not row.any_sender:
        return senders, len(senders), 0
    return senders, *await queries.count_able(tx, senders)


async def _renewed(tx: AsyncConnection, due: Due, now: float) -> Due:
    """The lease for some more time; raises `TakenAway`."""
    renewed = await queries.renew(tx, due, now)
    if renewed is None:
        raise TakenAway
    return renewed


async def sweep(db: Database, campaign_id: str) -> None:
    """Remove what was stored of a schedule that ended before it began; one that is still to begin is left alone."""
    removed = SLICE
    while removed == SLICE:
        async with db.write(bulk=True) as tx:
            state = await queries.lock_state(tx, campaign_id)
            if state is None or state == CampaignState.SCHEDULED:
                return
            removed = await queries.delete_messages(tx, campaign_id, SLICE)
            if removed < SLICE:
                await queries.change(tx, campaign_id, filling=False)


async def sweep_abandoned(db: Database) -> None:
    """As `sweep`, for those of which a process has died in the middle."""
    async with db.read() as connection:
        campaign_ids = await queries.abandoned(connection)
    for campaign_id in campaign_ids:
        await sweep(db, campaign_id)
        log.info("abandoned_start_removed", campaign_id=campaign_id)


async def expire_starts(db: Database) -> None:
    """At start on SQLite, where nobody else can hold a lease: what a former process was about to begin is due now."""
    async with db.write() as tx:
        await queries.end_leases(tx, await read_now(tx))

"""Schedules: made, looked at, and moved by compare-and-set under the lock of their row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.group_queries import count_members
from campaigns.schedules import queries, start_queries
from campaigns.schedules.answers import created_out, details_out, person, schedule_out, waiting_person
from campaigns.schedules.following import follow
from campaigns.schedules.going_on import end_series_of
from campaigns.schedules.listing import Filters
from campaigns.schedules.making import campaign_values, schedule_values
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.planning import plan_of
from campaigns.schedules.schemas import (
    ScheduleArchived,
    ScheduleCancelled,
    ScheduleDetails,
    ScheduleIn,
    ScheduleOut,
    ScheduleStarted,
)
from campaigns.schedules.series_queries import insert_series
from campaigns.sending.counting import close_campaign
from campaigns.sending.models import CampaignState
from campaigns.sending.submitting import remove_messages
from campaigns.sending.telling import tell_of_schedule
from campaigns.sending.usual_hours import find_usual_hours
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.errors import FieldError, NotFound, SchedulingConflict, SessionNotConnected, WrongState
from gateway.events import CampaignHalted, EventBus, WorkAdded
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id
from sessions.ownership import hold_senders, require_senders
from sessions.queries import ensure_sender
from sessions.schemas import in_utc

log = structlog.get_logger()

_S = ScheduleStatus


@dataclass(frozen=True, slots=True)
class Part:
    """Which of a schedule's people to show."""

    offset: int
    limit: int


class ScheduleService:
    """An account's schedules. `max_lateness` (seconds) is that of schedules that name none."""

    def __init__(self, db: Database, bus: EventBus, phones: PhoneReader, *, max_lateness: float) -> None:
        self._db = db
        self._bus = bus
        self._phones = phones
        self._max_lateness = max_lateness

    async def create(self, caller: Caller, body: ScheduleIn, key: Key | None = None) -> dict[str, Any]:
        """Make a schedule, and give the answer, a `ScheduleCreated` as JSON; it is kept under the idempotency key.

        Raises:
            NotFound: the template, the group or a sender is not there for the caller.
            ValidationFailed: a field is wrong, its time is over, or is not one that its rule gives.
            SchedulingConflict: the same message goes to the same group in the same minute.
        """
        numbers = self._numbers(body)
        await require_senders(self._db, caller, numbers)
        async with self._db.write() as tx:
            await claim(tx, key)
            now = round(await read_now(tx), 6)  # what is shown, in microseconds, finds it again in a filter
            template, group = await _find_parts(tx, caller, body)
            plan = plan_of(body, now, await find_usual_hours(tx, template.account_id))
            values = campaign_values(body, plan.hours, template, numbers, now)
            schedule_id = values["id"]
            await queries.insert_campaign(tx, values)
            lateness = self._max_lateness if body.max_lateness is None else body.max_lateness
            made = schedule_values(values, plan, template, group, created_by=caller.name, max_lateness=lateness)
            if not await queries.insert_schedule(tx, made):
                raise _conflict()
            if numbers:
                sender_ids = [await ensure_sender(tx, number, template.account_id, now) for number in numbers]
                if caller.whole_account is not None:
                    await hold_senders(tx, caller.whole_account, sender_ids)
                await start_queries.put_senders(tx, schedule_id, sender_ids, are_open=False)
            if plan.series is not None:
                await insert_series(tx, make_id(now), template.account_id, plan.series, schedule_id, now)
            row = await self._locked(tx, caller, schedule_id)
            count = (await count_members(tx, [group.id]))[group.id]
            answer = created_out(row, numbers, count).model_dump(mode="json")
            await tell_of_schedule(tx, schedule_id, answer)
            await keep(tx, key, answer)
        log.info("schedule_created", schedule_id=schedule_id)
        self._bus.publish(WorkAdded())  # it may be the next thing to wait for
        return answer

    async def page(
        self, filters: Filters, *, descending: bool, offset: int, limit: int
    ) -> tuple[list[ScheduleOut], int]:
        """Some schedules by their time, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_schedules(
                connection, filters, descending=descending, offset=offset, limit=limit
            )
            waiting = {row.group_id for row in rows if _still_counts(row)}
            counts = await count_members(connection, sorted(waiting)) if waiting else {}
        return [schedule_out(row, _count(row, counts)) for row in rows], total

    async def get(self, caller: Caller, schedule_id: str, part: Part) -> ScheduleDetails:
        """One schedule with some of its people; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_schedule(connection, schedule_id, caller.account_scope)
            if row is None:
                raise _not_found()
            counts = await count_members(connection, [row.group_id]) if _still_counts(row) else {}
            if row.total:
                found = await queries.written_to(connection, schedule_id, row.account_id, part.offset, part.limit)
                people = [person(one) for one in found]
            else:
                found = await queries.members(connection, row.group_id, part.offset, part.limit)
                people = [waiting_person(one) for one in found] if _still_counts(row) else []
            numbers = await queries.numbers_of(connection, schedule_id)
        return details_out(row, numbers, _count(row, counts), people)

    async def cancel(self, caller: Caller, schedule_id: str, *, series: bool = False) -> ScheduleCancelled:
        """Send nothing of it, ever; only one that is pending. Its series goes on, or ends with it (`series`).

        Raises:
            NotFound: there is none, or it is another's.
            WrongState: it is not pending.
        """
        by = caller.name
        async with self._db.write() as tx:
            row = await self._locked(tx, caller, schedule_id)
            _require(row, (_S.PENDING,), "cancelled")
            now = await read_now(tx)
            if series:
                await end_series_of(tx, schedule_id, now)
            await queries.update_schedule(tx, schedule_id, cancelled_at=now, cancelled_by=by)
            await close_campaign(tx, schedule_id, CampaignState.CANCELLED, now, reason="cancelled on request")
        self._bus.publish(CampaignHalted(schedule_id))
        self._bus.publish(WorkAdded())  # the next of its series may be what to wait for
        return ScheduleCancelled(id=row.campaign_id, status=_S.CANCELLED, cancelled_at=in_utc(now), cancelled_by=by)

    async def send_now(self, caller: Caller, schedule_id: str, key: Key | None = None) -> dict[str, Any]:
        """Begin one that is pending at once, and give the answer, a `ScheduleStarted` as JSON.

        Raises:
            NotFound: there is none, or it is another's.
            WrongState: it is not pending.
            SessionNotConnected: nobody was named to send it, and the account has nobody who could.
        """
        async with self._db.write() as tx:
            await claim(tx, key)
            row = await self._locked(tx, caller, schedule_id)
            _require(row, (_S.PENDING,), "sent now")
            if row.any_sender and not await start_queries.connected_senders(tx, row.account_id):
                raise SessionNotConnected("no sender of the account is connected; nothing was changed")
            now = await read_now(tx)
            await queries.start_now(tx, schedule_id, now)
            await queries.update_schedule(tx, schedule_id, processing_at=now, at_once=True)
            await follow(tx, [schedule_id])
            told = ScheduleStarted(
                id=row.campaign_id,
                status=_S.PROCESSING,
                task_id=row.campaign_id,
                processing_started_at=in_utc(now),
            )
            answer = told.model_dump(mode="json")
            await keep(tx, key, answer)
        self._bus.publish(WorkAdded())
        return answer

    async def archive(self, caller: Caller, schedule_id: str) -> ScheduleArchived:
        """Put one aside that was sent or cancelled; raises `NotFound` and `WrongState`."""
        async with self._db.write() as tx:
            row = await self._locked(tx, caller, schedule_id)
            _require(row, (_S.SENT, _S.CANCELLED), "archived")
            now = await read_now(tx)
            await queries.update_schedule(tx, schedule_id, archived_at=now)
            await follow(tx, [schedule_id])
        return ScheduleArchived(id=row.campaign_id, status=_S.ARCHIVED, archived_at=in_utc(now))

    async def delete(self, caller: Caller, schedule_id: str) -> None:
        """Remove one that was cancelled or has failed, with its campaign.

        Raises:
            NotFound: there is none, or it is another's.
            WrongState: it is neither, or the last of its messages are still under way.
        """
        async with self._db.write() as tx:
            row = await self._locked(tx, caller, schedule_id)
            _require(row, (_S.CANCELLED, _S.FAILED), "deleted")
            if row.n_queued or row.n_sending or await queries.is_under_way(tx, schedule_id):
                raise WrongState("the last of its messages are still under way; try again in a moment")
            await queries.delete_schedule(tx, schedule_id)
        await remove_messages(self._db, schedule_id)

    async def _locked(self, tx: AsyncConnection, caller: Caller, schedule_id: str) -> AnyRow:
        row = await queries.lock_schedule(tx, schedule_id, caller.account_scope)
        if row is None:
            raise _not_found()
        return row

    def _numbers(self, body: ScheduleIn) -> list[str]:
        """The digits of the senders that a request names, each once."""
        given = [] if body.sender_number is None else [self._phones.digits(body.sender_number, "sender_number")]
        given += [
            self._phones.digits(text, f"sender_numbers.{index}") for index, text in enumerate(body.sender_numbers)
        ]
        return list(dict.fromkeys(given))


async def _find_parts(tx: AsyncConnection, caller: Caller, body: ScheduleIn) -> tuple[AnyRow, AnyRow]:
    """The template and the group, both of one account; they stay at least as long as the transaction."""
    template = await queries.lock_template(tx, str(body.message_id), caller.account_scope)
    owner = caller.account_scope if template is None else template.account_id
    group = await queries.lock_group(tx, str(body.group_id), owner)
    if template is None or group is None:
        raise NotFound(
            "what is to be sent, or the group that it is to be sent to, is not there, or not yours",
            errors=[
                *([_unknown("message_id", "message template")] if template is None else []),
                *([_unknown("group_id", "group")] if group is None else []),
            ],
        )
    return template, group


def _still_counts(row: AnyRow) -> bool:
    """Whether the group's members are those that it is for: it has not begun."""
    return row.status == _S.PENDING or (row.status == _S.PROCESSING and not row.total)


def _count(row: AnyRow, counts: dict[str, int]) -> int:
    """For how many people a schedule is."""
    if _still_counts(row):
        return counts.get(row.group_id, 0)
    return int(row.total or row.recipient_count)


def _require(row: AnyRow, statuses: Sequence[ScheduleStatus], verb: str) -> None:
    if row.status not in statuses:
        wanted = " or ".join(statuses)
        raise WrongState(f"only a schedule that is {wanted} can be {verb}; this one is {row.status}")


def _conflict() -> SchedulingConflict:
    message = "this message goes to this group in the same minute already"
    return SchedulingConflict(message, errors=[FieldError("scheduled_time", message, "conflict")])


def _unknown(field: str, what: str) -> FieldError:
    return FieldError(field, f"there is no such {what}, or it is not yours", "unknown")


def _not_found() -> NotFound:
    return NotFound("there is no such schedule, or it is not yours")

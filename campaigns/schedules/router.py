"""Routes of schedules."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from campaigns.schedules.listing import Filters
from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.schemas import (
    RECIPIENTS_SHOWN,
    ScheduleArchived,
    ScheduleCancelled,
    ScheduleCreated,
    ScheduleDetails,
    ScheduleIn,
    ScheduleOut,
    ScheduleStarted,
)
from campaigns.schedules.service import Part, ScheduleService
from campaigns.sending.hours_schemas import Moment
from gateway.auth.access import Access, Caller
from gateway.http.pages import MAX_OFFSET, Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter

ScheduleId = Annotated[UUID, Path(description="The schedule's `id`, which is its `task_id` too")]


class SortOrder(StrEnum):
    """Which end comes first."""

    ASC = "asc"
    DESC = "desc"


def build_router(service: ScheduleService, access: Access, idempotency: Idempotency) -> APIRouter:
    """The routes under `/api/schedules`."""
    router = LateRouter(prefix="/api/schedules", tags=["schedules"])
    Who = Annotated[Caller, Depends(access.account)]  # noqa: N806 - a type
    Key = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    @router.post("", status_code=201, summary="Schedule a message")
    async def create(body: ScheduleIn, caller: Who, once: Key) -> ScheduleCreated:
        """Send a message template to a group at a time to come. Both are read when it begins, as they are then.

        404 if template or group are not there, 409 `SCHEDULING_CONFLICT` if the same message goes to the same group in
        the same minute, 422 if the time is over. A recipient for whom a variable is missing is left out and told.

        With `recurrence` it is the first of a series: each occurrence is a schedule of its own, and is made when the
        one before begins, fails or is cancelled. With `local_time` each recipient is written to by their own clock.
        """
        return ScheduleCreated.model_validate(await once.answer(caller, lambda key: service.create(caller, body, key)))

    @router.get("", summary="List schedules")
    async def list_schedules(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        status: Annotated[ScheduleStatus | None, Query(description="Only those of this status")] = None,
        from_date: Annotated[Moment | None, Query(description="Scheduled at or after")] = None,
        to_date: Annotated[Moment | None, Query(description="Scheduled before")] = None,
        message_id: Annotated[UUID | None, Query(description="Only those that send this message template")] = None,
        group_id: Annotated[UUID | None, Query(description="Only those that go to this group")] = None,
        sort_order: Annotated[SortOrder, Query(description="By scheduled_time: desc or asc")] = SortOrder.DESC,
    ) -> Page[ScheduleOut]:
        """The account's schedules by their time, the latest first unless told otherwise; an operator sees all."""
        filters = Filters(
            account_id=caller.account_scope,
            status=status,
            template_id=None if message_id is None else str(message_id),
            group_id=None if group_id is None else str(group_id),
            time_from=None if from_date is None else from_date.timestamp(),
            time_to=None if to_date is None else to_date.timestamp(),
        )
        descending = sort_order is SortOrder.DESC
        items, total = await service.page(filters, descending=descending, offset=page.offset, limit=page.limit)
        return make_page(items, total, page)

    @router.get("/{schedule_id}", summary="One schedule")
    async def get(
        schedule_id: ScheduleId,
        caller: Who,
        recipients_skip: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="People to step over")] = 0,
        recipients_limit: Annotated[
            int, Query(ge=1, le=RECIPIENTS_SHOWN, description="People to show")
        ] = RECIPIENTS_SHOWN,
    ) -> ScheduleDetails:
        """The schedule with its people: the group's members while it is pending, then what became of each."""
        return await service.get(caller, str(schedule_id), Part(recipients_skip, recipients_limit))

    @router.put("/{schedule_id}/cancel", summary="Cancel")
    async def cancel(
        schedule_id: ScheduleId,
        caller: Who,
        series: Annotated[bool, Query(description="Have nothing follow either, where it is one of a series")] = False,
    ) -> ScheduleCancelled:
        """Send nothing of it. 409 `WRONG_STATE` unless it is pending. A series goes on, unless `series=true` ends it.

        What is being sent is stopped by `POST /api/campaigns/{id}/cancel`.
        """
        return await service.cancel(caller, str(schedule_id), series=series)

    @router.post("/{schedule_id}/send-now", summary="Send now")
    async def send_now(schedule_id: ScheduleId, caller: Who, once: Key) -> ScheduleStarted:
        """Begin at once. 409 `WRONG_STATE` unless it is pending, `SESSION_NOT_CONNECTED` if nobody could send it.

        The recipients' clocks do not count then. A series goes on at its own times.
        """
        answer = await once.answer(caller, lambda key: service.send_now(caller, str(schedule_id), key))
        return ScheduleStarted.model_validate(answer)

    @router.put("/{schedule_id}/archive", summary="Archive")
    async def archive(schedule_id: ScheduleId, caller: Who) -> ScheduleArchived:
        """Put it aside; it can still be read. 409 `WRONG_STATE` unless it was sent or cancelled."""
        return await service.archive(caller, str(schedule_id))

    @router.delete("/{schedule_id}", status_code=204, summary="Delete")
    async def delete(schedule_id: ScheduleId, caller: Who) -> None:
        """Remove it with its campaign. 409 `WRONG_STATE` unless it was cancelled or has failed."""
        await service.delete(caller, str(schedule_id))

    return router

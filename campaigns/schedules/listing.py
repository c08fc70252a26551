"""Which schedules a list shows, and in which order: their ids, and how many there are in all.

Page and count are looked for in one index each, which has all that is asked for: so they take the same time whatever is
in the rows. To step over rows, and to count them, takes time for each of them; both are made short here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import recipient_group
from campaigns.schedules.following import schedule
from campaigns.templates.queries import template
from gateway.auth.owned import owned

_TIME = schedule.c.scheduled_time
ORDER = (_TIME, schedule.c.campaign_id)
_BACKWARDS = tuple(column.desc() for column in ORDER)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which schedules a list shows; None shows all. Times are epoch seconds: from the first one, before the second."""

    account_id: str | None = None
    status: str | None = None
    template_id: str | None = None
    group_id: str | None = None
    time_from: float | None = None
    time_to: float | None = None


async def find_page(
    connection: AsyncConnection, filters: Filters, *, descending: bool, offset: int, limit: int
) -> tuple[Sequence[str], int]:
    """The ids of a page, in the order of their times, and how many there are in all.

    A first page that is not full tells the count. Another one is stepped to from the nearer end.
    """
    if offset == 0:
        ids = await _ids(connection, filters, descending=descending, offset=0, limit=limit)
        return ids, len(ids) if len(ids) < limit else await _count(connection, filters)
    total = await _count(connection, filters)
    left = min(limit, total - offset)
    if left <= 0:
        return [], total
    behind = total - offset - left
    if offset <= behind:
        return await _ids(connection, filters, descending=descending, offset=offset, limit=left), total
    ids = await _ids(connection, filters, descending=not descending, offset=behind, limit=left)
    return ids[::-1], total


async def _ids(
    connection: AsyncConnection, filters: Filters, *, descending: bool, offset: int, limit: int
) -> Sequence[str]:
    query = select(schedule.c.campaign_id).where(*_asked(filters), *_within(filters))
    query = query.order_by(*(_BACKWARDS if descending else ORDER)).offset(offset).limit(limit)
    return (await connection.execute(query)).scalars().all()


async def _count(connection: AsyncConnection, filters: Filters) -> int:
    """How many a list has. Those of all times are counted in an index without times, which is small.

    So where the times that are asked for are most of all, those outside of them are subtracted: in one statement, which
    sees the table as it was at one moment.
    """
    everything = select(func.count()).select_from(schedule).where(*_asked(filters))
    if not await _is_most(connection, filters):
        return int((await connection.execute(everything.where(*_within(filters)))).scalar_one())
    counting: ColumnElement[Any] = everything.scalar_subquery()
    for times in _outside(filters):
        counting -= everything.where(times).scalar_subquery()
    return int((await connection.execute(select(counting))).scalar_one())


async def _is_most(connection: AsyncConnection, filters: Filters) -> bool:
    """Whether the times that are asked for are more than half of those from the first schedule to the last."""
    if filters.time_from is None and filters.time_to is None:
        return False
    ends = [select(_TIME).where(*_asked(filters)).order_by(*order).limit(1) for order in (ORDER, _BACKWARDS)]
    first, last = (await connection.execute(select(*(end.scalar_subquery() for end in ends)))).one()
    if first is None:
        return False
    begin = first if filters.time_from is None else max(first, filters.time_from)
    end = last if filters.time_to is None else min(last, filters.time_to)
    return bool(end - begin > (last - first) / 2)


def _asked(filters: Filters) -> list[ColumnElement[bool]]:
    """What is asked of a schedule, but for its time."""
    asked: list[ColumnElement[bool]] = []
    if filters.template_id is not None:
        asked.append(schedule.c.template_id == _mine(template, filters.template_id, filters.account_id))
    if filters.group_id is not None:
        asked.append(schedule.c.group_id == _mine(recipient_group, filters.group_id, filters.account_id))
    if not asked:
        asked.append(owned(schedule, filters.account_id))
    if filters.status is not None:
        asked.append(schedule.c.status == filters.status)
    return asked


def _mine(table: Table, row_id: str, account_id: str | None) -> ColumnElement[Any]:
    """The id itself if the row is the account's: whose a template or group is, theirs are its schedules."""
    return select(table.c.id).where(table.c.id == row_id, owned(table, account_id)).scalar_subquery()


def _within(filters: Filters) -> list[ColumnElement[bool]]:
    return [~times for times in _outside(filters)]


def _outside(filters: Filters) -> list[ColumnElement[bool]]:
    """The times that are not asked for: those before, and those after."""
    found: list[ColumnElement[bool]] = []
    if filters.time_from is not None:
        found.append(schedule.c.scheduled_time < filters.time_from)
    if filters.time_to is not None:
        found.append(schedule.c.scheduled_time >= filters.time_to)
    return found

"""Which schedules use a template or a group: asked before one is deleted, and for the counts that are shown with it.

Those that are still to be sent, or are being sent, stop its deletion. Those that have ended keep its name and text, and
lose only their reference to it.
"""

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules import queries
from campaigns.schedules.following import SENT_STATES, schedule
from campaigns.schedules.models import ScheduleStatus
from campaigns.uses import Uses

NAMED = 10
"""So many of its users a refusal names; the others are counted."""
_NEED_IT = (ScheduleStatus.PENDING, ScheduleStatus.PROCESSING)


async def uses_of_template(connection: AsyncConnection, template_id: str) -> Uses:
    """The schedules that send a template."""
    return await _uses(connection, schedule.c.template_id, template_id)


async def uses_of_group(connection: AsyncConnection, group_id: str) -> Uses:
    """The schedules that are sent to a group."""
    return await _uses(connection, schedule.c.group_id, group_id)


async def _uses(connection: AsyncConnection, column: ColumnElement[str], row_id: str) -> Uses:
    counts = await queries.count_by_status(connection, column, row_id)
    needed = sum(counts.get(status, 0) for status in _NEED_IT)
    ids = await queries.first_ids(connection, column, row_id, _NEED_IT, NAMED) if needed else ()
    sent = counts.get(ScheduleStatus.SENT, 0)
    if counts.get(ScheduleStatus.ARCHIVED):
        sent += await queries.count_archived_sent(connection, column, row_id, SENT_STATES)
    return Uses(
        users=tuple(f"schedule {schedule_id}" for schedule_id in ids), count=needed, scheduled=needed, sent=sent
    )

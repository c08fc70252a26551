"""A series goes on: what starts, fails or cancels a schedule stores the next occurrence in the same transaction.

Campaigns are locked before the series that they belong to, everywhere; so call it after the campaign was moved.
"""

from sqlalchemy import exists, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.group_queries import count_members
from campaigns.schedules import queries
from campaigns.schedules.answers import created_out
from campaigns.schedules.going_on import end_series_of, go_on
from campaigns.schedules.local_time import last_anywhere, read_wall
from campaigns.schedules.making import next_campaign, next_schedule
from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.series_queries import occurrence_table
from campaigns.sending.tables import campaign, campaign_sender
from campaigns.sending.telling import tell_of_schedule
from gateway.db import AnyRow
from gateway.errors import NotFound

REPEATS = exists(select(occurrence_table.c.schedule_id).where(occurrence_table.c.schedule_id == campaign.c.id)).label(
    "repeats"
)
"""A column for statements on campaigns: whether one is a schedule of a series."""


async def continue_series(tx: AsyncConnection, schedule_id: str, now: float, *, begun: bool = False) -> int:
    """Store the occurrence after a schedule, once; returns how many after it were missed, which its row tells too.

    Where this one has `begun` the next lies after `now`: of those that passed meanwhile one is sent and no more. Else
    the next one may be late as far as `max_lateness` allows. Does nothing for what is of no series.
    """
    before = await queries.find_schedule(tx, schedule_id, None)
    if before is None:
        return 0
    if before.template_id is None or before.group_id is None:  # nothing of it could be sent, ever
        await end_series_of(tx, schedule_id, now)
        return 0

    async def make(new_id: str, occurrence: Occurrence) -> bool:
        return await _store(tx, before, new_id, occurrence, now)

    missed = await go_on(tx, schedule_id, now, _allowed(before, begun=begun), make)
    if missed:
        await queries.update_schedule(tx, schedule_id, missed=missed)
    return missed


def _allowed(before: AnyRow, *, begun: bool) -> float:
    """How long ago the next one may have been (seconds): in local time, until the last clock on earth has shown it."""
    wall = read_wall(before.local_wall)
    slack = 0.0 if wall is None else last_anywhere(wall) - float(before.scheduled_time)
    return slack if begun else slack + float(before.max_lateness)


async def _store(tx: AsyncConnection, before: AnyRow, new_id: str, at: Occurrence, now: float) -> bool:
    """Store one like the schedule before; False where its minute is taken."""
    numbers = [] if before.any_sender else await queries.numbers_of(tx, before.campaign_id)
    await queries.insert_campaign(tx, next_campaign(before, at, numbers, new_id, now))
    if not await queries.insert_schedule(tx, next_schedule(before, at, new_id, now)):
        await queries.delete_schedule(tx, new_id)
        return False
    if numbers:
        await _copy_senders(tx, before.campaign_id, new_id)
    row = await queries.find_schedule(tx, new_id, None)
    if row is None:
        raise NotFound("the occurrence that was stored is not there")
    count = (await count_members(tx, [row.group_id])).get(row.group_id, 0)
    await tell_of_schedule(tx, new_id, created_out(row, numbers, count).model_dump(mode="json"))
    return True


async def _copy_senders(tx: AsyncConnection, before_id: str, new_id: str) -> None:
    """The senders that were named, whose lanes do not look at the new one yet."""
    named = campaign_sender.c
    new = (literal(new_id, named.campaign_id.type), named.sender_id, named.position, literal(False), literal(0.0))
    columns = [named.campaign_id, named.sender_id, named.position, named.open, named.served_at]
    await tx.execute(insert(campaign_sender).from_select(columns, select(*new).where(named.campaign_id == before_id)))

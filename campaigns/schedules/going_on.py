"""From one occurrence of a series to the next, in the transaction that starts, fails or cancels the one before."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.series import follow
from campaigns.schedules.series_queries import advance, end_series, forget_occurrence, members
from gateway.ids import make_id

log = structlog.get_logger()

Make: TypeAlias = Callable[[str, Occurrence], Awaitable[bool]]
"""Stores a schedule like the one before, under this id and for this occurrence, in the same transaction.

False where the same text goes to the same group in that minute already: then nothing is stored.
"""


async def go_on(tx: AsyncConnection, schedule_id: str, now: float, max_lateness: float, make: Make) -> int:
    """Make the occurrence after this schedule, once; the series ends where there is none. How many were missed.

    Those that lie more than `max_lateness` seconds before `now` are missed. One whose minute is taken is passed over:
    that text reaches that group then anyway. Does nothing for a schedule of no series, for one that has led to another
    already, and after the series was ended.
    """
    member = (await members(tx, [schedule_id])).get(schedule_id)
    if member is None or not member.is_last:
        return 0
    missed = 0
    while True:
        found = follow(member.series, now, max_lateness)
        missed += found.missed
        if found.occurrence is None:
            await end_series(tx, member.series_id, now)
            return missed
        new_id = make_id(now)
        if not await advance(tx, member, found.occurrence, new_id):  # somebody else has done so at this moment
            return 0
        if await make(new_id, found.occurrence):
            return missed
        await forget_occurrence(tx, new_id)
        log.info("occurrence_passed_over", series_id=member.series_id, number=found.occurrence.number)
        member = replace(member, number=found.occurrence.number, series=replace(member.series, last=found.occurrence))


async def end_series_of(tx: AsyncConnection, schedule_id: str, now: float) -> bool:
    """Have nothing follow in the series of this schedule; False if it is of none, or that is so already."""
    member = (await members(tx, [schedule_id])).get(schedule_id)
    return member is not None and await end_series(tx, member.series_id, now)

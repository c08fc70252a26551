"""SQL of series: beginning one, going on to the next occurrence, ending it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.rules import parse_rule
from campaigns.schedules.series import Series
from campaigns.schedules.series_models import ScheduleSeries, SeriesOccurrence
from gateway.batch import is_among, pack_values
from gateway.db import ID, table_of

series_table = table_of(ScheduleSeries)
occurrence_table = table_of(SeriesOccurrence)


@dataclass(frozen=True, slots=True)
class Member:
    """A schedule's place in its series: its number, how far the series has come, and when it ended (None: it goes on).

    Only the occurrence that was made last leads to another one.
    """

    series_id: str
    number: int
    series: Series
    ended_at: float | None

    @property
    def is_last(self) -> bool:
        """Whether the series has come as far as this one, and goes on."""
        return self.ended_at is None and self.number == self.series.last.number


_MEMBERS = (
    select(occurrence_table.c.schedule_id, occurrence_table.c.number, series_table)
    .join(series_table, series_table.c.id == occurrence_table.c.series_id)
    .where(is_among(occurrence_table.c.schedule_id, "schedules", ID))
)


async def members(connection: AsyncConnection, schedule_ids: Sequence[str]) -> dict[str, Member]:
    """The places of those schedules that belong to a series; scope them before."""
    rows = await connection.execute(_MEMBERS, {"schedules": pack_values(schedule_ids)})
    return {
        row.schedule_id: Member(
            series_id=row.id,
            number=row.number,
            series=Series(
                parse_rule(row.rule),
                row.timezone,
                Occurrence(row.last_number, datetime.fromisoformat(row.last_wall), row.last_at),
            ),
            ended_at=row.ended_at,
        )
        for row in rows
    }


async def insert_series(
    tx: AsyncConnection, series_id: str, account_id: str, series: Series, schedule_id: str, now: float
) -> None:
    """Store a series that begins, with the schedule that is its first occurrence."""
    await tx.execute(
        insert(series_table).values(
            id=series_id,
            account_id=account_id,
            rule=series.rule.text,
            timezone=series.zone,
            created_at=now,
            **_last(series.last),
        )
    )
    await _add_occurrence(tx, series_id, series.last.number, schedule_id)


async def advance(tx: AsyncConnection, member: Member, following: Occurrence, schedule_id: str) -> bool:
    """Go on to `following`, which is this schedule; False if somebody else has gone on, or ended the series."""
    moved = await tx.execute(
        update(series_table)
        .where(
            series_table.c.id == member.series_id,
            series_table.c.last_number == member.number,
            series_table.c.ended_at.is_(None),
        )
        .values(**_last(following))
    )
    if moved.rowcount != 1:
        return False
    await _add_occurrence(tx, member.series_id, following.number, schedule_id)
    return True


async def end_series(tx: AsyncConnection, series_id: str, now: float) -> bool:
    """Have nothing follow any more; False if that is so already."""
    ended = await tx.execute(
        update(series_table)
        .where(series_table.c.id == series_id, series_table.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return ended.rowcount == 1


async def forget_occurrence(tx: AsyncConnection, schedule_id: str) -> None:
    """A schedule is deleted; the series goes on without it."""
    await tx.execute(delete(occurrence_table).where(occurrence_table.c.schedule_id == schedule_id))


async def _add_occurrence(tx: AsyncConnection, series_id: str, number: int, schedule_id: str) -> None:
    await tx.execute(insert(occurrence_table).values(schedule_id=schedule_id, series_id=series_id, number=number))


def _last(one: Occurrence) -> dict[str, int | str | float]:
    return {"last_number": one.number, "last_wall": one.wall.isoformat(), "last_at": one.at}

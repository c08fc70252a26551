"""SQL of schedules. Each query is about what one account owns; None is everybody's.

A list finds its ids in one index, in the order of their times, and only then the rows of its page: so it takes the same
time whatever the filter, and whatever is in the rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.schedules.following import schedule
from campaigns.schedules.listing import ORDER, Filters, find_page
from campaigns.schedules.models import IS_PENDING, ScheduleStatus
from campaigns.schedules.series_queries import forget_occurrence, occurrence_table, series_table
from campaigns.sending.tables import campaign, campaign_sender, lane, message, sender
from campaigns.templates.queries import template
from gateway.auth.owned import owned
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow

_READ = schedule.c.content_read_at.is_not(None)
_COLUMNS = (
    *schedule.c,
    case((_READ, schedule.c.title), else_=func.coalesce(template.c.title, schedule.c.title)).label("title_now"),
    case((_READ, campaign.c.template), else_=func.coalesce(template.c.content, campaign.c.template)).label(
        "content_now"
    ),
    case((_READ, schedule.c.group_name), else_=func.coalesce(recipient_group.c.name, schedule.c.group_name)).label(
        "group_name_now"
    ),
    *(
        column
        for column in campaign.c
        if column.name not in ("id", "account_id", "created_at", "template") and column.name not in schedule.c
    ),
    occurrence_table.c.series_id,
    occurrence_table.c.number.label("occurrence"),
    series_table.c.rule.label("recurrence"),
    series_table.c.last_number,
    series_table.c.last_wall,
    series_table.c.last_at,
    series_table.c.ended_at.label("series_ended_at"),
)


def _schedules() -> Select[*tuple[Any, ...]]:
    """Schedules with their campaigns and series; template and group as they are shown: as read, or else as they are."""
    return (
        select(*_COLUMNS)
        .join(campaign, campaign.c.id == schedule.c.campaign_id)
        .outerjoin(template, template.c.id == schedule.c.template_id)
        .outerjoin(recipient_group, recipient_group.c.id == schedule.c.group_id)
        .outerjoin(occurrence_table, occurrence_table.c.schedule_id == schedule.c.campaign_id)
        .outerjoin(series_table, series_table.c.id == occurrence_table.c.series_id)
    )


async def list_schedules(
    connection: AsyncConnection, filters: Filters, *, descending: bool, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of schedules by their time, and how many there are."""
    ids, total = await find_page(connection, filters, descending=descending, offset=offset, limit=limit)
    query = _schedules().where(is_among(schedule.c.campaign_id, "ids", ID))
    rows = {row.campaign_id: row for row in await connection.execute(query, {"ids": pack_values(ids)})}
    return [rows[schedule_id] for schedule_id in ids], total


async def find_schedule(connection: AsyncConnection, schedule_id: str, account_id: str | None) -> AnyRow | None:
    """One schedule; None also where it is another's."""
    query = _schedules().where(schedule.c.campaign_id == schedule_id, owned(schedule, account_id))
    return (await connection.execute(query)).first()


async def lock_schedule(tx: AsyncConnection, schedule_id: str, account_id: str | None) -> AnyRow | None:
    """One schedule, which nobody else moves before the transaction ends. Campaigns are locked before schedules."""
    await tx.execute(select(campaign.c.id).where(campaign.c.id == schedule_id).with_for_update())
    return await find_schedule(tx, schedule_id, account_id)


async def lock_template(tx: AsyncConnection, template_id: str, account_id: str | None) -> AnyRow | None:
    """A template, which stays at least as long as the transaction."""
    query = select(template).where(template.c.id == template_id, owned(template, account_id))
    return (await tx.execute(query.with_for_update(read=True, key_share=True))).first()


async def lock_group(tx: AsyncConnection, group_id: str, account_id: str | None) -> AnyRow | None:
    """A group, which stays at least as long as the transaction."""
    query = select(recipient_group).where(recipient_group.c.id == group_id, owned(recipient_group, account_id))
    return (await tx.execute(query.with_for_update(read=True, key_share=True))).first()


async def insert_campaign(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Store a schedule's campaign."""
    await tx.execute(insert(campaign).values(**values))


async def insert_schedule(tx: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """Store a schedule; False where the same text goes to the same group in that minute already."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    once_a_minute = upsert(schedule).on_conflict_do_nothing(
        index_elements=["template_id", "group_id", "minute"], index_where=IS_PENDING
    )
    return (await tx.execute(once_a_minute.values(**values))).rowcount == 1


async def update_schedule(tx: AsyncConnection, schedule_id: str, **values: Any) -> None:
    """Change a schedule's row, which is locked."""
    await tx.execute(update(schedule).where(schedule.c.campaign_id == schedule_id).values(**values))


async def start_now(tx: AsyncConnection, schedule_id: str, now: float) -> None:
    """Have a campaign that is scheduled begin now; whoever was about to begin it leaves that to the next one."""
    await tx.execute(update(campaign).where(campaign.c.id == schedule_id).values(starts_at=now, alarm_at=now))


async def delete_schedule(tx: AsyncConnection, schedule_id: str) -> None:
    """Remove a schedule with its campaign; its messages, which nobody finds any more, are left. Its series goes on."""
    await forget_occurrence(tx, schedule_id)
    await tx.execute(delete(campaign_sender).where(campaign_sender.c.campaign_id == schedule_id))
    await tx.execute(delete(schedule).where(schedule.c.campaign_id == schedule_id))
    await tx.execute(delete(campaign).where(campaign.c.id == schedule_id))


async def is_under_way(connection: AsyncConnection, schedule_id: str) -> bool:
    """Whether a lane has a message of this campaign, or waits to hear what became of one."""
    held = lane.join(message, message.c.id == lane.c.message_id)
    query = select(exists(select(lane.c.sender_id).select_from(held).where(message.c.campaign_id == schedule_id)))
    return bool((await connection.execute(query)).scalar_one())


async def numbers_of(connection: AsyncConnection, schedule_id: str) -> list[str]:
    """The numbers (digits) that send a schedule, in turn: those that were named, or that took part."""
    query = (
        select(sender.c.number)
        .join(campaign_sender, campaign_sender.c.sender_id == sender.c.id)
        .where(campaign_sender.c.campaign_id == schedule_id)
        .order_by(campaign_sender.c.position)
    )
    return list((await connection.execute(query)).scalars())


async def members(connection: AsyncConnection, group_id: str | None, offset: int, limit: int) -> Sequence[AnyRow]:
    """The members of a group in the order in which they will be written to (columns: id, name, phone)."""
    query = (
        select(recipient.c.id, recipient.c.name, recipient.c.phone)
        .join(group_member, group_member.c.recipient_id == recipient.c.id)
        .where(group_member.c.group_id == group_id)
        .order_by(group_member.c.recipient_id)
    )
    return (await connection.execute(query.offset(offset).limit(limit))).all()


async def written_to(
    connection: AsyncConnection, schedule_id: str, account_id: str, offset: int, limit: int
) -> Sequence[AnyRow]:
    """Those a schedule was sent to, in order, with what became of each; id and name are None of who is gone since."""
    page = (
        select(message.c.seq, message.c.phone, message.c.state, message.c.sent_at, message.c.error)
        .where(message.c.campaign_id == schedule_id)
        .order_by(message.c.seq)
        .offset(offset)
        .limit(limit)
        .subquery()
    )
    query = (
        select(recipient.c.id, recipient.c.name, page.c.phone, page.c.state, page.c.sent_at, page.c.error)
        .select_from(page)
        .outerjoin(recipient, (recipient.c.account_id == account_id) & (recipient.c.phone == page.c.phone))
        .order_by(page.c.seq)
    )
    return (await connection.execute(query)).all()


async def count_by_status(connection: AsyncConnection, column: ColumnElement[Any], row_id: str) -> dict[str, int]:
    """How many schedules of each status refer to a template or group in `column`."""
    query = (
        select(schedule.c.status, func.count().label("schedules")).where(column == row_id).group_by(schedule.c.status)
    )
    return {row.status: row.schedules for row in await connection.execute(query)}


async def count_archived_sent(
    connection: AsyncConnection, column: ColumnElement[Any], row_id: str, states: Sequence[str]
) -> int:
    """How many that were archived have ended in one of these states."""
    query = (
        select(func.count())
        .select_from(schedule.join(campaign, campaign.c.id == schedule.c.campaign_id))
        .where(column == row_id, schedule.c.status == ScheduleStatus.ARCHIVED, campaign.c.state.in_(states))
    )
    return int((await connection.execute(query)).scalar_one())


async def first_ids(
    connection: AsyncConnection, column: ColumnElement[Any], row_id: str, statuses: Sequence[str], limit: int
) -> Sequence[str]:
    """The ids of the first schedules, by their times, of these statuses that refer to a row."""
    query = select(schedule.c.campaign_id).where(column == row_id, schedule.c.status.in_(statuses))
    return (await connection.execute(query.order_by(*ORDER).limit(limit))).scalars().all()

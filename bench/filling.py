"""Long queues in little time: what a benchmark does behind the product's back, because submitting takes longer.

A campaign that the product stored itself is made longer: its last message is copied again and again, with a new id and
place and another recipient, and the campaign counts them. So the rows are the product's own, whatever columns it has;
only the numbers of recipients repeat after 140,000 messages. A schedule is copied in the same way. On PostgreSQL this
ends with the VACUUM ANALYZE that autovacuum would run by itself within some minutes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.numbers import RECIPIENTS, recipient_number
from campaigns.schedules.following import schedule
from campaigns.sending.tables import campaign, message
from gateway.db import AnyRow, Database, read_now
from gateway.ids import make_ids

CHUNK = 20_000
"""Messages in one transaction: so that SQLite can empty its journal in between."""


async def lengthen(url: str, messages: int) -> None:
    """Make the campaigns longer, all alike, until there are so many messages in all; the gateway must not run."""
    db = Database(url)
    try:
        async with db.read() as connection:
            campaigns = (await connection.execute(select(campaign.c.id).order_by(campaign.c.id))).scalars().all()
        share, more = divmod(messages, len(campaigns))
        for index, campaign_id in enumerate(campaigns):
            await lengthen_one(db, campaign_id, share + (index < more))
        await vacuum(db)
    finally:
        await db.close()


async def lengthen_one(db: Database, campaign_id: str, messages: int) -> None:
    """Make one campaign so long."""
    async with db.read() as connection:
        last = await _last(connection, campaign_id)
    for first in range(last.seq + 1, messages, CHUNK):
        count = min(CHUNK, messages - first)
        async with db.write() as tx:
            ids = make_ids(await read_now(tx), count)
            await tx.execute(insert(message), [_copy(last, id_, first + index) for index, id_ in enumerate(ids)])
            longer = {"total": campaign.c.total + count, f"n_{last.state}": campaign.c[f"n_{last.state}"] + count}
            await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(**longer))


async def _last(connection: AsyncConnection, campaign_id: str) -> AnyRow:
    query = select(message).where(message.c.campaign_id == campaign_id).order_by(message.c.seq.desc()).limit(1)
    return (await connection.execute(query)).one()


def _copy(row: AnyRow, message_id: str, seq: int) -> Mapping[str, Any]:
    return {**row._mapping, "id": message_id, "seq": seq, "phone": recipient_number(seq % RECIPIENTS)}


async def copy_schedule(
    db: Database, schedule_id: str, schedules: int, templates: Sequence[str], groups: Sequence[str]
) -> None:
    """Copy a schedule that waits, until there are so many: one of each text for each group, and again a minute later.

    Its own text and group are the first of each. They have no senders of their own, as it has none.
    """
    async with db.read() as connection:
        first = (await connection.execute(select(schedule).where(schedule.c.campaign_id == schedule_id))).one()
        first_campaign = (await connection.execute(select(campaign).where(campaign.c.id == schedule_id))).one()
    kinds = [(template_id, group_id) for group_id in groups for template_id in templates]
    for start in range(1, schedules, CHUNK):
        indexes = range(start, min(start + CHUNK, schedules))
        async with db.write(bulk=True) as tx:
            ids = make_ids(await read_now(tx), len(indexes))
            rows = [
                (id_, 60 * (index // len(kinds)), *kinds[index % len(kinds)])
                for id_, index in zip(ids, indexes, strict=True)
            ]
            await tx.execute(insert(campaign), [_later(first_campaign, wait) | {"id": id_} for id_, wait, _, _ in rows])
            await tx.execute(
                insert(schedule),
                [
                    _later(first, wait) | {"campaign_id": id_, "template_id": template_id, "group_id": group_id}
                    for id_, wait, template_id, group_id in rows
                ],
            )


_STARTS = ("starts_at", "opens_at", "alarm_at", "scheduled_time")


def _later(row: AnyRow, seconds: int) -> dict[str, Any]:
    """The same row, to begin so much later."""
    moved = {name: value + seconds for name, value in row._mapping.items() if name in _STARTS and value}
    if "minute" in row._mapping:
        moved["minute"] = row._mapping["minute"] + seconds // 60
    return {**row._mapping, **moved}


async def vacuum(db: Database) -> None:
    """Have PostgreSQL know its tables; SQLite needs no such thing."""
    if db.is_sqlite:
        return
    async with db.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))

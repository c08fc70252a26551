"""SQL of what operators have done: the rows that it is about, and its history."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.actions.models import AdminAction
from admin.actions.verbs import Subject
from campaigns.sending.tables import campaign, message, sender, session
from gateway.db import AnyRow, table_of

admin_action = table_of(AdminAction)

_SUBJECTS = {
    Subject.CAMPAIGN: (campaign.c.id, select(campaign.c.state)),
    Subject.MESSAGE: (message.c.id, select(message.c.state, message.c.campaign_id)),
    Subject.SESSION: (
        session.c.sender_id,
        select(session.c.state, sender.c.number).join(sender, sender.c.id == session.c.sender_id),
    ),
}


async def find_subject(connection: AsyncConnection, subject: Subject, key: str | int) -> AnyRow | None:
    """The row that something is done to: its state, with a message's `campaign_id` and a session's `number`."""
    column, query = _SUBJECTS[subject]
    return (await connection.execute(query.where(column == key))).first()


async def insert_action(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Note that something is being done."""
    await tx.execute(insert(admin_action).values(**values))


async def finish_action(tx: AsyncConnection, action_id: str, **values: Any) -> AnyRow:
    """Note what came of it; gives the whole line."""
    changed = update(admin_action).where(admin_action.c.id == action_id).values(**values)
    return (await tx.execute(changed.returning(*admin_action.c))).one()


async def list_actions(
    connection: AsyncConnection, table: str | None, row: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """Some lines of the history, newest first, and how many there are; of one table, or of one row of it."""
    same = [] if table is None else [admin_action.c.table_name == table]
    same += [] if row is None else [admin_action.c.row_id == row]
    newest = select(admin_action).where(*same).order_by(admin_action.c.id.desc()).offset(offset).limit(limit)
    rows = (await connection.execute(newest)).all()
    total = (await connection.execute(select(func.count()).select_from(admin_action).where(*same))).scalar_one()
    return rows, int(total)

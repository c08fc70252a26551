"""A campaign's messages as rows of a file: every recipient with what became of it."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.contact_columns import EXPORTED_MESSAGES
from campaigns.paging import SLICE, in_slices
from campaigns.sending.tables import message, sender
from gateway.db import AnyRow, Database
from gateway.http.csv_stream import Cell
from sessions.schemas import as_time

COLUMNS = EXPORTED_MESSAGES


class MessageExport:
    """Reads the messages of campaigns from the first to the last."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def rows(self, campaign: AnyRow, states: Sequence[str]) -> AsyncIterator[list[list[Cell]]]:
        """The campaign's messages in their order, in slices; of some states only, if any are named."""

        async def fetch(connection: AsyncConnection, last: AnyRow | None) -> Sequence[AnyRow]:
            return await _messages_after(connection, campaign, states, -1 if last is None else last.seq)

        async for found in in_slices(self._db, fetch):
            yield [_cells(row, campaign.template) for row in found]


async def _messages_after(
    connection: AsyncConnection, campaign: AnyRow, states: Sequence[str], seq: int
) -> Sequence[AnyRow]:
    query = (
        select(message, sender.c.number.label("sender_number"))
        .outerjoin(sender, sender.c.id == message.c.sender_id)
        .where(message.c.campaign_id == campaign.id, message.c.seq > seq, message.c.seq < campaign.total)
    )
    if states:
        query = query.where(message.c.state.in_(states))
    return (await connection.execute(query.order_by(message.c.seq).limit(SLICE))).all()


def _cells(row: AnyRow, template: str) -> list[Cell]:
    """One message, in the order of `COLUMNS`."""
    return [
        row.id,
        row.phone,
        row.state,
        row.sender_number,
        template if row.text is None else row.text,
        row.attempts,
        as_time(row.sent_at),
        as_time(row.delivered_at),
        as_time(row.read_at),
        row.error_code,
        row.error,
    ]

"""Recipients as rows of a file.

Variables are one cell of JSON, not a column each: a variable may be called `phone` or `mobile`, and whoever reads the
file, this gateway too, would take that column for the number to write to. And so the columns are known before the last
recipient is read.
"""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience import queries
from campaigns.audience.contact_columns import EXPORTED_RECIPIENTS
from campaigns.audience.phone_search import digits_meant
from campaigns.paging import SLICE, in_slices
from gateway.auth.access import Caller, PhoneReader
from gateway.db import AnyRow, Database
from gateway.folding import fold
from gateway.http.csv_stream import Cell

COLUMNS = EXPORTED_RECIPIENTS
BETWEEN_GROUPS = "; "


class RecipientExport:
    """Reads an account's recipients from the oldest to the newest."""

    def __init__(self, db: Database, phones: PhoneReader) -> None:
        self._db = db
        self._phones = phones

    async def rows(self, caller: Caller, *, search: str, group_id: str | None) -> AsyncIterator[list[list[Cell]]]:
        """The caller's recipients, in slices, filtered as their list is."""

        async def fetch(
            connection: AsyncConnection, last: tuple[AnyRow, Sequence[AnyRow]] | None
        ) -> Sequence[tuple[AnyRow, Sequence[AnyRow]]]:
            rows = await queries.recipients_after(
                connection,
                caller.account_scope,
                folded_search=fold(search),
                phone_search=digits_meant(search, self._phones.read),
                group_id=group_id,
                after=None if last is None else last[0].id,
                limit=SLICE,
            )
            groups = await queries.groups_of(connection, [row.id for row in rows])
            return [(row, groups[row.id]) for row in rows]

        async for found in in_slices(self._db, fetch):
            yield [_cells(row, groups) for row, groups in found]


def _cells(row: AnyRow, groups: Sequence[AnyRow]) -> list[Cell]:
    """One recipient, in the order of `COLUMNS`."""
    return [row.name, row.phone, BETWEEN_GROUPS.join(group.name for group in groups), row.variables]

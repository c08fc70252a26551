"""The quiet hours and weekdays that an account's campaigns and schedules keep to where their request names none.

They are read when something is submitted, and stand in its campaign from then on. Answers to people who have written
are sent at any time.
"""

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.hours import Hours
from campaigns.sending.tables import usual_hours
from gateway.auth.access import Caller
from gateway.db import Database


async def find_usual_hours(connection: AsyncConnection, account_id: str) -> Hours | None:
    """Those of an account; None: its messages may leave at any time."""
    row = (await connection.execute(select(usual_hours).where(usual_hours.c.account_id == account_id))).first()
    if row is None:
        return None
    return Hours(timezone=row.timezone, quiet_from=row.quiet_from, quiet_to=row.quiet_to, weekdays=row.weekdays)


class UsualHoursService:
    """Looks at an account's usual hours, and changes them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, caller: Caller) -> Hours | None:
        """Those of the caller's account."""
        async with self._db.read() as connection:
            return await find_usual_hours(connection, caller.account_id)

    async def put(self, caller: Caller, hours: Hours | None) -> None:
        """Set them for what is submitted from now on; None takes them away."""
        async with self._db.write() as tx:
            if hours is None:
                await tx.execute(delete(usual_hours).where(usual_hours.c.account_id == caller.account_id))
                return
            values = {
                "timezone": hours.timezone,
                "quiet_from": hours.quiet_from,
                "quiet_to": hours.quiet_to,
                "weekdays": hours.weekdays,
            }
            upsert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(usual_hours)
            statement = upsert.values(account_id=caller.account_id, **values)
            await tx.execute(statement.on_conflict_do_update(index_elements=["account_id"], set_=values))

"""Another account beside `local`, and whoever calls for it."""

from sqlalchemy import insert

from gateway.auth.access import Caller
from gateway.auth.models import Account
from gateway.db import Database, table_of

OTHER = Caller(account_id="other")
LOCAL = Caller(account_id="local")


async def add_other_account(db: Database) -> Caller:
    """Make the account, and give its caller."""
    async with db.write() as tx:
        await tx.execute(insert(table_of(Account)).values(id="other", name="Another", created_at=0.0))
    return OTHER

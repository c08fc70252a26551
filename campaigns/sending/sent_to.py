"""What somebody was sent by an account, over all its campaigns."""

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.tables import campaign, message

MOST = 10_000
"""So many messages to one number are looked at, the last ones: a test number may have been sent millions."""

_LAST = (
    select(message.c.sent_at)
    .join(campaign, campaign.c.id == message.c.campaign_id)
    .where(
        message.c.phone == bindparam("b_phone"),
        message.c.sent_at.is_not(None),
        campaign.c.account_id == bindparam("b_account"),
    )
    .order_by(message.c.sent_at.desc())
    .limit(MOST)
    .subquery()
)
SENT_TO = select(func.count(), func.max(_LAST.c.sent_at))


async def sent_to(connection: AsyncConnection, account_id: str, phone: str) -> tuple[int, float | None]:
    """How many messages of an account have left to a number (digits), up to `MOST`, and when the last one did."""
    row = (await connection.execute(SENT_TO, {"b_phone": phone, "b_account": account_id})).one()
    return row[0], row[1]

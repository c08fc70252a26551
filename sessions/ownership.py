"""Which numbers are a caller's: a question to the database where an account owns them, and to the credential else.

A number belongs to an account for good once a scan has proven it. Before, it belongs to whoever opened its last
pairing: they see that pairing, and nothing more. An operator may give a number to an account, and take it back.
"""

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth import tokens
from gateway.auth.access import Caller
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import Database
from gateway.errors import Conflict, NotFound
from sessions.queries import ensure_sender, sender

NOT_YOURS = "there is no session for this number, or it is not yours"


async def require_session(db: Database, caller: Caller, number: str) -> None:
    """Refuse a number (digits) whose session is not the caller's to look at or to steer.

    Raises:
        NotFound: it is another's, or of a user's account there is no such number.
    """
    if caller.whole_account is None:
        if not caller.may_use(number):
            raise NotFound(NOT_YOURS)
        return
    own = select(sender.c.id).where(sender.c.number == number, sender.c.account_id == caller.whole_account)
    async with db.read() as connection:
        if (await connection.execute(own)).first() is None:
            raise NotFound(NOT_YOURS)


async def require_senders(db: Database, caller: Caller, numbers: Collection[str]) -> None:
    """Refuse numbers (digits) that the caller may not send from.

    Raises:
        NotFound: one is another's, or no scan has proven yet that it is a user's account's.
    """
    if caller.whole_account is None:
        own = {number for number in numbers if caller.may_use(number)}
    else:
        proven = select(sender.c.number).where(
            sender.c.number.in_(numbers), sender.c.account_id == caller.whole_account, sender.c.proven
        )
        async with db.read() as connection:
            own = set((await connection.execute(proven)).scalars())
    for number in numbers:
        if number not in own:
            raise NotFound(f"+{number} is not a sender of yours")


async def require_to_pair(db: Database, caller: Caller, number: str) -> None:
    """Refuse to open a pairing of a number (digits) that a scan has proven to be another account's.

    Raises:
        NotFound: it is another's.
    """
    if caller.whole_account is None:
        if not caller.may_use(number):
            raise NotFound(NOT_YOURS)
        return
    others = select(sender.c.id).where(
        sender.c.number == number, sender.c.account_id != caller.whole_account, sender.c.proven
    )
    async with db.read() as connection:
        if (await connection.execute(others)).first() is not None:
            raise NotFound(NOT_YOURS)


async def take(tx: AsyncConnection, caller: Caller, sender_id: int) -> str:
    """A caller opens a pairing: a number that nothing is proven of is their account's from now on.

    An operator takes nothing away from others. Returns the account that the number belongs to.

    Raises:
        NotFound: it has been proven to be another account's than this user's.
    """
    if not caller.is_admin:
        unproven = update(sender).where(sender.c.id == sender_id, ~sender.c.proven)
        await tx.execute(unproven.values(account_id=caller.account_id))
    account_id = str((await tx.execute(select(sender.c.account_id).where(sender.c.id == sender_id))).scalar_one())
    if caller.whole_account not in (None, account_id):
        raise NotFound(NOT_YOURS)
    return account_id


async def prove(tx: AsyncConnection, sender_id: int) -> None:
    """A phone of this number has scanned: it belongs to its account for good."""
    await tx.execute(update(sender).where(sender.c.id == sender_id, ~sender.c.proven).values(proven=True))


async def hand_over(tx: AsyncConnection, number: str, account_id: str, now: float) -> int:
    """An operator gives a number to an account, and their word is proof; returns the sender's id.

    It comes from the account `local`, or goes there, or was nobody's yet. Whoever had a token of it has none any more.

    Raises:
        Conflict: it belongs to another account.
    """
    sender_id = await ensure_sender(tx, number, account_id, now)
    row = (await tx.execute(select(sender).where(sender.c.id == sender_id).with_for_update())).one()
    if row.proven and row.account_id not in (account_id, LOCAL_ACCOUNT) and account_id != LOCAL_ACCOUNT:
        raise Conflict(
            f"+{number} belongs to another account, and a number is one account's at a time: take it out there"
        )
    await tx.execute(update(sender).where(sender.c.id == sender_id).values(account_id=account_id, proven=True))
    if row.account_id != account_id or not row.proven:
        await tokens.revoke(tx, number)
    return sender_id


async def hold_senders(tx: AsyncConnection, account_id: str, sender_ids: Collection[int]) -> None:
    """Refuse senders that have been given to another account since they were looked at; the others stay as they are.

    Raises:
        NotFound: one is not this account's any more.
    """
    mine = select(sender.c.id).where(sender.c.id.in_(sender_ids), sender.c.account_id == account_id)
    found = set((await tx.execute(mine.order_by(sender.c.id).with_for_update(read=True))).scalars())
    if found != set(sender_ids):
        raise NotFound("a sender is not yours any more")

"""Sender tokens: what a paired number's owner shows. Issued with a pairing, valid once it has succeeded."""

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth.models import SenderToken
from gateway.db import AnyRow, table_of
from gateway.vault import hash_token, make_token

PREFIX = "wgs_"
sender_token = table_of(SenderToken)


async def issue(tx: AsyncConnection, number: str, account_id: str, now: float, *, stranger: bool = False) -> str:
    """A new token for `number`, not valid yet; returned this once. A token of an earlier open pairing ends."""
    token = make_token(PREFIX)
    await tx.execute(delete(sender_token).where(sender_token.c.number == number, ~sender_token.c.valid))
    values = {"token_hash": hash_token(token), "number": number, "account_id": account_id, "created_at": now}
    await tx.execute(insert(sender_token).values(**values, valid=False, stranger=stranger))
    return token


def _claims(number: str) -> ColumnElement[bool]:
    return and_(sender_token.c.number == number, ~sender_token.c.valid, sender_token.c.stranger)


async def has_claim(connection: AsyncConnection, number: str) -> bool:
    """Whether the next scan would make the token of a stranger valid."""
    return (await connection.execute(select(sender_token.c.number).where(_claims(number)))).first() is not None


async def drop_claims(tx: AsyncConnection, number: str) -> None:
    """End the token that a stranger was given for a pairing of `number` which has not succeeded yet."""
    await tx.execute(delete(sender_token).where(_claims(number)))


async def activate(tx: AsyncConnection, number: str) -> None:
    """The pairing has succeeded: its token is valid, and tokens of earlier pairings end."""
    pending = select(sender_token.c.token_hash).where(sender_token.c.number == number, ~sender_token.c.valid)
    if (await tx.execute(pending)).first() is None:
        return
    await tx.execute(delete(sender_token).where(sender_token.c.number == number, sender_token.c.valid))
    await tx.execute(update(sender_token).where(sender_token.c.number == number).values(valid=True))


async def revoke(tx: AsyncConnection, number: str) -> None:
    """End all tokens of `number`."""
    await tx.execute(delete(sender_token).where(sender_token.c.number == number))


async def find(connection: AsyncConnection, token: str) -> AnyRow | None:
    """A token's `number`, `account_id` and whether it is `valid` yet; looked up by its hash."""
    query = select(sender_token.c.number, sender_token.c.account_id, sender_token.c.valid)
    return (await connection.execute(query.where(sender_token.c.token_hash == hash_token(token)))).first()

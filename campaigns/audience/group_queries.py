"""SQL of groups. Each query is about what one account owns; None is everybody's."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.paging import fetch_page
from gateway.auth.owned import owned
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow


async def insert_group(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow | None:
    """Store a group; gives its row, None where the account has one of this name."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = (
        upsert(recipient_group)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["account_id", "folded_name"])
        .returning(recipient_group)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def find_group(connection: AsyncConnection, group_id: str, account_id: str | None) -> AnyRow | None:
    """One group."""
    return (await connection.execute(_one(group_id, account_id))).first()


async def lock_group(tx: AsyncConnection, group_id: str, account_id: str | None, *, remove: bool) -> AnyRow | None:
    """One group, whose members nobody else changes before the transaction ends.

    With `remove` nobody can begin to refer to it either.
    """
    row: AnyRow | None = (await tx.execute(_one(group_id, account_id).with_for_update(key_share=not remove))).first()
    return row


def _one(group_id: str, account_id: str | None) -> Any:
    return select(recipient_group).where(recipient_group.c.id == group_id, owned(recipient_group, account_id))


async def find_group_of_name(tx: AsyncConnection, account_id: str, folded_name: str) -> AnyRow | None:
    """The account's group of a name; it stays at least as long as the transaction."""
    query = select(recipient_group.c.id).where(
        recipient_group.c.account_id == account_id, recipient_group.c.folded_name == folded_name
    )
    return (await tx.execute(query.with_for_update(read=True, key_share=True))).first()


async def list_groups(
    connection: AsyncConnection, account_id: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of groups, newest first, and how many there are."""
    query = select(recipient_group).where(owned(recipient_group, account_id)).order_by(recipient_group.c.id.desc())
    return await fetch_page(connection, query, offset, limit)


async def update_group(tx: AsyncConnection, group_id: str, account_id: str | None, **values: Any) -> AnyRow | None:
    """Change a group; gives its row, None where there is no such group.

    Raises `IntegrityError` where the account has another one of the name.
    """
    statement = (
        update(recipient_group)
        .where(recipient_group.c.id == group_id, owned(recipient_group, account_id))
        .values(**values)
        .returning(recipient_group)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def delete_group(tx: AsyncConnection, group_id: str) -> None:
    """Remove a group that was locked for it; its members stay recipients."""
    await tx.execute(delete(recipient_group).where(recipient_group.c.id == group_id))


async def count_members(connection: AsyncConnection, group_ids: Sequence[str]) -> dict[str, int]:
    """How many members each group has."""
    query = (
        select(group_member.c.group_id, func.count())
        .where(is_among(group_member.c.group_id, "b_groups", ID))
        .group_by(group_member.c.group_id)
    )
    counted = dict.fromkeys(group_ids, 0)
    for group_id, count in await connection.execute(query, {"b_groups": pack_values(group_ids)}):
        counted[group_id] = count
    return counted


async def newest_members(connection: AsyncConnection, group_id: str, limit: int) -> Sequence[AnyRow]:
    """The members of a group who were made last (columns: id, name, phone)."""
    query = (
        select(recipient.c.id, recipient.c.name, recipient.c.phone)
        .join(group_member, group_member.c.recipient_id == recipient.c.id)
        .where(group_member.c.group_id == group_id)
        .order_by(group_member.c.recipient_id.desc())
        .limit(limit)
    )
    return (await connection.execute(query)).all()


async def lock_recipients(tx: AsyncConnection, recipient_ids: Sequence[str], account_id: str) -> set[str]:
    """Those of the ids that are recipients of the account; they stay at least as long as the transaction."""
    query = select(recipient.c.id).where(_in_the_list(recipient.c.id), recipient.c.account_id == account_id)
    rows = await tx.execute(query.with_for_update(read=True, key_share=True), _packed(recipient_ids))
    return set(rows.scalars())


async def add_members(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> int:
    """Add recipients, who are locked, to a group; returns how many were not in it."""
    members = (
        select(recipient_group.c.id, recipient.c.id)
        .join(recipient, recipient.c.account_id == recipient_group.c.account_id)
        .where(recipient_group.c.id == group_id, _in_the_list(recipient.c.id))
    )
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = (
        upsert(group_member)
        .from_select(["group_id", "recipient_id"], members)
        .on_conflict_do_nothing(index_elements=["group_id", "recipient_id"])
    )
    return (await tx.execute(statement, _packed(recipient_ids))).rowcount


async def remove_members(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> int:
    """Take recipients out of a group; returns how many were in it."""
    named = _in_the_list(group_member.c.recipient_id)
    statement = delete(group_member).where(group_member.c.group_id == group_id, named)
    return (await tx.execute(statement, _packed(recipient_ids))).rowcount


async def remove_other_members(tx: AsyncConnection, group_id: str, recipient_ids: Sequence[str]) -> int:
    """Take everybody but these recipients out of a group; returns how many others were in it."""
    named = _in_the_list(group_member.c.recipient_id)
    statement = delete(group_member).where(group_member.c.group_id == group_id, ~named)
    return (await tx.execute(statement, _packed(recipient_ids))).rowcount


def _in_the_list(recipient_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether it is among those that `_packed` gives."""
    return is_among(recipient_id, "b_recipients", ID)


def _packed(recipient_ids: Sequence[str]) -> Mapping[str, str]:
    return {"b_recipients": pack_values(recipient_ids)}

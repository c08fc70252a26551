"""SQL of recipients. Each query is about what one account owns; None is everybody's."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.schemas import GROUPS_SHOWN
from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.paging import fetch_page
from gateway.auth.owned import owned
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow
from gateway.folding import contains


async def insert_recipient(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow | None:
    """Store a recipient; gives its row, None where the account has the number already."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = (
        upsert(recipient)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["account_id", "phone"])
        .returning(recipient)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def find_recipient(connection: AsyncConnection, recipient_id: str, account_id: str | None) -> AnyRow | None:
    """One recipient."""
    query = select(recipient).where(recipient.c.id == recipient_id, owned(recipient, account_id))
    return (await connection.execute(query)).first()


async def find_by_phone(connection: AsyncConnection, account_id: str, phone: str) -> AnyRow | None:
    """The account's recipient with this number (digits)."""
    query = select(recipient).where(recipient.c.account_id == account_id, recipient.c.phone == phone)
    return (await connection.execute(query)).first()


async def list_recipients(
    connection: AsyncConnection,
    account_id: str | None,
    *,
    folded_search: str,
    phone_search: Sequence[str],
    group_id: str | None,
    offset: int,
    limit: int,
) -> tuple[Sequence[AnyRow], int]:
    """A page of recipients, newest first, and how many there are: of one group, or with a text in name or number.

    `phone_search` are digits, each as somebody who searches might have meant them.
    """
    query, newest = _recipients(account_id, folded_search, phone_search, group_id)
    counting = None
    if group_id is not None and not folded_search and not any(phone_search):
        counting = select(func.count()).select_from(_members(group_id, account_id))
    return await fetch_page(connection, query.order_by(newest.desc()), offset, limit, counting)


async def recipients_after(
    connection: AsyncConnection,
    account_id: str | None,
    *,
    folded_search: str,
    phone_search: Sequence[str],
    group_id: str | None,
    after: str | None,
    limit: int,
) -> Sequence[AnyRow]:
    """The recipients of the same list that follow one (an id; None: from the first one on), oldest first."""
    query, place = _recipients(account_id, folded_search, phone_search, group_id)
    if after is not None:
        query = query.where(place > after)
    return (await connection.execute(query.order_by(place).limit(limit))).all()


def _recipients(
    account_id: str | None, folded_search: str, phone_search: Sequence[str], group_id: str | None
) -> tuple[Select[*tuple[Any, ...]], ColumnElement[str]]:
    """Recipients, and the column whose index has them from the oldest to the newest."""
    query: Select[*tuple[Any, ...]] = select(recipient).where(owned(recipient, account_id))
    place: ColumnElement[str] = recipient.c.id
    if group_id is not None:
        members = _members(group_id, account_id)
        query = select(recipient).join(members, members.c.recipient_id == recipient.c.id)
        place = members.c.recipient_id
    if texts := dict.fromkeys(text for text in (folded_search, *phone_search) if text):
        query = query.where(or_(*(contains(recipient.c.search_text, text) for text in texts)))
    return query, place


def _members(group_id: str, account_id: str | None) -> Subquery:
    """The members of a group that the account owns: whose the group is, theirs are its members."""
    group = select(recipient_group.c.id).where(recipient_group.c.id == group_id, owned(recipient_group, account_id))
    members = select(group_member.c.recipient_id).where(group_member.c.group_id == group.scalar_subquery())
    return members.subquery("member")


async def update_recipient(
    tx: AsyncConnection, recipient_id: str, account_id: str | None, values: Mapping[str, Any]
) -> AnyRow | None:
    """Change a recipient; gives its row, None where there is no such recipient.

    Raises `IntegrityError` where the account has another one with the number.
    """
    statement = (
        update(recipient)
        .where(recipient.c.id == recipient_id, owned(recipient, account_id))
        .values(**values)
        .returning(recipient)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def delete_recipient(tx: AsyncConnection, recipient_id: str, account_id: str | None) -> bool:
    """Remove a recipient, also from its groups; False where there is no such recipient."""
    statement = delete(recipient).where(recipient.c.id == recipient_id, owned(recipient, account_id))
    return (await tx.execute(statement)).rowcount == 1


async def groups_of(connection: AsyncConnection, recipient_ids: Sequence[str]) -> dict[str, list[AnyRow]]:
    """The groups of each recipient by name, the first `GROUPS_SHOWN` (columns: id, name, description)."""
    place = func.row_number().over(
        partition_by=group_member.c.recipient_id, order_by=(recipient_group.c.folded_name, recipient_group.c.id)
    )
    ranked = (
        select(
            group_member.c.recipient_id,
            recipient_group.c.id,
            recipient_group.c.name,
            recipient_group.c.description,
            place.label("place"),
        )
        .join(recipient_group, recipient_group.c.id == group_member.c.group_id)
        .where(is_among(group_member.c.recipient_id, "b_recipients", ID))
        .subquery()
    )
    query = select(ranked).where(ranked.c.place <= GROUPS_SHOWN).order_by(ranked.c.recipient_id, ranked.c.place)
    found: dict[str, list[AnyRow]] = {recipient_id: [] for recipient_id in recipient_ids}
    for row in await connection.execute(query, {"b_recipients": pack_values(recipient_ids)}):
        found[row.recipient_id].append(row)
    return found


async def lock_groups(tx: AsyncConnection, group_ids: Sequence[str], account_id: str) -> set[str]:
    """Those of the ids that are groups of the account; they stay at least as long as the transaction."""
    query = _groups_among(account_id).with_for_update(read=True, key_share=True)
    return set((await tx.execute(query, {"b_groups": pack_values(group_ids)})).scalars())


async def groups_among(connection: AsyncConnection, group_ids: Sequence[str], account_id: str) -> set[str]:
    """Those of the ids that are groups of the account."""
    return set((await connection.execute(_groups_among(account_id), {"b_groups": pack_values(group_ids)})).scalars())


def _groups_among(account_id: str) -> Select[Any]:
    mine = (is_among(recipient_group.c.id, "b_groups", ID), recipient_group.c.account_id == account_id)
    return select(recipient_group.c.id).where(*mine)


async def put_in_groups(tx: AsyncConnection, recipient_id: str, group_ids: Sequence[str]) -> None:
    """Have a recipient be in these groups and no others; they are locked."""
    stays = is_among(group_member.c.group_id, "b_groups", ID)
    parameters = {"b_groups": pack_values(group_ids)}
    await tx.execute(delete(group_member).where(group_member.c.recipient_id == recipient_id, ~stays), parameters)
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    if group_ids:
        await tx.execute(
            upsert(group_member).on_conflict_do_nothing(index_elements=["group_id", "recipient_id"]),
            [{"group_id": group_id, "recipient_id": recipient_id} for group_id in group_ids],
        )

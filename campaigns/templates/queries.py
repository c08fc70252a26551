"""SQL of templates. Each query is about what one account owns; None is everybody's."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.paging import fetch_page
from campaigns.templates.models import Template
from campaigns.templates.schemas import SortField
from gateway.auth.owned import owned
from gateway.db import AnyRow, table_of
from gateway.folding import contains

template = table_of(Template)

_SORTED_BY = {
    SortField.CREATED_AT: template.c.created_at,
    SortField.UPDATED_AT: template.c.updated_at,
    SortField.TITLE: template.c.folded_title,
}


async def insert_template(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    """Store a template; gives its row."""
    row: AnyRow = (await tx.execute(insert(template).values(**values).returning(template))).one()
    return row


async def find_template(
    connection: AsyncConnection, template_id: str, account_id: str | None, *, lock: bool = False
) -> AnyRow | None:
    """A template; with `lock` nobody can begin to refer to it before the transaction ends."""
    query = select(template).where(template.c.id == template_id, owned(template, account_id))
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def list_templates(
    connection: AsyncConnection,
    account_id: str | None,
    *,
    folded_search: str,
    sort_by: SortField,
    descending: bool,
    offset: int,
    limit: int,
) -> tuple[Sequence[AnyRow], int]:
    """A page of templates, those made at the same time in the order of their making, and how many there are."""
    query = select(template).where(owned(template, account_id))
    if folded_search:
        found = (contains(column, folded_search) for column in (template.c.folded_title, template.c.folded_content))
        query = query.where(or_(*found))
    columns = (_SORTED_BY[sort_by], template.c.id)
    query = query.order_by(*(column.desc() if descending else column.asc() for column in columns))
    return await fetch_page(connection, query, offset, limit)


async def update_template(
    tx: AsyncConnection, template_id: str, account_id: str | None, values: Mapping[str, Any]
) -> AnyRow | None:
    """Change a template; gives its row, None where there is no such template."""
    statement = (
        update(template)
        .where(template.c.id == template_id, owned(template, account_id))
        .values(**values)
        .returning(template)
    )
    row: AnyRow | None = (await tx.execute(statement)).first()
    return row


async def delete_template(tx: AsyncConnection, template_id: str) -> None:
    """Remove a template that was found and locked in this transaction."""
    await tx.execute(delete(template).where(template.c.id == template_id))

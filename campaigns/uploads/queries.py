"""SQL of uploaded files. A file is its account's; an operator sees all."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.tables import campaign, media
from gateway.auth.owned import owned
from gateway.db import AnyRow

_TOLD = (media.c.id, media.c.mimetype, media.c.filename, media.c.size, media.c.created_at)
_UPLOADED = media.c.account_id.is_not(None)


async def insert_upload(tx: AsyncConnection, values: dict[str, Any]) -> None:
    """Store a file."""
    await tx.execute(insert(media).values(**values))


async def find_upload(
    connection: AsyncConnection, media_id: str, account_id: str | None, *, lock: bool = False
) -> AnyRow | None:
    """What is known of a file, without its content; `lock`: no campaign takes it until the transaction ends."""
    query = select(*_TOLD).where(media.c.id == media_id, _UPLOADED, owned(media, account_id))
    return (await connection.execute(query.with_for_update() if lock else query)).first()


async def list_uploads(
    connection: AsyncConnection, account_id: str | None, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of files, newest first, and how many there are."""
    which = (_UPLOADED, owned(media, account_id))
    rows = await connection.execute(
        select(*_TOLD).where(*which).order_by(media.c.created_at.desc(), media.c.id).offset(offset).limit(limit)
    )
    total = await connection.execute(select(func.count()).select_from(media).where(*which))
    return rows.all(), total.scalar_one()


async def is_used(connection: AsyncConnection, media_id: str, states: Sequence[str]) -> bool:
    """Whether a campaign in one of these states sends it."""
    query = select(exists().where(campaign.c.media_id == media_id, campaign.c.state.in_(states)))
    return bool((await connection.execute(query)).scalar_one())


async def delete_upload(tx: AsyncConnection, media_id: str) -> None:
    """Remove a file."""
    await tx.execute(delete(media).where(media.c.id == media_id))

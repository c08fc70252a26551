"""Files that users upload to send them: checked, and kept until the last campaign that sends them has ended."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from campaigns.sending.attachments import UPLOAD
from campaigns.sending.media import media_kind
from campaigns.sending.models import OPEN_STATES, CampaignState
from campaigns.sending.retention import MEDIA_GRACE_SECONDS
from campaigns.uploads import queries
from campaigns.uploads.checking import check_file
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import InUse, NotFound
from gateway.http.receiving import Received
from gateway.idempotency.keys import Key, claim, keep
from gateway.ids import make_id
from sessions.schemas import in_utc

CHECKS_AT_ONCE = 2
"""A large image takes 160 MB while it is looked at."""
_NEEDED = (*OPEN_STATES, CampaignState.SCHEDULED)


class Uploads:
    """An account's files. `folder` is for what is being received, `max_bytes` the largest that is taken."""

    def __init__(self, db: Database, folder: Path, *, max_bytes: int) -> None:
        self._db = db
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self.folder = folder
        self.max_bytes = max_bytes

    async def store(self, caller: Caller, received: Received, key: Key | None) -> dict[str, Any]:
        """Check a file and keep it; gives the answer.

        Raises:
            ValidationFailed: it is not what it says it is, or an image that cannot be used.
        """
        async with self._checks:
            checked = await asyncio.to_thread(check_file, received.file, received.filename, received.content_type)
        async with self._db.write() as tx:
            await claim(tx, key)
            now = await read_now(tx)
            values = {
                "id": make_id(now),
                "account_id": caller.account_id,
                "url": "",
                "mimetype": checked.mimetype,
                "filename": checked.filename,
                "size": len(checked.content),
                "created_at": now,
            }
            await queries.insert_upload(tx, values | {"content": checked.content})
            answer = _answer(values)
            await keep(tx, key, answer)
        return answer

    async def page(self, caller: Caller, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """A page of the account's files, newest first, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_uploads(connection, caller.account_scope, offset, limit)
        return _answers(rows), total

    async def get(self, caller: Caller, media_id: str) -> dict[str, Any]:
        """What is known of a file; raises `NotFound`."""
        async with self._db.read() as connection:
            row = await queries.find_upload(connection, media_id, caller.account_scope)
        if row is None:
            raise NotFound
        return _answer(row._mapping)

    async def delete(self, caller: Caller, media_id: str) -> None:
        """Remove a file.

        Raises:
            NotFound: there is none, or it is another's.
            InUse: a campaign still sends it.
        """
        async with self._db.write() as tx:
            if await queries.find_upload(tx, media_id, caller.account_scope, lock=True) is None:
                raise NotFound
            if await queries.is_used(tx, media_id, _NEEDED):
                raise InUse("a campaign that has not ended sends this file")
            await queries.delete_upload(tx, media_id)


def _answers(rows: Sequence[AnyRow]) -> list[dict[str, Any]]:
    return [_answer(row._mapping) for row in rows]


def _answer(values: Any) -> dict[str, Any]:
    created_at = float(values["created_at"])
    return {
        "id": values["id"],
        "media_url": f"{UPLOAD}{values['id']}",
        "mimetype": values["mimetype"],
        "kind": media_kind(values["mimetype"]),
        "filename": values["filename"],
        "size": values["size"],
        "created_at": in_utc(created_at).isoformat(),
        "kept_until": in_utc(created_at + MEDIA_GRACE_SECONDS).isoformat(),
    }

"""Imports: what is asked for, and what is told of them. How one runs is in `running.py`."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.importing import queries
from campaigns.audience.importing.models import ImportState, RowFate
from campaigns.audience.importing.running import INTERRUPTED, SILENT_SECONDS, ImportRuns
from campaigns.audience.importing.schemas import ImportOptions
from campaigns.audience.importing.storing import Job
from campaigns.audience.queries import lock_groups
from campaigns.paging import SLICE, in_slices
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound, ServiceUnavailable
from gateway.http.csv_stream import Cell
from gateway.http.receiving import Received
from gateway.http.validation import MAX_ERRORS, refuse_unknown
from gateway.idempotency.keys import Key, forget, keep, once
from gateway.ids import make_id

CSV_COLUMNS = ("line", "fate", "phone", "name", "reason")


class ImportService:
    """An account's imports; `runs` does them."""

    def __init__(self, db: Database, runs: ImportRuns) -> None:
        self._db = db
        self._runs = runs

    async def start(self, caller: Caller, received: Received, options: ImportOptions, key: str | None) -> AnyRow:
        """Import a file, and give its row: when it has ended, or after a moment.

        With an idempotency key the same file with the same options is imported once; a failed one may be tried again.

        Raises:
            ValidationFailed: a group is not there, the file is no list, or bad rows stopped it.
            ServiceUnavailable: too many are under way.
        """
        asked = None
        if key:
            digest = hashlib.sha256(f"{received.digest} {options.model_dump_json()}".encode()).hexdigest()
            asked = Key(f"import:{caller.account_id}", key, digest)
        import_id = await self._begin_once(caller, received, options, asked)
        await self._runs.wait_shortly(import_id)
        return await self.get(caller, import_id)

    async def _begin_once(self, caller: Caller, received: Received, options: ImportOptions, key: Key | None) -> str:
        begun = False

        async def begin() -> dict[str, Any]:
            nonlocal begun
            job = await self._begin(caller, options, key)
            begun = True
            self._runs.start(job, received.file, options)
            return {"id": job.import_id}

        try:
            if self._runs.is_full:
                raise ServiceUnavailable("too many imports are under way here; try again when they have ended")
            answer = await once(self._db, key, begin)
            while key is not None and not begun and await self._has_failed(answer.body["id"]):
                async with self._db.write() as tx:
                    await forget(tx, key, answer.body)
                answer = await once(self._db, key, begin)
        finally:
            if not begun:
                received.file.close()
        return str(answer.body["id"])

    async def _has_failed(self, import_id: str) -> bool:
        """Whether there is nothing to be had of an import: it failed, or is so old that nobody knows of it."""
        await self._fail_silent()
        async with self._db.read() as connection:
            row = await queries.find_job(connection, import_id, None)
        return row is None or row.state == ImportState.FAILED

    async def _begin(self, caller: Caller, options: ImportOptions, key: Key | None) -> Job:
        """Store that there is an import."""
        async with self._db.write() as tx:
            now = await read_now(tx)
            import_id = make_id(now)
            group_ids = await _groups(tx, caller, options)
            await queries.insert_job(
                tx,
                id=import_id,
                account_id=caller.account_id,
                state=ImportState.RUNNING,
                dry_run=options.dry_run,
                on_duplicate=options.on_duplicate,
                on_bad_row=options.on_bad_row,
                group_ids=orjson.dumps(group_ids).decode(),
                **dict.fromkeys(("rows_read", "created", "updated", "existing", "duplicate", "invalid", "blank"), 0),
                created_at=now,
                beat_at=now,
            )
            await keep(tx, key, {"id": import_id})
        return Job(
            import_id,
            caller.account_id,
            group_ids,
            options.group_name,
            dry_run=options.dry_run,
            update=options.on_duplicate == "update",
        )

    async def get(self, caller: Caller, import_id: str) -> AnyRow:
        """One import; raises `NotFound`."""
        await self._fail_silent()
        async with self._db.read() as connection:
            row = await queries.find_job(connection, import_id, caller.account_scope)
        if row is None:
            raise NotFound("there is no such import, or it is not yours")
        return row

    async def bad_rows(self, import_id: str) -> tuple[Sequence[AnyRow], int]:
        """The first rows that stopped an import, and how many there are."""
        async with self._db.read() as connection:
            return await queries.list_rows(connection, import_id, [RowFate.INVALID], 0, MAX_ERRORS)

    async def page(self, caller: Caller, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
        """Some of the caller's imports, newest first, and how many there are."""
        await self._fail_silent()
        async with self._db.read() as connection:
            return await queries.list_jobs(connection, caller.account_scope, offset, limit)

    async def rows(
        self, caller: Caller, import_id: str, fates: Sequence[str], offset: int, limit: int
    ) -> tuple[Sequence[AnyRow], int]:
        """Some rows of a report by their lines, of these fates or of all, and how many there are; raises `NotFound`."""
        row = await self.get(caller, import_id)
        async with self._db.read() as connection:
            return await queries.list_rows(connection, row.id, fates, offset, limit)

    async def export(self, caller: Caller, import_id: str, fates: Sequence[str]) -> AsyncIterator[list[list[Cell]]]:
        """The same rows in slices, in the order of `CSV_COLUMNS`; raises `NotFound`."""
        row = await self.get(caller, import_id)

        async def fetch(connection: AsyncConnection, last: AnyRow | None) -> Sequence[AnyRow]:
            return await queries.rows_after(connection, row.id, fates, 0 if last is None else last.line, SLICE)

        async for found in in_slices(self._db, fetch):
            yield [[one.line, one.fate, one.phone, one.name, one.reason] for one in found]

    async def _fail_silent(self) -> None:
        """Tell of imports whose process has died that they failed."""
        async with self._db.read() as connection:
            before = await read_now(connection) - SILENT_SECONDS
            if not await queries.any_silent(connection, before):
                return
        async with self._db.write() as tx:
            await queries.fail_silent(tx, before, await read_now(tx), INTERRUPTED)


async def _groups(tx: AsyncConnection, caller: Caller, options: ImportOptions) -> list[str]:
    """The groups to put everybody into; raises `ValidationFailed` naming those that are not there."""
    group_ids = [str(one) for one in options.group_ids]
    if group_ids:
        refuse_unknown("group_ids", "group", group_ids, await lock_groups(tx, group_ids, caller.account_id))
    return list(dict.fromkeys(group_ids))

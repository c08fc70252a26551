"""Imports while they run: each is a task that reads its file in a thread, and then stores it slice by slice.

One import is done at a time, the others wait: reading is work for the processor, and there is sending to be done.
Whoever else wants to write gets a turn between two slices. While a task lives, it says so in its row (`beat_at`). It
ends in one of three ways: everything is stored; the file or a bad row stops it, with the reason in the row; or the
process dies, and the row, of which nothing was heard for a while, counts as failed. Then the same file can be imported
again: whoever is there already is skipped.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.audience.contact_file import ContactFileError
from campaigns.audience.importing import queries
from campaigns.audience.importing.models import KEEP_SECONDS, ImportProblem, ImportState, RowFate
from campaigns.audience.importing.reading import Judged, Progress, ReadingStopped, next_slice, read_rows
from campaigns.audience.importing.schemas import ImportOptions
from campaigns.audience.importing.storing import ImportStopped, Job, prepare, store_slice
from gateway.clock import Clock
from gateway.db import Database, read_now
from gateway.settings import PhoneSettings

log = structlog.get_logger()
Problem: TypeAlias = tuple[ImportProblem, str]
"""Why an import failed: for programs, and for people."""

SHORTLY_SECONDS = 2.0
"""Whoever asked waits so long for the end."""
BEAT_SECONDS = 5.0
SILENT_SECONDS = 60.0
"""A process that was not heard of for so long does not import any more."""
MAX_WAITING = 10
DELETED_AT_ONCE = 5_000
INTERRUPTED = "interrupted: the process that did it has ended; import the file again, who is there already is skipped"


class ImportRuns:
    """The imports of this process."""

    def __init__(self, db: Database, clock: Clock, folder: Path, phone: PhoneSettings, *, max_rows: int) -> None:
        self.folder = folder
        self._db = db
        self._clock = clock
        self._phone = phone
        self._max_rows = max_rows
        self._turn = asyncio.Semaphore(1)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def is_full(self) -> bool:
        """Whether so many wait that no more are taken."""
        return len(self._tasks) >= MAX_WAITING

    async def recover(self) -> None:
        """At start: on SQLite, which one process owns, whatever ran runs no more."""
        if self._db.is_sqlite:
            async with self._db.write() as tx:
                now = await read_now(tx)
                await queries.fail_silent(tx, float("inf"), now, INTERRUPTED)

    def start(self, job: Job, file: BinaryIO, options: ImportOptions) -> None:
        """Begin to import a file, which is closed in the end."""
        task = asyncio.create_task(self._run(job, file, options), name=f"import {job.import_id}")
        self._tasks[job.import_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.import_id, None))

    async def wait_shortly(self, import_id: str) -> None:
        """Wait a moment for the end of an import, if it is one of this process."""
        if (task := self._tasks.get(import_id)) is not None:
            await asyncio.wait({task}, timeout=SHORTLY_SECONDS)

    async def stop(self) -> None:
        """End the imports; they count as interrupted."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def forget_old(self, now: float) -> None:
        """Remove imports and their reports after a week, some rows at a time."""
        async with self._db.read() as connection:
            import_ids = await queries.old_jobs(connection, now - KEEP_SECONDS)
        for import_id in import_ids:
            more = True
            while more:
                async with self._db.write(bulk=True) as tx:
                    more = await queries.delete_rows(tx, import_id, DELETED_AT_ONCE) > 0
            async with self._db.write() as tx:
                await queries.delete_job(tx, import_id)

    # --- one import ---------------------------------------------------------------------------------------------

    async def _run(self, job: Job, file: BinaryIO, options: ImportOptions) -> None:
        progress = Progress()
        beat = asyncio.create_task(self._beat(job, progress))
        problem: Problem | None = None
        try:
            with file:
                async with self._turn:
                    problem = await self._import(job, file, options, progress)
        except asyncio.CancelledError:
            await self._end(job, (ImportProblem.INTERRUPTED, INTERRUPTED))
            raise
        except ContactFileError as error:
            problem = ImportProblem.NOT_A_LIST, str(error)
        except ImportStopped as error:
            problem = ImportProblem.STOPPED, str(error)
        except (SQLAlchemyError, OSError) as error:
            log.error("import_failed", import_id=job.import_id, error=type(error).__name__)
            problem = ImportProblem.UNAVAILABLE, "the database or the disk could not be used; import the file again"
        except Exception:
            log.exception("import_broke", import_id=job.import_id)
            problem = ImportProblem.INTERNAL, "something is wrong inside the gateway; its log says what"
        finally:
            beat.cancel()
        await self._end(job, problem)

    async def _import(self, job: Job, file: BinaryIO, options: ImportOptions, progress: Progress) -> Problem | None:
        """Read and store; gives the reason where bad rows stop it."""
        with tempfile.TemporaryFile(dir=self.folder) as spool:
            await self._read(file, spool, options.said(), progress)
            stopped = options.on_bad_row == "strict" and not options.dry_run and progress.invalid > 0
            async with self._db.write() as tx:
                now = await read_now(tx)
                await queries.update_job(
                    tx, job.import_id, rows_read=progress.rows, rows_total=progress.rows, beat_at=now
                )
                if not stopped:
                    job = await prepare(tx, job)
                    group_ids = orjson.dumps(job.group_ids).decode()
                    await queries.update_job(tx, job.import_id, group_ids=group_ids, blank=progress.blank)
            spool.seek(0)
            while rows := await asyncio.to_thread(next_slice, spool):
                if stopped:
                    rows = [row for row in rows if row.fate == RowFate.INVALID]
                await self._store(job, rows)
        if not stopped:
            return None
        rows_are = "1 row is" if progress.invalid == 1 else f"{progress.invalid} rows are"
        return ImportProblem.BAD_ROWS, f"{rows_are} not valid, so nothing was stored; the report names them"

    async def _read(self, file: BinaryIO, spool: BinaryIO, said: Mapping[str, str | None], progress: Progress) -> None:
        """Read the file in a thread, which has ended when this has, also where it is cancelled."""
        reading = asyncio.ensure_future(
            asyncio.to_thread(read_rows, file, spool, progress, said=said, phone=self._phone, max_rows=self._max_rows)
        )
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            progress.stopped = True
            await asyncio.wait([reading])
            error = reading.exception()
            if error is not None and not isinstance(error, ReadingStopped):
                log.info("import_unreadable", error=type(error).__name__)
            raise

    async def _store(self, job: Job, rows: list[Judged]) -> None:
        if rows:
            async with self._db.write(bulk=True) as tx:
                await store_slice(tx, job, rows)

    async def _beat(self, job: Job, progress: Progress) -> None:
        """Tell that we live, and how far the reading is."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                async with self._db.write() as tx:
                    now = await read_now(tx)
                    await queries.update_job(tx, job.import_id, beat_at=now, rows_read=progress.rows)
            except (SQLAlchemyError, OSError) as error:
                log.warning("import_unheard", import_id=job.import_id, error=type(error).__name__)

    async def _end(self, job: Job, problem: Problem | None) -> None:
        state = ImportState.FAILED if problem else ImportState.DONE
        code, error = problem or (None, None)
        try:
            async with self._db.write() as tx:
                now = await read_now(tx)
                await queries.update_job(tx, job.import_id, state=state, error_code=code, error=error, finished_at=now)
        except (SQLAlchemyError, OSError) as failure:  # after a while it counts as interrupted
            log.error("import_end_unwritten", import_id=job.import_id, error=type(failure).__name__)
            return
        log.info("import_ended", import_id=job.import_id, state=str(state), problem=code and str(code))

"""What is done by the clock. The scheduler only triggers; what to do is decided by the time that it is given."""

from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import SQLAlchemyError

from admin.console.overview import throughput
from campaigns.audience.importing.running import ImportRuns
from campaigns.schedules.skips import tell_what_was_left
from campaigns.schedules.starting import sweep_abandoned
from campaigns.sending.retention import forget_old
from gateway.auth.logins import Logins
from gateway.composition.console import Console
from gateway.db import Database, read_now
from gateway.idempotency import keys as idempotency_keys
from gateway.limits.windows import forget_old as forget_windows
from gateway.notifications.retention import forget_old as forget_events
from gateway.notifications.webhooks import retention as webhook_retention
from sessions import history
from sessions.keepalive.sweep import KeepaliveSweep

log = structlog.get_logger()

FIRST_SWEEP_SECONDS = 20.0
TELL_SECONDS = 10
"""How soon what a process that died had still to tell is told; where there is nothing it is one look into an index."""


def build_chores(
    db: Database, keepalive: KeepaliveSweep, logins: Logins, imports: ImportRuns, console: Console
) -> AsyncIOScheduler:
    """The chores: each hour sessions are kept alive and what is too old is forgotten; the console's curve; telling."""

    async def retention() -> None:
        async with db.read() as connection:
            now = await read_now(connection)
        await forget_old(db, now)
        await sweep_abandoned(db)
        await history.forget_old(db, now)
        await logins.forget_old(now)
        await imports.forget_old(now)
        await forget_windows(db, now)
        await forget_events(db, now)
        await idempotency_keys.forget_old(db, now)
        await webhook_retention.forget_old(db, now)
        await console.door.forget_old(now)
        await throughput.forget_old(db, now)

    async def keep_alive() -> None:
        async with db.read() as connection:
            now = await read_now(connection)
        await keepalive.run(now)

    async def finish_telling() -> None:
        try:
            await tell_what_was_left(db)
        except SQLAlchemyError as error:
            log.info("skipped_not_told", error=type(error).__name__)

    async def sample_throughput() -> None:
        try:
            await console.sampler.sample()
        except SQLAlchemyError as error:
            log.info("throughput_not_noted", error=type(error).__name__)

    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(sample_throughput, "interval", seconds=throughput.EVERY_SECONDS, coalesce=True, max_instances=1)
    scheduler.add_job(finish_telling, "interval", seconds=TELL_SECONDS, coalesce=True, max_instances=1)
    scheduler.add_job(retention, "interval", hours=1, coalesce=True, max_instances=1)
    soon = datetime.now(UTC) + timedelta(seconds=FIRST_SWEEP_SECONDS)  # also where nobody lets it run for an hour
    scheduler.add_job(keep_alive, "interval", hours=1, coalesce=True, max_instances=1, next_run_time=soon)
    return scheduler

"""What is done by the clock. The scheduler only triggers; what to do is decided by the time that it is given."""

import random
from collections.abc import Awaitable, Callable
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
FIRST_RETENTION = (60.0, 120.0)
"""Between these seconds after the start."""
TELL_SECONDS = 10
"""How soon what a process that died had still to tell is told; where there is nothing it is one look into an index."""


def build_chores(
    db: Database, keepalive: KeepaliveSweep, logins: Logins, imports: ImportRuns, console: Console
) -> AsyncIOScheduler:
    """The chores: each hour sessions are kept alive and what is too old is forgotten; the console's curve; telling."""

    async def retention() -> None:
        """Each of them by itself: one that fails keeps no other from its work."""
        async with db.read() as connection:
            now = await read_now(connection)
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "messages": lambda: forget_old(db, now),
            "starts": lambda: sweep_abandoned(db),
            "history": lambda: history.forget_old(db, now),
            "logins": lambda: logins.forget_old(now),
            "imports": lambda: imports.forget_old(now),
            "windows": lambda: forget_windows(db, now),
            "events": lambda: forget_events(db, now),
            "idempotency_keys": lambda: idempotency_keys.forget_old(db, now),
            "webhooks": lambda: webhook_retention.forget_old(db, now),
            "console": lambda: console.door.forget_old(now),
            "throughput": lambda: throughput.forget_old(db, now),
        }
        for name, step in steps.items():
            try:
                await step()
            except Exception:
                log.exception("not_forgotten", what=name)

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

    # what was missed while the process, or the machine, stood still is done late: once, and not an hour later
    late = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    now = datetime.now(UTC)  # the hourly ones begin soon, also where nobody lets it run for an hour
    soon, later = (now + timedelta(seconds=seconds) for seconds in (FIRST_SWEEP_SECONDS, _spread(FIRST_RETENTION)))
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=late)
    scheduler.add_job(sample_throughput, "interval", seconds=throughput.EVERY_SECONDS)
    scheduler.add_job(finish_telling, "interval", seconds=TELL_SECONDS)
    scheduler.add_job(retention, "interval", hours=1, next_run_time=later)
    scheduler.add_job(keep_alive, "interval", hours=1, next_run_time=soon)
    return scheduler


def _spread(seconds: tuple[float, float]) -> float:
    """A moment of one's own, so that replicas that start together do not do the same together."""
    return random.uniform(*seconds)  # noqa: S311 - not a secret

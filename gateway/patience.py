"""Patience at the start of a replica: a lock that another replica holds is waited for, and the log says so.

A replica that has frozen in the middle of a transaction keeps its locks for a lease, and whoever waits in line behind
it for as long again. While a gateway runs, its loops try again by themselves; one that starts has no loop yet, and to
end because of a neighbour would be the wrong answer.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import Database, LockWaitEnded

log = structlog.get_logger()

PATIENCE_SECONDS = 30.0
"""How long such locks are waited for in all: longer than any transaction of a replica, frozen or not, may last."""

Result = TypeVar("Result")


async def write_patiently(db: Database, work: Callable[[AsyncConnection], Awaitable[Result]], doing: str) -> Result:
    """Do `work` in a transaction, again and again while it cannot have its locks; `doing` is its name in the log.

    Raises:
        LockWaitEnded: somebody has kept them for `PATIENCE_SECONDS`.
    """
    gives_up_at = db.clock.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            async with db.write() as tx:
                return await work(tx)
        except LockWaitEnded as error:
            if db.clock.monotonic() >= gives_up_at:
                raise
            log.warning("start_waits_for_a_lock", doing=doing, reason=str(error))

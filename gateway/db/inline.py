"""Writing to SQLite in place: statements are executed in the event loop's thread, where they are called."""

import asyncio
import time
from contextlib import ExitStack
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

BUSY_SECONDS = 10
"""How long another program that holds the SQLite file is waited for."""
BUSY_POLL_SECONDS = 0.01
POLITE_SECONDS = 0.002
"""How long a transaction keeps the event loop to itself."""


class Inline(AsyncConnection):
    """A connection whose statements are executed at once, where they are called."""

    def __init__(self, connection: Connection) -> None:
        self.sync_connection = connection
        self._execute = connection.execute
        self._since = time.perf_counter()

    async def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        """As SQLAlchemy's, in this thread; now and then others get their turn."""
        if time.perf_counter() - self._since > POLITE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
        return self._execute(statement, parameters, execution_options=execution_options)

    async def run_sync(self, fn: Any, *arg: Any, **kw: Any) -> Any:
        """As SQLAlchemy's, without waiting."""
        return fn(self.sync_connection, *arg, **kw)


async def begin(writer: Engine, stack: ExitStack) -> tuple[Connection, RootTransaction]:
    """A transaction that may write to SQLite; another program that holds the file is waited for in a thread."""
    ends_at = time.monotonic() + BUSY_SECONDS
    while True:
        with ExitStack() as attempt:
            connection = attempt.enter_context(writer.connect()).execution_options(gateway_write=True)
            try:
                transaction = attempt.enter_context(connection.begin())
            except OperationalError as error:
                busy = getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not busy or time.monotonic() > ends_at:
                    raise
            else:
                stack.push(attempt.pop_all())
                return connection, transaction
        await asyncio.to_thread(time.sleep, BUSY_POLL_SECONDS)


async def commit(transaction: RootTransaction) -> None:
    """Commit in a thread: this is what waits for the disk. Nobody else may write until it is done."""
    done = asyncio.get_running_loop().run_in_executor(None, transaction.commit)
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise

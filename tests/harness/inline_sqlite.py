"""SQLite on the event loop's own thread.

aiosqlite hands each step to a thread, and SQLAlchemy waits for it in a greenlet; both take longer than the step. In
virtual time nothing else may run meanwhile anyway, so a test of many days does without.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiosqlite
import pytest
import sqlalchemy.connectors.asyncio
import sqlalchemy.dialects.sqlite.aiosqlite
import sqlalchemy.ext.asyncio.engine
import sqlalchemy.util.concurrency
from sqlalchemy import RootTransaction

from gateway.db import inline

T = TypeVar("T")


def run_inline(patch: pytest.MonkeyPatch) -> None:
    """From now on, connections to SQLite that are opened work at once, where they are called."""
    patch.setattr(aiosqlite.core.Connection, "_connect", _connect)
    patch.setattr(aiosqlite.core.Connection, "_execute", _execute)
    for module in (sqlalchemy.connectors.asyncio, sqlalchemy.dialects.sqlite.aiosqlite, sqlalchemy.util.concurrency):
        patch.setattr(module, "await_", _finish)
    patch.setattr(sqlalchemy.ext.asyncio.engine, "greenlet_spawn", _call)
    patch.setattr(inline, "commit", _commit)


class _InlineQueue:
    """Takes work as the queue of aiosqlite's thread does, and does it at once."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Do one piece of work."""
        future, function = item
        result = function()
        if future is not None:
            future.set_result(result)


async def _connect(connection: Any) -> Any:
    connection._tx.put_nowait((None, lambda: aiosqlite.core._STOP_RUNNING_SENTINEL))  # its thread is not needed
    connection._tx = _InlineQueue()
    connection._connection = connection._connector()
    return connection


async def _execute(_: Any, function: Callable[..., T], *args: Any, **options: Any) -> T:
    return function(*args, **options)


async def _commit(transaction: RootTransaction) -> None:
    transaction.commit()


async def _call(function: Callable[..., T], *args: Any, _require_await: bool = False, **options: Any) -> T:
    return function(*args, **options)


def _finish(work: Awaitable[T]) -> T:
    """The result of what does not wait for anything."""
    try:
        next(iter(work.__await__()))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise RuntimeError("it waits for something")

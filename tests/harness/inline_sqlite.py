"""SQLite on the event loop's own thread.

aiosqlite hands each step to a thread and waits for it, which on a busy machine takes longer than the step. In virtual
time nothing else may run meanwhile anyway, so a test of many months does without.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite
import pytest

T = TypeVar("T")


def run_inline(patch: pytest.MonkeyPatch) -> None:
    """From now on, connections to SQLite that are opened work at once, where they are called."""
    patch.setattr(aiosqlite.core.Connection, "_connect", _connect)
    patch.setattr(aiosqlite.core.Connection, "_execute", _execute)


async def _connect(connection: Any) -> Any:
    connection._connection = connection._connector()
    return connection


async def _execute(_: Any, function: Callable[..., T], *args: Any, **options: Any) -> T:
    return function(*args, **options)

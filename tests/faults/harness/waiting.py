"""Waiting for facts: a condition is looked at again and again, and nothing sleeps for a time that was guessed."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from gateway.clock import Clock

T = TypeVar("T")
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 40.0


@overload
async def until(
    look: Callable[[], Awaitable[T]], within: float = PATIENCE_SECONDS, every: float = LOOK_SECONDS
) -> T: ...
@overload
async def until(look: Callable[[], T], within: float = PATIENCE_SECONDS, every: float = LOOK_SECONDS) -> T: ...
async def until(look: Callable[[], Any], within: float = PATIENCE_SECONDS, every: float = LOOK_SECONDS) -> Any:
    """The first answer of `look` that is true, asked each `every` seconds; AssertionError after `within`."""
    ends = time.monotonic() + within
    while True:
        answer = look()
        found = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        assert time.monotonic() < ends, f"it did not come true within {within:g} s"
        await last(every)


async def last(seconds: float) -> None:
    """Let a fault last: the only thing here that waits for a time, for that time is the fault."""
    await Clock().wait(asyncio.Event(), seconds)

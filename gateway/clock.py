"""The clock that everything of ours asks for the time, so that a test can move it.

In SQL the time is `gateway_now()` (see `gateway/db/`), which every connection answers from the same clock.
"""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """The machine's own clock."""

    def now(self) -> float:
        """Wall-clock time in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean something."""
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` on the event loop after `delay` seconds; the handle cancels it."""
        return asyncio.get_running_loop().call_later(delay, callback)

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, timeout: float | None) -> bool:
        """Wait until `event` is set or `timeout` seconds have passed; True if the event came."""
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout):
                return await event.wait()
        except TimeoutError:
            return False

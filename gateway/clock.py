"""The clock that everything of ours asks for the time, so that a test can move it.

In SQL the time is `gateway_now()` (see `gateway/db.py`), which every connection answers from the same clock.
"""

import asyncio
import time


class Clock:
    """The machine's own clock."""

    def now(self) -> float:
        """Wall-clock time in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean something."""
        return time.monotonic()

    async def wait(self, event: asyncio.Event, timeout: float | None) -> bool:
        """Wait until `event` is set or `timeout` seconds have passed; True if the event came."""
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout):
                return await event.wait()
        except TimeoutError:
            return False

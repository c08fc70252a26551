"""The simulator's clock: real time is told, simulated time is waited for."""

import asyncio
import time
from collections.abc import Callable


class Timer:
    """A callback that is due at a moment of simulated time."""

    __slots__ = ("callback", "due", "handle")

    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback = callback
        self.handle: asyncio.TimerHandle | None = None


class SimClock:
    """Whatever lasts N seconds lasts N / `speed` real seconds, also when `speed` changes in the middle.

    Timestamps that the simulator tells to others are real: `now()` is the wall clock at construction plus
    monotonic time, so that differences between two of them are true even when the wall clock is set.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = _checked(speed)
        self._wall = time.time() - time.monotonic()
        self._real_anchor = time.monotonic()
        self._simulated_anchor = 0.0
        self._timers: set[Timer] = set()
        self._ended = False

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def now(self) -> float:
        """Real seconds since the epoch."""
        return self._wall + time.monotonic()

    def now_ms(self) -> int:
        """Real milliseconds since the epoch."""
        return int(self.now() * 1000)

    def elapsed(self) -> float:
        """Simulated seconds since this clock was made; never goes back."""
        return self._simulated_anchor + (time.monotonic() - self._real_anchor) * self._speed

    def real(self, seconds: float) -> float:
        """How many real seconds `seconds` of simulated time last at the present speed."""
        return seconds / self._speed

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on; those who wait wait the rest at the new speed. ValueError if <= 0."""
        _checked(speed)
        self._simulated_anchor = self.elapsed()
        self._real_anchor = time.monotonic()
        self._speed = speed
        for timer in self._timers:
            if timer.handle is not None:
                timer.handle.cancel()
            self._arm(timer)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once after `seconds` of simulated time, unless it is cancelled before."""
        timer = Timer(self.elapsed() + seconds, callback)
        self._timers.add(timer)
        self._arm(timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer; one that has fired already is no error."""
        self._timers.discard(timer)
        if timer.handle is not None:
            timer.handle.cancel()

    def end(self) -> None:
        """Let all that is waited for come true at once, now and from now on, so that a server can stop."""
        self._ended = True
        for timer in list(self._timers):
            self.cancel(timer)
            timer.callback()

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of simulated time; not at all when that is zero or less."""
        if seconds <= 0 or self._ended:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: _finish(done))
        try:
            await done
        finally:
            self.cancel(timer)

    def _arm(self, timer: Timer) -> None:
        delay = max(0.0, timer.due - self.elapsed()) / self._speed
        timer.handle = asyncio.get_running_loop().call_later(delay, self._fire, timer)

    def _fire(self, timer: Timer) -> None:
        self._timers.discard(timer)
        timer.callback()


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _checked(speed: float) -> float:
    if not 0 < speed < float("inf"):
        raise ValueError(f"speed must be a finite number above 0, not {speed}")
    return speed

"""WhatsApp's rule that a linked device is logged out when its phone is not used for too long."""

from collections.abc import Callable

from gateway.simulator.clock import SimClock, Timer
from gateway.simulator.stored import StoredSession

DAY = 86_400.0
ROUNDING = 0.001


class PhoneWatch:
    """Removes the devices of phones that gave no sign of life for `days` (None: never).

    Each paired session has one timer, which is set anew when it fires and the phone was seen meanwhile.
    """

    def __init__(self, clock: SimClock, days: float | None, expire: Callable[[StoredSession], None]) -> None:
        self._clock = clock
        self._patience = None if days is None else days * DAY
        self._expire = expire
        self._timers: dict[int, Timer] = {}

    def seen(self, stored: StoredSession) -> None:
        """The phone of a session gave a sign of life."""
        stored.phone_seen_at = self._clock.elapsed()
        if id(stored) not in self._timers:
            self._wait(stored)

    def close(self) -> None:
        """Wait for no phone any more."""
        for timer in self._timers.values():
            self._clock.cancel(timer)
        self._timers.clear()

    def _wait(self, stored: StoredSession) -> None:
        if self._patience is not None:
            seconds = stored.phone_seen_at + self._patience - self._clock.elapsed()
            self._timers[id(stored)] = self._clock.call_later(seconds, lambda: self._look(stored))

    def _look(self, stored: StoredSession) -> None:
        del self._timers[id(stored)]
        if stored.phone is None or self._patience is None:
            return
        if self._clock.elapsed() < stored.phone_seen_at + self._patience - ROUNDING:
            self._wait(stored)
        else:
            self._expire(stored)

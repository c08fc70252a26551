"""A journal of lifecycle calls, so that a test can prove how many there were and that no two met."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gateway.simulator.clock import SimClock

Verb = Literal["create", "update", "start", "stop", "restart", "logout", "delete", "autostart"]
LIMIT = 100_000


@dataclass(slots=True)
class LifecycleCall:
    """One call; times are seconds of the simulator's clock, None while it is not over.

    `ended_at` is when it was answered, or its client went; `work_ended_at` when the server was through with it,
    which is later for a call that was answered "Maximum execution time is exceeded". A call that never got the
    session's lock has done no work. `autostart` is the server's own doing.
    """

    session: str
    verb: Verb
    started_at: float
    ended_at: float | None = None
    work_ended_at: float | None = None
    error: str | None = None


class LifecycleJournal:
    """The last 100,000 calls; `dropped` counts those that made room."""

    def __init__(self, clock: SimClock, limit: int = LIMIT) -> None:
        self.calls: deque[LifecycleCall] = deque(maxlen=limit)
        self.dropped = 0
        self._clock = clock

    @contextmanager
    def call(self, session: str, verb: Verb) -> Iterator[LifecycleCall]:
        """Write down a call while the block runs, and the error that ends it."""
        call = LifecycleCall(session, verb, self._clock.elapsed())
        self.dropped += len(self.calls) == self.calls.maxlen
        self.calls.append(call)
        try:
            yield call
        except BaseException as error:
            call.error = str(error) or type(error).__name__
            raise
        finally:
            call.ended_at = self._clock.elapsed()

    def work_ended(self, call: LifecycleCall) -> None:
        """The server is through with a call."""
        call.work_ended_at = self._clock.elapsed()

    def clear(self) -> None:
        """Forget all calls; those that still run are not written down any more."""
        self.calls.clear()
        self.dropped = 0

"""Whether time has passed evenly: for this process, and on the database's clock.

A machine that slept, or a clock that was set, may mean that WAHA slept too and carries out only now what it was given:
then an uncertain message is no older than the moment at which that ended.
"""

import math

import structlog

from campaigns.sending.lanes import JUMP_SECONDS

log = structlog.get_logger()


class Steadiness:
    """Compares the database's clock with this process's own, from turn to turn."""

    def __init__(self, longest_gap_seconds: float) -> None:
        self._longest_gap_seconds = longest_gap_seconds
        self._offset: float | None = None
        self._since = -math.inf
        self.was_set_back = True
        """Whether the database's clock may have been set back; nobody knows it of the time before the first look."""

    def look(self, now: float, monotonic: float, since_last_look: float) -> None:
        """Note both clocks; `now` is the database's."""
        offset = now - monotonic
        before = offset if self._offset is None else self._offset
        gap = max(abs(offset - before), since_last_look if self._offset is not None else 0.0)
        if gap > self._longest_gap_seconds:
            log.warning("stood_still", seconds=round(gap, 1))
            self._since = monotonic
        self.was_set_back = before - offset > JUMP_SECONDS
        self._offset = offset

    def at_most(self, age_seconds: float, monotonic: float) -> float:
        """An age, but none that reaches back to before time passed evenly."""
        return min(age_seconds, monotonic - self._since)

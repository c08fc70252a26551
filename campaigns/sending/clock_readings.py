"""How far the database's clock is ahead of this process's own: rows obey the one, timers the other.

A reading lies between two moments of ours, and tells that as exactly as the database was quick to answer. Several of
them together tell it more exactly than the last one: the clocks run evenly, and an answer that was held up is no news.
"""

import math

DRIFT = 0.001
"""How much faster than the other one of the clocks may run: twice what a clock that is put right slowly differs by."""


class ClockReadings:
    """What is known from the readings so far. Times are seconds, each on its own clock."""

    def __init__(self) -> None:
        self._least, self._most = -math.inf, math.inf
        self._known_at = 0.0

    def note(self, before: float, now: float, after: float) -> tuple[float, float]:
        """The database's clock showed `now` at some time between `before` and `after`: when, at the soonest and latest.

        Where that contradicts what was known, one of the clocks was set, or stood still: what was known is forgotten.
        """
        drift = (after - self._known_at) * DRIFT
        least, most = max(self._least - drift, now - after), min(self._most + drift, now - before)
        if least > most:
            least, most = now - after, now - before
        self._least, self._most, self._known_at = least, most, after
        return now - most, now - least

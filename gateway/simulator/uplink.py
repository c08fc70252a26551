"""The way from a server to WhatsApp, which may be cut for a while."""

from collections.abc import Iterable

from gateway.simulator.clock import SimClock

ROUNDING = 0.001


class Uplink:
    """Which sessions of a server cannot reach WhatsApp, and for how long still."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._all_until = 0.0
        self._until: dict[str, float] = {}

    def cut(self, seconds: float, names: Iterable[str] | None) -> None:
        """Nobody reaches WhatsApp for so long, or nobody of these sessions; the last word counts."""
        until = self._clock.elapsed() + seconds
        if names is None:
            self._all_until = until
            self._until.clear()
        else:
            self._until.update(dict.fromkeys(names, until))

    def mend(self, name: str) -> None:
        """This session reaches WhatsApp, whatever was said before."""
        self._until[name] = 0.0

    def seconds_left(self, name: str) -> float:
        """For how long a session will not reach WhatsApp; 0 when it does."""
        left = self._until.get(name, self._all_until) - self._clock.elapsed()
        return left if left > ROUNDING else 0.0

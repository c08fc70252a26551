"""How often somebody may do something: counted in this process, over the last minute."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import RateLimited


class Limiter:
    """Counts what each caller does."""

    def __init__(self) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, what: str, who: str, per_minute: int) -> None:
        """Count one; 0 a minute means without limit.

        Raises:
            RateLimited: `who` has done `what` as often as is allowed in a minute; it says when to come again.
        """
        if not per_minute:
            return
        limit = RateLimitItemPerMinute(per_minute)
        if not self._windows.hit(limit, what, who):
            stats = self._windows.get_window_stats(limit, what, who)
            raise RateLimited(f"at most {per_minute} {what} a minute without a credential", again_at=stats.reset_time)

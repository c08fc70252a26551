"""How many messages a caller may ask for in a minute: a client its own number, everybody else the general one."""

from dataclasses import dataclass

from gateway.auth.access import Caller
from gateway.auth.clients.queries import find_client
from gateway.db import Database
from gateway.limits.meter import Meter, site_of

MESSAGES, CHECKS = "messages", "number checks"


@dataclass(frozen=True, slots=True)
class Rate:
    """Whose minute it is, and how much fits into it; 0 is without limit."""

    meter: Meter
    who: str
    per_minute: int

    async def hit(self, what: str = MESSAGES) -> None:
        """Count one more; raises `RateLimited` where it is too many."""
        await self.meter.hit(what, self.who, self.per_minute)


class Rates:
    """Finds the rates of callers."""

    def __init__(self, db: Database, meter: Meter, per_minute: int) -> None:
        self._db = db
        self._meter = meter
        self._per_minute = per_minute

    async def of(self, caller: Caller, address: str) -> Rate:
        """A caller's rate; one without a credential has an address only. The operator is not limited."""
        if caller.is_admin:
            return Rate(self._meter, "operator", 0)
        per_minute = self._per_minute
        if caller.client is not None:
            async with self._db.read() as connection:
                row = await find_client(connection, caller.client.client_id)
            if row is not None and row.messages_per_minute is not None:
                per_minute = row.messages_per_minute
        return Rate(self._meter, caller.identity or f"address {site_of(address)}", per_minute)

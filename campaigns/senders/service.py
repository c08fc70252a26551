"""Senders as they send: how their sessions are, and how much they have sent and may send."""

from dataclasses import dataclass

from campaigns.audience.phone_search import digits_meant
from campaigns.senders.queries import Filters, list_senders
from campaigns.sending.lanes import read_delays
from campaigns.sending.sender_limits import SenderLimits, limits_of
from gateway.auth.access import PhoneReader, Scope
from gateway.db import AnyRow, Database, read_now


@dataclass(frozen=True, slots=True)
class SenderView:
    """One sender: the row of its session, and the limits that hold."""

    row: AnyRow
    limits: SenderLimits


class SenderReader:
    """Reads senders; `daily_cap` is the general one (0: none)."""

    def __init__(self, db: Database, phones: PhoneReader, *, daily_cap: int) -> None:
        self._db = db
        self.phones = phones
        self._daily_cap = daily_cap

    async def page(
        self, scope: Scope, states: list[str], server: str, search: str, offset: int, limit: int
    ) -> tuple[list[SenderView], int]:
        """Some senders, by number, and how many there are. `search` is in their names and numbers."""
        text = search.strip()
        filters = Filters(states, server, text, digits_meant(text, self.phones.read))
        async with self._db.read() as connection:
            rows, total = await list_senders(connection, scope, filters, offset, limit)
            general = (await read_delays(connection)).message
            now = await read_now(connection)
        return [SenderView(row, limits_of(row, general, self._daily_cap, now)) for row in rows], total

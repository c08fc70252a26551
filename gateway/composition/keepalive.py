"""What keeps sessions alive, and what it learns from."""

from dataclasses import dataclass

from campaigns.sending import queries as sending_queries
from gateway.clock import Clock
from gateway.db import Database
from gateway.events import EventBus
from gateway.settings import Settings
from sessions.keepalive.clocks import Periods
from sessions.keepalive.evidence import PhoneEvidence, SendEvidence, Sends, SendsOf
from sessions.keepalive.pings import Pinger
from sessions.keepalive.sweep import KeepaliveSweep
from sessions.servers.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The sweep, its pings, and the two kinds of evidence that a session lives."""

    periods: Periods
    sweep: KeepaliveSweep
    pinger: Pinger
    sends: SendEvidence
    phones: PhoneEvidence

    async def stop(self) -> None:
        """End what is under way."""
        await self.pinger.stop()
        await self.sends.stop()
        await self.phones.stop()


def build_keepalive(settings: Settings, db: Database, bus: EventBus, clock: Clock, fleet: Fleet) -> Keepalive:
    """The parts that keep sessions alive."""
    lengths = settings.sessions
    periods = Periods.of_days(lengths.keepalive_days, lengths.expiry_days, lengths.warn_days)
    return Keepalive(
        periods=periods,
        sweep=KeepaliveSweep(db, bus, periods, lead_seconds=settings.waha.sweep_seconds),
        pinger=Pinger(db, bus, clock, fleet, periods, ahead_seconds=settings.waha.sweep_seconds),
        sends=SendEvidence(db, clock, sends_of(db)),
        phones=PhoneEvidence(db, clock),
    )


def sends_of(db: Database) -> SendsOf:
    """What the queue knows of a server's sends, for those who may not look into the queue."""

    async def sends(server_id: str) -> Sends:
        async with db.read() as connection:
            rows = await sending_queries.sends_on(connection, server_id)
        return {row.sender_id: (row.sent_total, row.last_answer_at) for row in rows}

    return sends

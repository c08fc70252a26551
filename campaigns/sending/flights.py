"""Flights: what one replica has claimed and not settled yet. Times are this process's own, monotonic."""

import asyncio
import math
from dataclasses import dataclass

from campaigns.sending.outcomes import Claim

APART_SECONDS = 0.0007
"""About twice what a send takes of one core: the rest is for the turns, and for whoever asks meanwhile."""


@dataclass(slots=True, eq=False)
class Flight:
    """One claim on its way: armed (a timer), then fired (a task). `age_seconds`: since WAHA first had the message.

    An armed one fires at `fires_at`. What has not been handed over by `closes_at`, or before it is `recalled`, stays
    here.
    """

    claim: Claim
    lease_until: float
    renewed_at: float
    born_at: float
    age_seconds: float
    closes_at: float = math.inf
    fires_at: float = math.inf
    recalled: bool = False
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class Flights:
    """The flights of one replica by sender, and how long each may still count on its lane.

    A lease is renewed when a quarter of it has passed, and is given up on where a flight takes longer than a send can.
    """

    def __init__(self, lease_seconds: float, give_up_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._give_up_seconds = give_up_seconds
        self._by_sender: dict[int, Flight] = {}
        self.under_way = 0

    def __len__(self) -> int:
        return len(self._by_sender)

    def begin(self, claim: Claim, at: float, age_seconds: float, closes_at: float = math.inf) -> Flight:
        """A flight whose lease was asked for at `at`: it never begins later than we think."""
        flight = Flight(claim, at + self._lease_seconds, at, at, age_seconds, closes_at)
        self._by_sender[claim.sender_id] = flight
        return flight

    def fired(self, flight: Flight, task: asyncio.Task[None]) -> None:
        """It is under way."""
        flight.task = task
        self.under_way += 1

    def end(self, flight: Flight) -> None:
        """It has an outcome."""
        if self._by_sender.get(flight.claim.sender_id) is flight:
            del self._by_sender[flight.claim.sender_id]
        self.under_way -= flight.task is not None

    def holds(self, flight: Flight, now: float) -> bool:
        """Whether it may go, and its lane is surely still ours.

        Not where the lease is nearly over, for another may have it by now.
        """
        may_go = not flight.recalled and now < flight.closes_at
        return may_go and now <= flight.lease_until - self._lease_seconds / 5

    def all(self) -> list[Flight]:
        """Those that have no outcome yet."""
        return list(self._by_sender.values())

    def armed(self) -> list[tuple[float, Claim]]:
        """What is armed, and when it is to fire."""
        return [(flight.fires_at, flight.claim) for flight in self._by_sender.values() if flight.timer is not None]

    def tasks(self) -> list[asyncio.Task[None]]:
        """Those that are under way."""
        return [flight.task for flight in self._by_sender.values() if flight.task is not None]

    def to_renew(self, now: float) -> list[Flight]:
        """Those whose lease has aged; not one that ran out while this process stood still, for it may be another's."""
        return [
            flight
            for flight in self._by_sender.values()
            if now - flight.renewed_at >= self._lease_seconds / 4
            and now < flight.lease_until
            and now - flight.born_at < self._give_up_seconds
        ]

    def renewed(self, flights: list[Flight], at: float, kept: set[int]) -> None:
        """Leases were renewed, as asked for at `at`, of the senders `kept`; the others' lanes are somebody else's."""
        for flight in flights:
            ours = flight.claim.sender_id in kept
            flight.renewed_at, flight.lease_until = at, at + self._lease_seconds if ours else -math.inf


class Starts:
    """Spreads sends that are due at the same moment, so that their answers are read when they come.

    All lanes of a long list begin at once; they would also be due at once ever after, and late by the time that the
    whole list takes. Only lanes that rest between two messages are spread, and no further than messages are claimed.
    """

    def __init__(self, horizon_seconds: float) -> None:
        self._horizon_seconds = horizon_seconds
        self._next_at = 0.0
        self.spreading = False

    def room(self, now: float, batch: int) -> int:
        """How many messages may be claimed now, of at most `batch`."""
        if not self.spreading:
            return batch
        return min(batch, max(0, int((self._horizon_seconds - max(0.0, self._next_at - now)) / APART_SECONDS)))

    def start_at(self, at: float, now: float) -> float:
        """When a message that is due `at` starts."""
        if not self.spreading or at > now:
            return at
        start = max(now, self._next_at)
        self._next_at = start + APART_SECONDS
        return start

    @property
    def look_at(self) -> float:
        """When there is room again."""
        return self._next_at - self._horizon_seconds / 2

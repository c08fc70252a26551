"""The dispatcher: one loop that lets every lane send when it may, and never sooner.

What wakes it: an answer that came in, news (work added, delays changed, a campaign halted), or the next lane's
time. Each round is one transaction that settles all answers since the last one and claims what is due within the
next quarter of a second (`queue.take_turn`). A claimed message is armed: a timer fires it at its very time, and
until then it can still be taken back. Each fired message is one task, which always ends in exactly one outcome.

How it ends: `stop` takes back what is armed, gives what is in flight a grace, and settles the rest as uncertain.
A process that dies instead leaves leases that run out: the lane is then due again, with the message to reconcile.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Task, Turn
from campaigns.sending.queue import take_turn
from campaigns.sending.transmitter import Transmitter
from gateway.clock import Clock
from gateway.db import Database
from gateway.events import (
    CampaignFinished,
    CampaignHalted,
    DelaysChanged,
    EventBus,
    SessionNoted,
    SessionStateChanged,
    WorkAdded,
)
from sessions.history import Kind

log = structlog.get_logger()

MAX_REST_SECONDS = 0.25
LINGER_SECONDS = 0.002
DRAIN_SECONDS = 8.0
SETTLE_SECONDS = 1.5


@dataclass(slots=True, eq=False)
class _Flight:
    """One claim on its way: armed (a timer), then fired (a task). Times are monotonic."""

    claim: Claim
    lease_until: float
    renewed_at: float
    born_at: float
    age_seconds: float
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class Dispatcher:
    """Runs the lanes of one replica."""

    def __init__(
        self,
        db: Database,
        transmitter: Transmitter,
        bus: EventBus,
        clock: Clock,
        settings: QueueSettings,
        *,
        timeout_seconds: float,
    ) -> None:
        self._db = db
        self._transmitter = transmitter
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._give_up_seconds = timeout_seconds + 30.0
        self._flights: dict[int, _Flight] = {}
        self._outcomes: list[tuple[Claim, Outcome]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_look = 0.0
        self._last_turn = 0.0
        self._look_at_fallen = 0.0
        self._offset: float | None = None
        self._steady_since = -math.inf
        self._taken_back: list[Callable[[Claim], bool]] = []
        self._loop: asyncio.Task[None] | None = None
        bus.subscribe(WorkAdded, lambda _: self.wake())
        bus.subscribe(DelaysChanged, lambda _: self._take_back(lambda _claim: True))
        bus.subscribe(CampaignHalted, lambda e: self._take_back(lambda claim: claim.campaign_id == e.campaign_id))
        bus.subscribe(SessionStateChanged, self._on_session)
        bus.subscribe(SessionNoted, self._on_note)

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to dispatch, on the running event loop."""
        self._loop = asyncio.create_task(self._run(), name="dispatcher")

    def halt(self) -> None:
        """Start nothing more, from this moment on."""
        self._stopping = True
        self._take_back(lambda _claim: True)

    async def stop(self, grace_seconds: float = DRAIN_SECONDS) -> None:
        """No new sends from now on; what is in flight gets `grace_seconds`, then is settled as uncertain."""
        self.halt()
        tasks = [flight.task for flight in self._flights.values() if flight.task]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self.wake()
        if self._loop is not None:
            # a database that is away now is told later: the leases run out, and the lanes are due again
            _, unsettled = await asyncio.wait([self._loop], timeout=SETTLE_SECONDS)
            for loop in unsettled:
                log.error("stopped_unsettled", outcomes=len(self._outcomes))
                loop.cancel()

    def wake(self) -> None:
        """Have the loop look now."""
        self._next_look = 0.0
        self._wake.set()

    @property
    def running(self) -> bool:
        """Whether the loop is alive."""
        return self._loop is not None and not self._loop.done()

    @property
    def in_flight(self) -> int:
        """How many messages are armed or under way."""
        return len(self._flights)

    # --- the loop -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._stopping or self._outcomes or self._flights:
            await self._rest(failures)
            failures = 0 if await self._turn() else failures + 1

    async def _rest(self, failures: int) -> None:
        """Wait for a reason to look: an outcome, news, a lane's time, or a lease to renew."""
        if failures:
            await self._clock.wait(asyncio.Event(), min(0.1 * 2**failures, 2.0))
            return
        since = self._clock.monotonic() - self._last_turn
        if since < LINGER_SECONDS:  # what is answered within these moments shares a transaction
            await self._clock.sleep(LINGER_SECONDS - since)
        pause = min(self._next_look - self._clock.monotonic(), MAX_REST_SECONDS)
        if pause > 0 and not self._outcomes:
            await self._clock.wait(self._wake, pause)
        self._wake.clear()

    async def _turn(self) -> bool:
        """One transaction: settle, renew, claim. False if the database refused; nothing is lost by that."""
        outcomes, self._outcomes = self._outcomes, []
        self._taken_back.clear()
        before, started = self._last_turn, self._clock.monotonic()
        self._last_turn = started
        try:
            async with self._db.write() as tx:
                turn = await take_turn(
                    tx,
                    self._settings,
                    outcomes,
                    self._to_renew(started),
                    self._clock,
                    claiming=not self._stopping,
                    looking_for_fallen=started >= self._look_at_fallen,
                )
        except (SQLAlchemyError, OSError) as error:
            self._outcomes = outcomes + self._outcomes
            log.error("turn_failed", error=str(error), outcomes=len(self._outcomes))
            return False
        self._note_renewed(started)
        self._notice_standstill(turn, started - before)
        if started >= self._look_at_fallen:
            self._look_at_fallen = started + self._settings.poll_seconds
        for claim in turn.claims:
            self._arm(claim, turn, started)
        self._next_look = turn.monotonic + turn.next_due_at - turn.now - self._settings.horizon_seconds
        self._report(turn)
        return True

    def _notice_standstill(self, turn: Turn, since_last_turn: float) -> None:
        """The machine has slept, or its time was set: WAHA may have slept too, and carry out only now what it had."""
        offset = turn.now - turn.monotonic
        jump = 0.0 if self._offset is None else abs(offset - self._offset)
        if self._offset is not None and max(jump, since_last_turn) > self._settings.lease_seconds:
            log.warning("stood_still", seconds=round(max(jump, since_last_turn), 1))
            self._steady_since = turn.monotonic
        self._offset = offset

    def _report(self, turn: Turn) -> None:
        for claim in turn.lost:
            log.warning("lane_taken_over", message_id=claim.message_id, campaign_id=claim.campaign_id)
        for campaign_id, state in turn.finished:
            log.info("campaign_finished", campaign_id=campaign_id, state=state)
            self._bus.publish(CampaignFinished(campaign_id, state))
        turn.diary.tell(self._bus)

    # --- leases -------------------------------------------------------------------------------------------------

    def _to_renew(self, now: float) -> list[Claim]:
        """Flights whose lease has aged a quarter; one that is wedged loses its lane."""
        every = self._settings.lease_seconds / 4
        return [
            flight.claim
            for flight in self._flights.values()
            if now - flight.renewed_at >= every
            and now < flight.lease_until  # one that ran out while this process stood still may be another's by now
            and now - flight.born_at < self._give_up_seconds
        ]

    def _note_renewed(self, started: float) -> None:
        for claim in self._to_renew(started):
            if flight := self._flights.get(claim.sender_id):
                flight.renewed_at = started
                flight.lease_until = started + self._settings.lease_seconds

    # --- flights ------------------------------------------------------------------------------------------------

    def _arm(self, claim: Claim, turn: Turn, started: float) -> None:
        flight = _Flight(
            claim=claim,
            lease_until=started + self._settings.lease_seconds,
            renewed_at=started,
            born_at=started,
            age_seconds=min(max(claim.fire_at, turn.now) - claim.started_at, turn.monotonic - self._steady_since),
        )
        self._flights[claim.sender_id] = flight
        halted = claim.task is Task.SEND and any(chosen(claim) for chosen in self._taken_back)
        if self._stopping or halted:  # by what came while the turn was under way
            self._end(flight, _unfired(claim))
            return
        delay = turn.monotonic + claim.fire_at - turn.now - self._clock.monotonic()
        if delay > 0:
            flight.timer = self._clock.call_later(delay, lambda: self._fire(flight))
        else:
            self._fire(flight)

    def _fire(self, flight: _Flight) -> None:
        """The moment has come: unless the lease is nearly over, for then another may hold the lane by now."""
        flight.timer = None
        if self._clock.monotonic() > flight.lease_until - self._settings.lease_seconds / 5:
            self._end(flight, _unfired(flight.claim))
            return
        flight.task = asyncio.create_task(self._fly(flight))

    async def _fly(self, flight: _Flight) -> None:
        """Carry one claim out; whatever happens ends in one outcome."""
        outcome: Outcome | None = None
        try:
            outcome = await self._transmitter.carry_out(flight.claim, flight.age_seconds)
        except asyncio.CancelledError:
            outcome = self._unknown("interrupted by a shutdown")
        except Exception:
            log.exception("carry_out_failed", message_id=flight.claim.message_id)
            outcome = self._unknown("an internal error")
        finally:
            self._end(flight, outcome or self._unknown("interrupted"))

    def _unknown(self, reason: str) -> Outcome:
        return Outcome(Result.UNCERTAIN, "uncertain", reason, 1.0, True, self._clock.monotonic())

    def _end(self, flight: _Flight, outcome: Outcome) -> None:
        if self._flights.get(flight.claim.sender_id) is flight:
            del self._flights[flight.claim.sender_id]
        self._outcomes.append((flight.claim, outcome))
        self._wake.set()

    def _take_back(self, chosen: Callable[[Claim], bool]) -> None:
        """Disarm what has not been fired yet; it goes back to the queue, and its lane's time is computed anew.

        What a turn that is under way claims meanwhile is taken back as soon as it is here.
        """
        self._taken_back.append(chosen)
        for flight in list(self._flights.values()):
            if flight.timer is not None and flight.claim.task is Task.SEND and chosen(flight.claim):
                flight.timer.cancel()
                self._end(flight, _unfired(flight.claim))
        self.wake()

    def _on_session(self, event: SessionStateChanged) -> None:
        if not event.connected:
            self._take_back(lambda claim: claim.sender_id == event.sender_id)
            self._look_at_fallen = 0.0
        self.wake()

    def _on_note(self, event: SessionNoted) -> None:
        if event.kind == Kind.LOCKED:  # by WhatsApp, for everybody who has not written to this number
            self._take_back(lambda claim: claim.sender_id == event.sender_id and not claim.is_reply)
            self._look_at_fallen = 0.0


def _unfired(claim: Claim) -> Outcome:
    """The end of a claim that was never carried out. What is uncertain stays so: it may have left long ago."""
    if claim.task is Task.RECONCILE:
        return Outcome(Result.ASK_AGAIN, "uncertain", "it has not been looked up yet")
    return Outcome(Result.RELEASED)

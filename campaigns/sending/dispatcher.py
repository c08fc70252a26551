"""The dispatcher: one loop that lets every lane send when it may, and never sooner.

What wakes it: an answer that came in, news (work added, delays changed, a campaign halted), or the next lane's
time. Each round is one transaction that settles all answers since the last one and claims what is due within the
next quarter of a second (`queue.take_turn`). A claimed message is armed: a timer fires it at its very time, and
until then it can still be taken back. Each fired message is one task, which always ends in exactly one outcome.

How it ends: `stop` takes back what is armed, gives what is in flight a grace, and settles the rest as uncertain.
A process that dies instead leaves leases that run out: the lane is then due again, with the message to reconcile.
"""

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from campaigns.audience.optouts.stops import Stops
from campaigns.schedules.starting import ScheduleStarter
from campaigns.sending.clock_readings import ClockReadings
from campaigns.sending.flights import Flight, Flights, Starts
from campaigns.sending.last_look import LastLook
from campaigns.sending.outcomes import Claim, Outcome, QueueSettings, Result, Task, Turn, TurnRequest
from campaigns.sending.pacing import Delays
from campaigns.sending.queue import take_turn
from campaigns.sending.steadiness import Steadiness
from campaigns.sending.transmitter import Transmitter
from gateway.clock import Clock
from gateway.db import Database, DatabaseAway
from gateway.events import (
    CampaignFinished,
    CampaignHalted,
    DelaysChanged,
    EventBus,
    SessionNoted,
    SessionStateChanged,
    StartEnded,
    WorkAdded,
)
from sessions.history import Kind

log = structlog.get_logger()

MAX_REST_SECONDS = 0.25
LEAST_REST_SECONDS = 0.002
GATHER_SECONDS = 0.03
"""How long an answer waits at most for others to share a transaction with."""
PACED_GATHER_SECONDS = 0.08
"""The same where all lanes rest meanwhile: an eighth of their delay at most."""
UNSTORABLE = "what became of it could not be stored"
EARLY_SECONDS = 1e-6
"""Seconds since 1970 as doubles are no finer."""
DRAIN_SECONDS = 8.0
SETTLE_SECONDS = 1.0


class Dispatcher:
    """Runs the lanes of one replica."""

    def __init__(
        self,
        db: Database,
        transmitter: Transmitter,
        bus: EventBus,
        clock: Clock,
        settings: QueueSettings,
        starter: ScheduleStarter,
        stops: Stops,
        *,
        timeout_seconds: float,
    ) -> None:
        self._db = db
        self._transmitter = transmitter
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._starter = starter
        self._stops = stops
        self._flights = Flights(settings.lease_seconds, give_up_seconds=timeout_seconds + 30.0)
        self._last_look = LastLook(db, clock, self._flights.armed)
        self._starts = Starts(settings.horizon_seconds)
        self._readings = ClockReadings()
        self._steadiness = Steadiness(settings.lease_seconds)
        self._outcomes: list[tuple[Claim, Outcome]] = []
        self._one_by_one = False  # while the database refuses one of them, and nobody knows which
        self._wake = asyncio.Event()
        self._stopping = False
        self._halted_at: float | None = None
        self._lanes_wait = True
        self._delays: Delays | None = None
        self._gather_seconds = GATHER_SECONDS
        self._next_look = 0.0
        self._last_turn = 0.0
        self._turned_at = clock.monotonic()
        self._settled = 0
        self._look_at_fallen = 0.0
        self._taken_back: list[Callable[[Claim], bool]] = []
        self._loop: asyncio.Task[None] | None = None
        bus.subscribe(WorkAdded, lambda _: self.wake())
        bus.subscribe(StartEnded, lambda _: self.wake())
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
        self._halted_at = self._clock.monotonic() if self._halted_at is None else self._halted_at
        self._take_back(lambda _claim: True)

    async def stop(self, grace_seconds: float = DRAIN_SECONDS) -> None:
        """No new sends from now on; what is in flight gets `grace_seconds`, then is settled as uncertain."""
        self.halt()
        tasks = self._flights.tasks()
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
    def halted_seconds(self) -> float:
        """How long ago it was told to start nothing more; 0 if it was not."""
        return 0.0 if self._halted_at is None else self._clock.monotonic() - self._halted_at

    @property
    def in_flight(self) -> int:
        """How many messages are armed or under way."""
        return len(self._flights)

    @property
    def settled(self) -> int:
        """How many outcomes this replica has settled since it was started."""
        return self._settled

    @property
    def turn_age_seconds(self) -> float:
        """How long ago the last turn was that the database took; before the first one, since there is a dispatcher."""
        return self._clock.monotonic() - self._turned_at

    # --- the loop -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._stopping or self._outcomes or len(self._flights):
            await self._rest(failures)
            failures = 0 if await self._turn() else failures + 1

    async def _rest(self, failures: int) -> None:
        """Wait for a reason to look: an outcome, news, a lane's time, or a lease to renew."""
        if failures:
            await self._clock.wait(asyncio.Event(), min(0.1 * 2.0 ** min(failures, 8), 2.0))
            return
        pause = min(self._next_look - self._clock.monotonic(), MAX_REST_SECONDS)
        await self._clock.wait(self._wake, max(pause, LEAST_REST_SECONDS))
        self._wake.clear()

    async def _turn(self) -> bool:
        """One transaction: settle, renew, claim. False if it failed; nothing is lost by that."""
        taken = 1 if self._one_by_one else len(self._outcomes)
        outcomes, self._outcomes = self._outcomes[:taken], self._outcomes[taken:]
        self._taken_back.clear()
        before, started = self._last_turn, self._clock.monotonic()
        self._last_turn = started
        renewals = self._flights.to_renew(started)
        asked = self._ask(outcomes, renewals, started)
        try:
            async with self._db.write(aside=not self._lanes_wait) as tx:
                turn = await take_turn(tx, self._settings, asked, self._clock, self._readings)
        except (DatabaseAway, OperationalError, InterfaceError, OSError) as error:  # it will be back
            log.error("turn_failed", error=str(error), outcomes=len(outcomes))
            self._outcomes = outcomes + self._outcomes
            return False
        except Exception:  # a bug, and no reason for the lanes to stand still for good
            log.exception("turn_failed", outcomes=len(outcomes))
            self._outcomes = self._less_trusted(outcomes) + self._outcomes
            self._one_by_one = bool(self._outcomes)
            return False
        self._one_by_one = self._one_by_one and bool(self._outcomes)
        self._turned_at = self._clock.monotonic()
        self._settled += len(outcomes)
        self._flights.renewed(renewals, started, turn.renewed)
        self._steadiness.look(turn.now, turn.monotonic, started - before)
        if asked.looking_for_fallen:
            self._look_at_fallen = started + self._settings.poll_seconds
        self._starter.begin(turn.due)
        self._note_delays(turn.delays)
        for claim in turn.claims:
            self._arm(claim, turn, started)
        self._next_look = max(turn.monotonic + turn.look_again_at - turn.now, self._starts.look_at)
        self._report(turn)
        if self._one_by_one:
            self.wake()
        return True

    def _ask(self, outcomes: list[tuple[Claim, Outcome]], renewals: list[Flight], started: float) -> TurnRequest:
        return TurnRequest(
            outcomes,
            [flight.claim for flight in renewals],
            room=0 if self._stopping else self._starts.room(started, self._settings.batch),
            starts=0 if self._stopping else self._starter.room,
            claiming=not self._stopping and not self._one_by_one,
            looking_for_fallen=started >= self._look_at_fallen,
            mending_times=self._steadiness.was_set_back,
            first=self._delays is None,
            delays_before=self._delays,
        )

    def _less_trusted(self, outcomes: list[tuple[Claim, Outcome]]) -> list[tuple[Claim, Outcome]]:
        """Outcomes that the database, which is there, does not take: one that is alone is told without its details.

        If that is not taken either it is let go: its lease runs out, and whoever takes the lane next looks it up.
        """
        if len(outcomes) != 1:
            return outcomes
        [(claim, outcome)] = outcomes
        if outcome.reason == UNSTORABLE:
            log.error("outcome_let_go", message_id=claim.message_id)
            return []
        if outcome.result is Result.SENT:  # that it left is sure, whatever is wrong with what else was told
            return [(claim, Outcome(Result.SENT, reason=UNSTORABLE, answered=True, answered_at=outcome.answered_at))]
        return [(claim, self._unknown(UNSTORABLE))]

    def _note_delays(self, delays: Delays) -> None:
        """Where lanes rest between two messages there is time to gather; where not, they wait for their settlement.

        A turn that nobody waits for is taken beside the event loop, which would be late for others meanwhile.
        """
        self._delays = delays
        self._starts.spreading = delays.message > 0
        self._lanes_wait = delays.message == 0
        shortest = min((delay for delay in (delays.message, delays.switch) if delay > 0), default=0.0)
        self._gather_seconds = GATHER_SECONDS if self._lanes_wait else min(PACED_GATHER_SECONDS, shortest / 8)

    def _report(self, turn: Turn) -> None:
        for claim in turn.lost:
            log.warning("lane_taken_over", message_id=claim.message_id, campaign_id=claim.campaign_id)
        for campaign_id, state in turn.finished:
            log.info("campaign_finished", campaign_id=campaign_id, state=state)
            self._bus.publish(CampaignFinished(campaign_id, state))
        for campaign_id, reason in turn.halted:
            log.warning("campaign_paused_itself", campaign_id=campaign_id, reason=reason)
            self._bus.publish(CampaignHalted(campaign_id))
        turn.diary.tell(self._bus)

    # --- flights ------------------------------------------------------------------------------------------------

    def _arm(self, claim: Claim, turn: Turn, started: float) -> None:
        age = self._steadiness.at_most(max(claim.fire_at, turn.now) - claim.started_at, turn.monotonic)
        # the database's time was read after `started`: so it closes no later than told
        flight = self._flights.begin(claim, started, age, started + claim.closes_at - turn.now)
        halted = claim.task is Task.SEND and any(chosen(claim) for chosen in self._taken_back)
        if self._stopping or halted:  # by what came while the turn was under way
            self._end(flight, _unfired(claim))
            return
        at = turn.monotonic + claim.fire_at - turn.now
        self._fire(flight, self._starts.start_at(at, self._clock.monotonic()) if claim.task is Task.SEND else at)
        if flight.timer is not None:
            self._last_look.expect(flight.fires_at)

    def _fire(self, flight: Flight, at: float) -> None:
        """Let it go as soon as the moment has come, and not before: an event loop's timers may be early."""
        delay = at - self._clock.monotonic()
        if delay > EARLY_SECONDS:
            flight.fires_at, flight.timer = at, self._clock.call_later(delay, lambda: self._fire(flight, at))
            return
        flight.timer = None
        if self._holds(flight):
            self._flights.fired(flight, asyncio.create_task(self._fly(flight)))
        else:
            self._end(flight, _unfired(flight.claim))

    def _holds(self, flight: Flight) -> bool:
        if self._stops.holds(flight.claim.accounts, flight.claim.person):
            return False
        return self._flights.holds(flight, self._clock.monotonic())

    async def _may_leave(self, flight: Flight) -> bool:
        """The last look; what this process knows is asked last, so that nothing comes between it and the send."""
        return (
            self._holds(flight)
            and await self._last_look.may_leave(flight.claim, flight.born_at)
            and self._holds(flight)
        )

    async def _fly(self, flight: Flight) -> None:
        """Carry one claim out; whatever happens ends in one outcome."""
        outcome: Outcome | None = None
        try:
            outcome = await self._transmitter.carry_out(
                flight.claim, flight.age_seconds, still_ours=lambda: self._may_leave(flight)
            )
        except asyncio.CancelledError:
            outcome = self._unknown("interrupted by a shutdown")
        except Exception:
            log.exception("carry_out_failed", message_id=flight.claim.message_id)
            outcome = self._unknown("an internal error")
        finally:
            self._end(flight, outcome or self._unknown("interrupted"))

    def _unknown(self, reason: str) -> Outcome:
        return Outcome(Result.UNCERTAIN, "uncertain", reason, 1.0, True, self._clock.monotonic())

    def _end(self, flight: Flight, outcome: Outcome) -> None:
        self._flights.end(flight)
        self._outcomes.append((flight.claim, outcome))
        if self._lanes_wait and len(self._outcomes) >= self._flights.under_way:
            self._wake.set()
        elif (own := flight.claim.own_delay) is not None:
            self._clock.call_later(min(self._gather_seconds, own / 8), self._wake.set)
        elif len(self._outcomes) == 1:
            self._clock.call_later(self._gather_seconds, self._wake.set)

    def _take_back(self, chosen: Callable[[Claim], bool]) -> None:
        """Disarm what has not been fired yet; it goes back to the queue, and its lane's time is computed anew.

        What a turn that is under way claims meanwhile is taken back as soon as it is here, and what was fired but not
        handed over (its number is being checked) as soon as that would be its next step.
        """
        self._taken_back.append(chosen)
        for flight in self._flights.all():
            if flight.claim.task is not Task.SEND or not chosen(flight.claim):
                continue
            flight.recalled = True
            if flight.timer is not None:
                flight.timer.cancel()
                flight.timer = None
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

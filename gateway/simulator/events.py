"""Events: one envelope per event, the same bytes to every WebSocket and webhook that wants it.

On their way they may be lost, repeated or late, as `EventHub.faults` says.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import orjson

from gateway.simulator.clock import SimClock, Timer
from gateway.simulator.errors import JsonObject
from gateway.simulator.event_faults import EventFaults
from gateway.simulator.ids import make_ulid

EVERYTHING_BUT = ("engine.event", "state.change")
STATUS = "session.status"


class EventSource(Protocol):
    """What an event says about the session that it happened in."""

    @property
    def name(self) -> str:
        """The session's name."""

    @property
    def config(self) -> JsonObject:
        """The session's configuration: metadata and webhooks."""

    @property
    def me(self) -> JsonObject | None:
        """Who is paired."""

    @property
    def deaf(self) -> bool:
        """Whether only its statuses are told."""


class Subscriber:
    """One WebSocket's wishes and the events that wait to be written to it; None ends it."""

    def __init__(self, session: str, events: Iterable[str]) -> None:
        self.session = session
        self.events = frozenset(events)
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def wants(self, session: str, event: str) -> bool:
        """Whether an event of that session is to be written to this socket."""
        return self.session in ("*", session) and wants_event(self.events, event)


class EventHub:
    """Hands each event to the sockets and webhooks that want it; builds nothing that nobody wants.

    `fate` decides over faults only, so that runs without any are the same as if there were none to choose from.
    """

    def __init__(
        self,
        clock: SimClock,
        rng: random.Random,
        engine: str,
        environment: Callable[[], JsonObject],
        deliver: Callable[[JsonObject, JsonObject, bytes], None],
        fate: random.Random,
    ) -> None:
        self.faults = EventFaults()
        self.fate = fate
        self._clock = clock
        self._rng = rng
        self._engine = engine
        self._environment = environment
        self._deliver = deliver
        self._subscribers: set[Subscriber] = set()
        self._late: set[Timer] = set()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Events from now on go to this socket too."""
        self._subscribers.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """No more events; unknown ones are no error."""
        self._subscribers.discard(subscriber)

    def disconnect_all(self) -> None:
        """End every socket and forget what is on its way, as a dying server does."""
        for timer in self._late:
            self._clock.cancel(timer)
        self._late.clear()
        for subscriber in list(self._subscribers):
            subscriber.queue.put_nowait(None)

    def emit(self, source: EventSource, event: str, payload: Callable[[], JsonObject]) -> None:
        """Tell an event of a session; `payload` is only called when somebody listens.

        A deaf session tells of its status and nothing else; what it did not tell is lost.
        """
        if source.deaf and event != STATUS:
            return
        sockets = [one for one in self._subscribers if one.wants(source.name, event)]
        hooks = [hook for hook in webhooks(source.config) if wants_event(hook.get("events", []), event)]
        if not sockets and not hooks:
            return
        envelope = self._envelope(source, event, payload())
        body = orjson.dumps(envelope)
        for subscriber in sockets:
            self._carry(partial(subscriber.queue.put_nowait, body))
        for hook in hooks:
            self._carry(partial(self._deliver, hook, envelope, body))

    def happens(self, probability: float) -> bool:
        """Whether a fault of that probability strikes this time."""
        return probability > 0 and self.fate.random() < probability

    def _carry(self, hand_over: Callable[[], None]) -> None:
        """Bring an event to one receiver: once and at once, unless faults want it otherwise."""
        if self.happens(self.faults.lose):
            return
        for _ in range(2 if self.happens(self.faults.repeat) else 1):
            if self.faults.reorder_seconds > 0:
                self._hold_back(self.fate.uniform(0.0, self.faults.reorder_seconds), hand_over)
            else:
                hand_over()

    def _hold_back(self, seconds: float, hand_over: Callable[[], None]) -> None:
        def arrive() -> None:
            self._late.discard(timer)
            hand_over()

        timer = self._clock.call_later(seconds, arrive)
        self._late.add(timer)

    def _envelope(self, source: EventSource, event: str, payload: JsonObject) -> JsonObject:
        now = self._clock.now_ms()
        envelope: JsonObject = {
            "id": f"evt_{make_ulid(now, self._rng)}",
            "timestamp": now,
            "event": event,
            "session": source.name,
            "metadata": source.config.get("metadata") or {},
            "payload": payload,
            "engine": self._engine,
            "environment": self._environment(),
        }
        if source.me is not None:
            envelope["me"] = source.me
        return envelope


def wants_event(wished: Iterable[str], event: str) -> bool:
    """Whether a list of event names covers an event; `*` leaves the engines' raw ones out."""
    return event in wished or ("*" in wished and event not in EVERYTHING_BUT)


def webhooks(config: JsonObject) -> list[dict[str, Any]]:
    """The webhooks of a session's configuration."""
    return config.get("webhooks") or []

"""News inside one process: dataclasses in the past tense, and the bus that carries them.

The bus is for news (wake-ups, dashboards). A fact that must not be lost is in the database before it is
published, so a lost event may cost a second and never a message. Publishing never waits: a subscriber is a
plain function that notes what it heard.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SessionStateChanged:
    """A session's state moved; `connected` tells whether its sender can send now."""

    sender_id: int
    number: str
    state: str
    connected: bool


@dataclass(frozen=True, slots=True)
class ServerReachabilityChanged:
    """A WAHA server went away or came back."""

    server_id: str
    name: str
    up: bool


@dataclass(frozen=True, slots=True)
class ServerSuspected:
    """A call found a WAHA server away: whoever watches it should look now."""

    server_id: str


@dataclass(frozen=True, slots=True)
class ServersChanged:
    """The operator added, changed or removed a WAHA server."""


@dataclass(frozen=True, slots=True)
class SessionNoted:
    """A line was added to a session's history, such as `session.expiring`; `at` is in epoch seconds."""

    sender_id: int
    number: str
    kind: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class SessionSuspected:
    """A session says that it works, and its sends say otherwise: the keeper should look at it."""

    sender_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class DelaysChanged:
    """The admin set new delays, for all or for one sender."""


@dataclass(frozen=True, slots=True)
class WorkAdded:
    """Lanes have something new to do: a campaign was submitted, resumed or retried."""


@dataclass(frozen=True, slots=True)
class StartEnded:
    """A schedule that this replica was to begin has been dealt with: there is room for the next one."""


@dataclass(frozen=True, slots=True)
class CampaignHalted:
    """A campaign was paused or cancelled: nothing of it may start from now on."""

    campaign_id: str


@dataclass(frozen=True, slots=True)
class CampaignFinished:
    """A campaign has nothing left to send."""

    campaign_id: str
    state: str


@dataclass(frozen=True, slots=True)
class EventsNumbered:
    """There is something new to tell clients (`gateway/notifications`)."""


T = TypeVar("T")


class EventBus:
    """Calls every subscriber of an event's type, in the order they subscribed."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Any], list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, kind: type[T], callback: Callable[[T], None]) -> None:
        """Have `callback` called with each event of exactly this type."""
        self._subscribers[kind].append(callback)

    def publish(self, event: object) -> None:
        """Tell all subscribers; one that raises is logged and does not stop the others."""
        for callback in self._subscribers[type(event)]:
            try:
                callback(event)
            except Exception:
                log.exception("subscriber_failed", event_type=type(event).__name__)

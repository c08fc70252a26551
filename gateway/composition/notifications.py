"""What tells clients of events: their numbers, the sockets of this replica, and webhooks."""

from dataclasses import dataclass

from gateway.auth.access import Access, PhoneReader
from gateway.clock import Clock
from gateway.db import Database
from gateway.events import EventBus
from gateway.guarded import Rules
from gateway.limits.meter import Meter
from gateway.notifications.feed import Feed
from gateway.notifications.numbering import Numbering
from gateway.notifications.sockets import LiveEvents
from gateway.notifications.webhooks.deliverer import Deliverer
from gateway.notifications.webhooks.fanning import fan_out
from gateway.notifications.webhooks.posting import PORTS, PORTS_TOLD, Poster
from gateway.notifications.webhooks.service import WebhookService
from gateway.notifications.webhooks.serving import ServingParts
from gateway.settings import Settings
from gateway.vault import Vault


@dataclass(frozen=True, slots=True)
class Notifications:
    """Numbering, and the two ways in which events leave."""

    numbering: Numbering
    feed: Feed
    live: LiveEvents
    deliverer: Deliverer
    webhooks: WebhookService

    def start(self) -> None:
        """Begin to number and to tell."""
        self.numbering.start()
        self.feed.start()
        self.deliverer.start()

    async def stop(self) -> None:
        """Close all sockets, number nothing more, and give what is being delivered back."""
        await self.feed.stop()
        await self.numbering.stop()
        await self.deliverer.stop()


@dataclass(frozen=True, slots=True)
class NotificationParts:
    """What notifications stand on."""

    db: Database
    bus: EventBus
    clock: Clock
    vault: Vault
    access: Access
    phones: PhoneReader
    meter: Meter
    replica: str


def build_notifications(settings: Settings, parts: NotificationParts) -> Notifications:
    """The parts that tell clients of events."""
    db, bus, clock = parts.db, parts.bus, parts.clock
    feed = Feed(db, bus, clock)
    rules = Rules(settings.webhooks.allow_private_addresses, PORTS, PORTS_TOLD)
    serving = ServingParts(db, clock, parts.vault, Poster(clock, rules), parts.replica)
    deliverer = Deliverer(serving, bus)
    return Notifications(
        numbering=Numbering(db, bus, clock, [fan_out]),
        feed=feed,
        live=LiveEvents(db, clock, feed, parts.access, parts.phones, most=settings.limits.sockets),
        deliverer=deliverer,
        webhooks=WebhookService(serving, rules, deliverer, parts.meter),
    )

"""The inbox: what hears people write, and how WAHA's door knows that it is stored."""

from campaigns.audience.correspondents import Correspondents
from campaigns.inbox.hearing import Hearing
from campaigns.inbox.wishes import Wishes
from campaigns.sending.receipts import Receipts
from gateway.clock import Clock
from gateway.db import Database
from gateway.events import EventBus
from gateway.settings import Settings
from sessions.news.intake import Store


def build_hearing(
    settings: Settings, db: Database, bus: EventBus, clock: Clock, correspondents: Correspondents, wishes: Wishes
) -> Hearing:
    """The part that takes messages in; `correspondents` finds out whose hidden ids are, `wishes` hears who opts out."""
    hearing = Hearing(db, bus, clock, correspondents.phone_of, wishes, reply_days=settings.inbox.reply_days)
    correspondents.on_phone(hearing.reveal)
    return hearing


def store_of(receipts: Receipts, hearing: Hearing) -> Store:
    """Where events are written that are no news of sessions: receipts, and messages that come in."""

    async def written() -> None:
        await receipts.written()
        await hearing.written()

    async def room() -> None:
        await receipts.room()
        await hearing.room()

    return Store(written, room, lambda: receipts.is_full or hearing.is_full)

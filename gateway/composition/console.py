"""The console: its door, its pages, and what they show."""

from dataclasses import dataclass

from admin.console.assets import Assets
from admin.console.door import Door, DoorParts
from admin.console.overview.figures import FigureParts, Figures
from admin.console.overview.live import Live
from admin.console.overview.throughput import Sampler
from admin.console.pages import Pages
from campaigns.sending.status import StatusReader
from gateway.clock import Clock
from gateway.composition.identity import Identity
from gateway.db import Database
from gateway.limits.meter import Meter
from gateway.settings import Settings
from sessions.keepalive.clocks import Periods


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of the console that do not need the API."""

    door: Door
    assets: Assets
    pages: Pages
    figures: Figures
    live: Live
    sampler: Sampler


def build_console(
    settings: Settings,
    db: Database,
    clock: Clock,
    identity: Identity,
    meter: Meter,
    status: StatusReader,
    periods: Periods,
) -> Console:
    """The console's parts; nothing is read or opened yet."""
    door = Door(
        DoorParts(
            db=db,
            logins=identity.logins,
            access_tokens=identity.access_tokens,
            meter=meter,
            admin_token=identity.admin_token,
            idle_seconds=settings.console.idle_minutes * 60,
            longest_seconds=settings.console.longest_hours * 3600,
            logins_per_minute=settings.limits.logins_per_minute_per_address,
        )
    )
    assets = Assets()
    pages = Pages(assets)
    figures = Figures(FigureParts(db, clock, status, periods, settings.dispatch.daily_cap))
    return Console(door, assets, pages, figures, Live(pages, figures, door, clock), Sampler(db))

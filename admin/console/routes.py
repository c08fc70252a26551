"""All that is at `/console`: the rooms, and the files that their pages load."""

from collections.abc import Iterator
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

import admin.console.campaigns.detail_router
import admin.console.campaigns.draft_router
import admin.console.campaigns.router
import admin.console.clients.router
import admin.console.groups.router
import admin.console.inbox.router
import admin.console.login_router
import admin.console.message_templates.router
import admin.console.optouts.router
import admin.console.overview.router
import admin.console.recipients.import_router
import admin.console.recipients.router
import admin.console.schedules.detail_router
import admin.console.schedules.router
import admin.console.senders.page_router
import admin.console.senders.router
import admin.console.servers.router
import admin.console.settings.router
import admin.console.tables.acting_router
import admin.console.tables.router
import admin.console.webhooks.router
from admin.console.assets import PATH as ASSETS_PATH
from admin.console.assets import Assets
from admin.console.door import Door
from admin.console.overview.figures import Figures
from admin.console.overview.live import Live
from admin.console.pages import Desk
from admin.console.tables.browsing import Browser
from gateway.clock import Clock
from gateway.db import Database
from gateway.vault import Vault


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the rooms are built from."""

    desk: Desk
    door: Door
    figures: Figures
    live: Live
    assets: Assets
    clock: Clock
    db: Database
    vault: Vault


def build_routes(parts: ConsoleParts) -> Iterator[BaseRoute]:
    """The routes of all rooms, in the order in which they are looked at."""
    desk, door = parts.desk, parts.door
    yield from admin.console.login_router.build_router(desk.pages, door).routes
    yield from admin.console.overview.router.build_router(desk, door, parts.figures, parts.live).routes
    yield from admin.console.senders.router.build_router(desk, door).routes
    yield from admin.console.senders.page_router.build_router(desk, door).routes
    yield from admin.console.servers.router.build_router(desk, door).routes
    yield from admin.console.settings.router.build_router(desk, door).routes
    yield from admin.console.campaigns.router.build_router(desk, door).routes
    yield from admin.console.campaigns.draft_router.build_router(desk, door).routes
    yield from admin.console.campaigns.detail_router.build_router(desk, door, parts.clock).routes
    yield from admin.console.inbox.router.build_router(desk, door).routes
    yield from admin.console.optouts.router.build_router(desk, door).routes
    yield from admin.console.clients.router.build_router(desk, door).routes
    yield from admin.console.webhooks.router.build_router(desk, door).routes
    browser = Browser(parts.db, parts.vault, parts.clock)
    yield from admin.console.tables.router.build_router(desk, door, browser).routes
    yield from admin.console.tables.acting_router.build_router(desk, door, browser).routes
    yield from admin.console.message_templates.router.build_router(desk, door).routes
    yield from admin.console.recipients.import_router.build_router(desk, door).routes
    yield from admin.console.recipients.router.build_router(desk, door).routes
    yield from admin.console.groups.router.build_router(desk, door).routes
    yield from admin.console.schedules.router.build_router(desk, door).routes
    yield from admin.console.schedules.detail_router.build_router(desk, door).routes
    yield Route(f"{ASSETS_PATH}/{{name:path}}", parts.assets.serve, include_in_schema=False)

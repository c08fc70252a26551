"""The routers of all rooms, each with the parts that it needs, in the order in which their routes are looked at."""

from collections.abc import Iterator

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

import admin.actions.router
import admin.clients.router
import admin.console.login_router
import admin.delay_effect
import admin.delays
import admin.health.router
import admin.held_settings
import admin.logins
import admin.router
import admin.senders
import admin.servers
import campaigns.audience.contact_reading.router
import campaigns.audience.group_router
import campaigns.audience.importing.router
import campaigns.audience.optouts.router
import campaigns.audience.router
import campaigns.doors.client_queue
import campaigns.doors.messaging.router
import campaigns.doors.support
import campaigns.inbox.router
import campaigns.reports.router
import campaigns.schedules.router
import campaigns.senders.router
import campaigns.sending.export_router
import campaigns.sending.router
import campaigns.sending.steering_router
import campaigns.sending.usual_hours_router
import campaigns.templates.router
import campaigns.uploads.router
import sessions.keeping.router
import sessions.pairing.page.router
import sessions.pairing.router
import sessions.router
from admin.actions.service import ActionService
from admin.console.own_api import OwnApi
from admin.console.pages import Desk
from admin.console.routes import ConsoleParts, build_routes
from campaigns.audience.contact_reading.service import ContactReading
from campaigns.audience.exporting import RecipientExport
from campaigns.audience.importing.service import ImportService
from campaigns.audience.numbers import CheckedNumbers
from campaigns.doors.messaging.campaigns import Campaigns
from campaigns.doors.messaging.looks import NumberLooks
from campaigns.doors.messaging.rates import Rates
from campaigns.doors.messaging.service import Messages
from campaigns.doors.singles import Singles
from campaigns.inbox.receiving import Receiving, ReceivingParts
from campaigns.inbox.service import InboxService
from campaigns.personalization.service import Personalizer
from campaigns.reports.service import ReportReader
from campaigns.senders.service import SenderReader
from campaigns.sending.delay_effect import DelayEffectReader
from campaigns.sending.exporting import MessageExport
from campaigns.sending.usual_hours import UsualHoursService
from gateway.app import LOOPBACK, Gateway
from gateway.auth.router import build_router as build_auth_router
from gateway.idempotency.header import Idempotency
from gateway.notifications.webhooks.router import build_router as build_webhook_router
from sessions.pairing.page.router import PageParts
from sessions.pairing.page.watching import Watching
from sessions.pairing.router import PairingParts


def build_routers(gateway: Gateway, version: str) -> Iterator[APIRouter]:
    """The routers of all rooms, in the order in which their routes are looked at."""
    access, idempotency = gateway.access, Idempotency(gateway.db, gateway.vault.derive("fingerprints of requests"))
    yield sessions.router.build_router(
        gateway.sessions, gateway.opening, access, gateway.keepalive.periods, idempotency
    )
    yield sessions.pairing.router.build_router(_pairing_parts(gateway, idempotency))
    yield sessions.pairing.page.router.build_router(_page_parts(gateway))
    yield sessions.keeping.router.build_router(gateway.sessions, access)
    yield campaigns.sending.router.build_router(gateway.campaigns, gateway.steering, gateway.status, access)
    yield campaigns.sending.export_router.build_router(
        MessageExport(gateway.db), gateway.steering, access, gateway.phones
    )
    yield campaigns.reports.router.build_router(ReportReader(gateway.db), gateway.steering, access, gateway.phones)
    yield campaigns.sending.steering_router.build_router(
        gateway.steering, gateway.status, access, gateway.phones, idempotency
    )
    yield campaigns.sending.usual_hours_router.build_router(UsualHoursService(gateway.db), access)
    yield campaigns.audience.contact_reading.router.build_router(_contact_reading(gateway), access)
    yield campaigns.uploads.router.build_router(gateway.uploads, access, idempotency)
    yield campaigns.templates.router.build_router(gateway.templates, access, idempotency)
    # before recipients: `groups` and `import` are no recipient's id
    yield campaigns.audience.group_router.build_router(gateway.groups, access, idempotency)
    yield campaigns.audience.importing.router.build_router(
        ImportService(gateway.db, gateway.imports), gateway.imports, access
    )
    yield campaigns.audience.router.build_router(
        gateway.recipients, RecipientExport(gateway.db, gateway.phones), access, idempotency
    )
    yield from _inbox_routers(gateway, idempotency)
    yield _messaging_router(gateway)
    yield campaigns.audience.optouts.router.build_router(
        gateway.opt_outs.service, gateway.opt_outs.imports, access, idempotency
    )
    yield build_webhook_router(gateway.notifications.webhooks, access, idempotency)
    yield campaigns.schedules.router.build_router(gateway.schedules, access, idempotency)
    yield build_auth_router(gateway.identity.logins)
    yield admin.logins.build_router(gateway.identity.users, access, idempotency)
    yield admin.clients.router.build_router(
        gateway.clients,
        gateway.phones,
        access,
        idempotency,
        messages_per_minute=gateway.settings.limits.messages_per_minute,
    )
    yield admin.router.build_router(_admin_parts(gateway, version), access)
    yield admin.delays.build_router(gateway.delays, gateway.phones, access, idempotency)
    yield admin.senders.build_router(gateway.sender_limits, gateway.phones, access)
    yield from _operator_routers(gateway)
    yield from admin.servers.build_routers(gateway.servers, gateway.mover, gateway.phones, access, idempotency)
    yield admin.health.router.build_router(gateway.health, access)
    actions = ActionService(gateway.db, gateway.steering, gateway.sessions)
    yield admin.actions.router.build_router(actions, access, idempotency)
    yield admin.console.login_router.build_link_router(gateway.console.door, access, gateway.settings.server.public_url)


def _operator_routers(gateway: Gateway) -> Iterator[APIRouter]:
    """Senders as they send, what delays would do, and the settings that hold."""
    access, settings = gateway.access, gateway.settings
    senders = SenderReader(gateway.db, gateway.phones, daily_cap=settings.dispatch.daily_cap)
    yield campaigns.senders.router.build_router(senders, access, gateway.keepalive.periods)
    yield admin.delay_effect.build_router(DelayEffectReader(gateway.db, gateway.status), access)
    yield admin.held_settings.build_router(settings, access)


def build_console_routes(gateway: Gateway, app: FastAPI) -> Iterator[BaseRoute]:
    """The console's pages and files; they call the API as `app` answers it."""
    console = gateway.console
    desk = Desk(console.pages, OwnApi(app))
    parts = ConsoleParts(
        desk=desk,
        door=console.door,
        figures=console.figures,
        live=console.live,
        assets=console.assets,
        clock=gateway.clock,
        db=gateway.db,
        vault=gateway.vault,
    )
    return build_routes(parts)


def _inbox_routers(gateway: Gateway, idempotency: Idempotency) -> Iterator[APIRouter]:
    """Conversations, and the door of the support API to them."""
    settings, service = gateway.settings, InboxService(gateway.db, gateway.campaigns)
    parts = ReceivingParts(
        db=gateway.db,
        bus=gateway.bus,
        fleet=gateway.fleet,
        intake=gateway.intake,
        hearing=gateway.hearing,
        correspondents=gateway.correspondents,
        reply_days=settings.inbox.reply_days,
        wishes=gateway.opt_outs.wishes,
    )
    yield campaigns.inbox.router.build_router(service, gateway.access, idempotency)
    yield campaigns.doors.client_queue.build_router(
        Singles(gateway.db, gateway.campaigns), gateway.recipients, gateway.access
    )
    yield campaigns.doors.support.build_router(
        service,
        Receiving(parts),
        gateway.access,
        secret=settings.waha.webhook_secret.get_secret_value(),
        trusts_anybody=settings.auth.user_access == "open" and settings.server.host in LOOPBACK,
    )


def _messaging_router(gateway: Gateway) -> APIRouter:
    """The door of the messaging API."""
    db, limits, singles = gateway.db, gateway.settings.limits, Singles(gateway.db, gateway.campaigns)
    personalization = gateway.settings.personalization
    parts = campaigns.doors.messaging.router.MessagingParts(
        db=db,
        access=gateway.access,
        rates=Rates(db, gateway.meter, limits.messages_per_minute),
        messages=Messages(db, singles, gateway.status, most=limits.messages_per_bulk),
        campaigns=Campaigns(
            db, singles, gateway.campaigns, Personalizer(personalization) if personalization.url else None
        ),
        looks=NumberLooks(db, gateway.fleet, gateway.phones, CheckedNumbers(db, "all")),
    )
    return campaigns.doors.messaging.router.build_router(parts)


def _contact_reading(gateway: Gateway) -> ContactReading:
    settings = gateway.settings
    return ContactReading(gateway.imports.folder, settings.phone, max_rows=settings.limits.recipients_per_campaign)


def _pairing_parts(gateway: Gateway, idempotency: Idempotency) -> PairingParts:
    return PairingParts(
        pairing=gateway.pairing,
        streams=gateway.streams,
        other_ways=gateway.other_ways,
        phones=gateway.phones,
        access=gateway.access,
        idempotency=idempotency,
    )


def _page_parts(gateway: Gateway) -> PageParts:
    watching = Watching(gateway.pair_links, gateway.pairing, gateway.streams, gateway.other_ways, gateway.clock)
    return PageParts(
        links=gateway.pair_links,
        watching=watching,
        pairing=gateway.pairing,
        phones=gateway.phones,
        access=gateway.access,
        meter=gateway.meter,
        per_minute=gateway.settings.limits.pair_page_per_minute,
        public_url=gateway.settings.server.public_url,
    )


def _admin_parts(gateway: Gateway, version: str) -> admin.router.AdminParts:
    return admin.router.AdminParts(
        db=gateway.db,
        clock=gateway.clock,
        phones=gateway.phones,
        sessions=gateway.sessions,
        status=gateway.status,
        in_flight=lambda: gateway.dispatcher.in_flight,
        latency=lambda: gateway.transmitter.latency_seconds,
        started_at=gateway.clock.monotonic(),
        periods=gateway.keepalive.periods,
        version=version,
    )

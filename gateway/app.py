"""The composition root: builds every part in order, and closes them in reverse. Nobody imports it but the command."""

import asyncio
from dataclasses import dataclass
from importlib.metadata import version as package_version

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from admin.clients.service import ClientService
from admin.health.service import HealthParts, HealthService
from campaigns.audience.correspondents import Correspondents
from campaigns.audience.groups import GroupService
from campaigns.audience.importing.running import ImportRuns
from campaigns.audience.numbers import CheckedNumbers
from campaigns.audience.optouts.stops import Stops
from campaigns.audience.service import RecipientService
from campaigns.inbox.hearing import Hearing
from campaigns.schedules.service import ScheduleService
from campaigns.schedules.starting import ScheduleStarter, expire_starts
from campaigns.schedules.uses import uses_of_group, uses_of_template
from campaigns.sending import queries as sending_queries
from campaigns.sending.addressing import Addresses
from campaigns.sending.delays import DelayService
from campaigns.sending.dispatcher import Dispatcher
from campaigns.sending.forecasting import Forecaster
from campaigns.sending.outcomes import QueueSettings
from campaigns.sending.pacing import Delays
from campaigns.sending.receipts import Receipts
from campaigns.sending.recovery import expire_leases
from campaigns.sending.refusals import Refusals
from campaigns.sending.retry import hold_seconds
from campaigns.sending.sender_limits import SenderLimitService
from campaigns.sending.service import CampaignService
from campaigns.sending.status import StatusReader
from campaigns.sending.steering import Steering
from campaigns.sending.suspicion import Suspicions
from campaigns.sending.transmitter import Transmitter, TransmitterSettings
from campaigns.templates.service import TemplateService
from campaigns.uploads.service import Uploads
from gateway import schema
from gateway.auth.access import Access, PhoneReader
from gateway.clock import Clock
from gateway.composition.chores import build_chores
from gateway.composition.console import Console, build_console
from gateway.composition.identity import Identity, build_identity, build_meter, build_windows
from gateway.composition.inbox import build_hearing, store_of
from gateway.composition.keepalive import Keepalive, build_keepalive, sends_of
from gateway.composition.notifications import NotificationParts, Notifications, build_notifications
from gateway.composition.opt_outs import OptOuts, build_opt_outs
from gateway.db import Database
from gateway.events import EventBus
from gateway.hints import Hints
from gateway.http.traffic import Traffic
from gateway.ids import make_id
from gateway.limits.meter import Meter
from gateway.limits.windows import RedisWindows
from gateway.settings import Settings, SettingsError
from gateway.vault import Vault
from sessions.keeping.keeper import Keeper, KeeperParts
from sessions.lifecycle import Lifecycle, WebhookTarget
from sessions.manager import SessionManager
from sessions.news.intake import Intake
from sessions.news.state_writer import StateWriter
from sessions.news.watch import StreamFactory, WatchParts, open_stream
from sessions.pairing.bringing_up import Starter
from sessions.pairing.opening import Opening
from sessions.pairing.other_ways import OtherWays
from sessions.pairing.page.links import PairLinks
from sessions.pairing.qr_codes import QrBook
from sessions.pairing.service import Pairing
from sessions.pairing.streams import QrStreams
from sessions.servers.fleet import Fleet, TransportFactory
from sessions.servers.moving import Mover
from sessions.servers.service import ServerService
from sessions.service import SessionService

log = structlog.get_logger()

PACKAGE = "waha-gateway"
STOP_SECONDS = 9.2
"""How long it takes to stop at most, so that the process is out within 10 s."""
LEAST_STOP_SECONDS = 0.25
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(slots=True)
class Gateway:
    """All parts of one replica, in the order in which they start."""

    settings: Settings
    clock: Clock
    db: Database
    vault: Vault
    bus: EventBus
    fleet: Fleet
    servers: ServerService
    mover: Mover
    receipts: Receipts
    correspondents: Correspondents
    hearing: Hearing
    refusals: Refusals
    intake: Intake
    keepalive: Keepalive
    keeper: Keeper
    manager: SessionManager
    schedule_starter: ScheduleStarter
    dispatcher: Dispatcher
    transmitter: Transmitter
    delays: DelayService
    sender_limits: SenderLimitService
    sessions: SessionService
    opening: Opening
    pairing: Pairing
    streams: QrStreams
    other_ways: OtherWays
    pair_links: PairLinks
    campaigns: CampaignService
    steering: Steering
    clients: ClientService
    status: StatusReader
    templates: TemplateService
    recipients: RecipientService
    groups: GroupService
    imports: ImportRuns
    uploads: Uploads
    opt_outs: OptOuts
    schedules: ScheduleService
    identity: Identity
    phones: PhoneReader
    notifications: Notifications
    hints: Hints
    traffic: Traffic
    meter: Meter
    health: HealthService
    console: Console
    chores: AsyncIOScheduler

    @property
    def access(self) -> Access:
        """Who is calling."""
        return self.identity.access

    async def start(self) -> None:
        """Bring the database up to date and begin to work.

        Raises:
            DatabaseError: the database cannot be used; the message says why.
        """
        await schema.prepare(self.db)
        await self.identity.access_tokens.start()
        dispatch = self.settings.dispatch
        await self.delays.seed(Delays(dispatch.message_delay, dispatch.sender_switch_delay))
        await self.fleet.load(self.settings.waha.servers)
        if self.db.is_sqlite:
            await expire_leases(self.db)
            await expire_starts(self.db)
        if dispatch.hold_seconds:
            log.warning("hold_overridden", hold_seconds=dispatch.hold_seconds, advice="only for simulators")
        await self.imports.recover()
        self.receipts.start()
        self.hearing.start()
        self.correspondents.start()
        self.refusals.start()
        self.manager.start()
        self.dispatcher.start()
        self.notifications.start()
        if self.settings.database.notify:
            self.hints.start()
        self.chores.start()

    async def stop(self) -> None:
        """Stop sending, settle what was claimed, and close everything, in all within `STOP_SECONDS` of the first halt.

        Where the database stands still by then, what else waits for it is left: nothing of that is lost for good.
        """
        self.dispatcher.halt()
        left = max(STOP_SECONDS - self.dispatcher.halted_seconds, LEAST_STOP_SECONDS)
        try:
            async with asyncio.timeout(left):
                await self._stop_parts()
        except TimeoutError:
            log.error("stopped_in_a_hurry", seconds=round(self.dispatcher.halted_seconds, 1))
        await self.db.close()

    async def _stop_parts(self) -> None:
        await self.health.stop()
        await self.imports.stop()
        await self.dispatcher.stop()
        await self.notifications.stop()
        await self.schedule_starter.stop()
        await self.hints.stop()
        if self.chores.running:
            self.chores.shutdown(wait=False)
        self.console.live.close()
        await self.streams.stop()
        await self.other_ways.stop()
        await self.pairing.stop()
        await self.manager.stop()
        await self.keeper.stop()
        await self.keepalive.stop()
        await self.refusals.stop()
        await self.receipts.stop()
        await self.correspondents.stop()
        await self.hearing.stop()
        await self.fleet.close()
        self.identity.passwords.close()
        await self.meter.close()


def build_gateway(
    settings: Settings,
    *,
    clock: Clock | None = None,
    transports: TransportFactory | None = None,
    streams_of: StreamFactory | None = None,
) -> Gateway:
    """Make all parts; nothing runs and nothing is opened yet.

    `transports` replaces the network to WAHA, and `streams_of` its event streams (tests); where only the first is
    replaced, there are no streams.

    Raises:
        SettingsError: open mode on an address that others can reach.
        VaultError: the data folder cannot be used.
    """
    refuse_open_network(settings)
    clock = clock or Clock()
    replica = make_id(clock.now())
    db = Database(settings.database.url, clock, lease_seconds=settings.dispatch.lease_seconds, replica=replica)
    db.claim_file()
    bus = EventBus()
    folder = settings.database.data_folder
    vault = Vault(folder)
    fleet = Fleet(db, vault, bus, clock, timeout_seconds=settings.waha.timeout_seconds, transports=transports)
    receipts = Receipts(db, bus, clock)
    correspondents = Correspondents(db, clock)
    phones = PhoneReader(settings.phone)
    dispatch = settings.dispatch
    transmitter = Transmitter(
        db,
        fleet,
        clock,
        Addresses(db, clock, CheckedNumbers(db, dispatch.check_numbers)),
        Suspicions(bus),
        TransmitterSettings(
            timeout_seconds=settings.waha.timeout_seconds,
            hold_seconds=dispatch.hold_seconds,
            max_attempts=dispatch.max_attempts,
        ),
    )
    forecaster = Forecaster(
        lambda: transmitter.latency_seconds,
        hourly_cap=settings.limits.sends_per_hour,
        daily_cap=dispatch.daily_cap,
    )
    campaigns = CampaignService(
        db, bus, phones, settings.media, forecaster, max_recipients=settings.limits.recipients_per_campaign
    )
    stops = Stops(clock)
    opt_outs = build_opt_outs(settings, db, phones, stops, campaigns)
    hearing = build_hearing(settings, db, bus, clock, correspondents, opt_outs.wishes)
    refusals = Refusals(db, bus, clock)
    qr_book = QrBook()
    lifecycle = Lifecycle(db, fleet, clock, _webhook_target(settings))
    writer = StateWriter(db, bus, lifecycle, qr_book)
    starter = Starter(db, fleet, lifecycle, writer, bus, clock)
    pairing = Pairing(db, starter, clock, qr_book)
    keepalive = build_keepalive(settings, db, bus, clock, fleet)
    mover = Mover(db, fleet, lifecycle, writer, bus)
    session_service = SessionService(db, fleet, lifecycle, writer, bus, phones, qr_book)

    async def in_flight(sender_id: int) -> bool:
        async with db.read() as connection:
            return await sending_queries.is_in_flight(connection, sender_id)

    keeper = Keeper(
        KeeperParts(
            db=db,
            clock=clock,
            bus=bus,
            fleet=fleet,
            lifecycle=lifecycle,
            service=session_service,
            writer=writer,
            sends_of=sends_of(db),
            in_flight=in_flight,
            webhooks=settings.waha.events == "webhook",
            finish_move=mover.finish,
        )
    )
    intake = Intake(
        writer,
        store_of(receipts, hearing),
        (
            lambda _member, event: receipts.note(event),
            correspondents.note,
            hearing.note,
            refusals.note,
            keepalive.phones.note,
            keeper.note,
        ),
    )
    watches = WatchParts(
        db=db,
        clock=clock,
        fleet=fleet,
        writer=writer,
        replica=replica,
        sweep_seconds=settings.waha.sweep_seconds,
        open_stream=_streams(settings, streams_of or (open_stream if transports is None else None)),
        intake=intake,
        after_sweep=(keeper.after_sweep, keepalive.pinger.after_sweep, keepalive.sends.after_sweep),
    )
    queue = QueueSettings(
        replica=replica,
        lease_seconds=dispatch.lease_seconds,
        jitter=dispatch.jitter,
        daily_cap=dispatch.daily_cap,
        hourly_cap=settings.limits.sends_per_hour,
    )
    schedule_starter = ScheduleStarter(db, bus, max_recipients=settings.limits.recipients_per_campaign)
    dispatcher = Dispatcher(
        db, transmitter, bus, clock, queue, schedule_starter, stops, timeout_seconds=settings.waha.timeout_seconds
    )
    steering = Steering(db, bus)
    windows = build_windows(settings.limits, db, clock)
    meter = build_meter(settings.limits, windows, clock)
    traffic = Traffic(clock)
    health = HealthParts(
        db=db,
        clock=clock,
        dispatcher=dispatcher,
        traffic=traffic,
        replica=replica,
        version=package_version(PACKAGE),
        redis=windows if isinstance(windows, RedisWindows) else None,
    )
    identity = build_identity(settings, db, vault, meter)
    imports = ImportRuns(db, clock, folder / "imports", settings.phone, max_rows=settings.limits.recipients_per_import)
    notifications = NotificationParts(
        db=db,
        bus=bus,
        clock=clock,
        vault=vault,
        access=identity.access,
        phones=phones,
        meter=meter,
        replica=replica,
    )
    status = StatusReader(
        db, forecaster, lambda engine: hold_seconds(engine, settings.waha.timeout_seconds, dispatch.hold_seconds)
    )
    console = build_console(settings, db, clock, identity, meter, status, keepalive.periods)
    return Gateway(
        settings=settings,
        clock=clock,
        db=db,
        vault=vault,
        bus=bus,
        fleet=fleet,
        servers=ServerService(db, vault, fleet, bus),
        mover=mover,
        receipts=receipts,
        correspondents=correspondents,
        hearing=hearing,
        refusals=refusals,
        keepalive=keepalive,
        keeper=keeper,
        intake=intake,
        manager=SessionManager(watches, bus),
        schedule_starter=schedule_starter,
        dispatcher=dispatcher,
        transmitter=transmitter,
        delays=DelayService(db, bus),
        sender_limits=SenderLimitService(db, bus, daily_cap=dispatch.daily_cap),
        sessions=session_service,
        opening=Opening(db, fleet, starter, bus, qr_book),
        pairing=pairing,
        streams=QrStreams(pairing, bus, clock),
        other_ways=OtherWays(pairing, starter, clock),
        pair_links=PairLinks(db, vault, hours=settings.sessions.pair_link_hours),
        campaigns=campaigns,
        steering=steering,
        clients=ClientService(db, bus, steering),
        status=status,
        templates=TemplateService(db, uses_of_template),
        recipients=RecipientService(db, phones),
        groups=GroupService(db, uses_of_group),
        imports=imports,
        uploads=Uploads(db, imports.folder, max_bytes=settings.media.upload_max_bytes),
        opt_outs=opt_outs,
        schedules=ScheduleService(db, bus, phones, max_lateness=settings.schedules.max_lateness),
        identity=identity,
        phones=phones,
        notifications=build_notifications(settings, notifications),
        hints=Hints(db, bus, clock, replica),
        traffic=traffic,
        meter=meter,
        health=HealthService(health),
        console=console,
        chores=build_chores(db, keepalive.sweep, identity.logins, imports, console),
    )


def _streams(settings: Settings, streams_of: StreamFactory | None) -> StreamFactory | None:
    return streams_of if settings.waha.events == "websocket" else None


def _webhook_target(settings: Settings) -> WebhookTarget | None:
    if settings.waha.events != "webhook":
        return None
    return WebhookTarget(settings.waha.webhook_url, settings.waha.webhook_secret.get_secret_value())


def refuse_open_network(settings: Settings) -> None:
    """Open mode is for this machine only: a phone number is no secret.

    Raises:
        SettingsError: saying what to set.
    """
    auth, host = settings.auth, settings.server.host
    if auth.user_access == "open" and host not in LOOPBACK and not auth.allow_open_on_network:
        raise SettingsError(
            f'server.host: {host} can be reached by others while auth.user_access is "open"; '
            'set auth.user_access = "token" (or auth.allow_open_on_network = true, if you know why)'
        )

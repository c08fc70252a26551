"""The composition root: builds every part in order, and closes them in reverse. Nobody imports it but the command."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as package_version

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from fastapi import FastAPI
from sqlalchemy import text

import admin.router
import admin.servers
import campaigns.sending.router
import sessions.keeping.router
import sessions.pairing.router
import sessions.router
from campaigns.audience.correspondents import Correspondents
from campaigns.audience.numbers import CheckedNumbers
from campaigns.sending import queries as sending_queries
from campaigns.sending.addressing import Addresses
from campaigns.sending.delays import DelayService
from campaigns.sending.dispatcher import Dispatcher
from campaigns.sending.outcomes import QueueSettings
from campaigns.sending.pacing import Delays
from campaigns.sending.receipts import Receipts
from campaigns.sending.recovery import expire_leases
from campaigns.sending.refusals import Refusals
from campaigns.sending.retention import forget_old
from campaigns.sending.retry import hold_seconds
from campaigns.sending.service import CampaignService
from campaigns.sending.status import StatusReader
from campaigns.sending.suspicion import Suspicions
from campaigns.sending.transmitter import Transmitter, TransmitterSettings
from gateway import schema
from gateway.auth.access import Access, PhoneReader
from gateway.auth.limiter import Limiter
from gateway.clock import Clock
from gateway.db import Database, DatabaseError, read_now
from gateway.events import EventBus
from gateway.http.body_limit import BodyLimit
from gateway.http.docs import install_docs
from gateway.http.guard import Guard
from gateway.http.openapi import describe_errors
from gateway.http.problems import PROBLEM_RESPONSES, install_error_handlers
from gateway.http.strict_json import StrictJson
from gateway.ids import make_id
from gateway.settings import Settings, SettingsError
from gateway.vault import Vault, read_or_create_admin_token
from sessions import history
from sessions.keepalive.clocks import Periods
from sessions.keepalive.evidence import PhoneEvidence, SendEvidence, Sends, SendsOf
from sessions.keepalive.pings import Pinger
from sessions.keepalive.sweep import KeepaliveSweep
from sessions.keeping.keeper import Keeper, KeeperParts
from sessions.lifecycle import Lifecycle, WebhookTarget
from sessions.manager import SessionManager
from sessions.news.intake import Intake, Store
from sessions.news.state_writer import StateWriter
from sessions.news.watch import StreamFactory, WatchParts, open_stream
from sessions.news.webhook import OPERATION, WEBHOOK_PATH, WebhookDoor
from sessions.pairing.bringing_up import Starter
from sessions.pairing.opening import Opening
from sessions.pairing.other_ways import OtherWays
from sessions.pairing.qr_codes import QrBook
from sessions.pairing.router import PairingParts
from sessions.pairing.service import Pairing
from sessions.pairing.streams import QrStreams
from sessions.servers.fleet import Fleet, TransportFactory
from sessions.servers.moving import Mover
from sessions.servers.service import ServerService
from sessions.service import SessionService

log = structlog.get_logger()

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FIRST_SWEEP_SECONDS = 20.0
DESCRIPTION = """
A gateway to many WhatsApp numbers over many WAHA servers: pair a number by QR, send a campaign through one or more
numbers at the pace you set, and see what became of every recipient. A message goes out never twice and is never
lost; never faster than told; and can always say why it waits.

Numbers may be written in any way. Times are ISO 8601 in UTC. Every error has the same shape.
"""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """What keeps sessions alive, and what it learns from."""

    periods: Periods
    sweep: KeepaliveSweep
    pinger: Pinger
    sends: SendEvidence
    phones: PhoneEvidence

    async def stop(self) -> None:
        """End what is under way."""
        await self.pinger.stop()
        await self.sends.stop()
        await self.phones.stop()


@dataclass(slots=True)
class Gateway:
    """All parts of one replica, in the order in which they start."""

    settings: Settings
    clock: Clock
    db: Database
    bus: EventBus
    fleet: Fleet
    servers: ServerService
    mover: Mover
    receipts: Receipts
    correspondents: Correspondents
    refusals: Refusals
    intake: Intake
    keepalive: Keepalive
    keeper: Keeper
    manager: SessionManager
    dispatcher: Dispatcher
    transmitter: Transmitter
    delays: DelayService
    sessions: SessionService
    opening: Opening
    pairing: Pairing
    streams: QrStreams
    other_ways: OtherWays
    campaigns: CampaignService
    status: StatusReader
    access: Access
    phones: PhoneReader
    chores: AsyncIOScheduler

    async def start(self) -> None:
        """Bring the database up to date and begin to work.

        Raises:
            DatabaseError: the database cannot be used; the message says why.
        """
        await prepare_database(self.db)
        dispatch = self.settings.dispatch
        await self.delays.seed(Delays(dispatch.message_delay, dispatch.sender_switch_delay))
        await self.fleet.load(self.settings.waha.servers)
        if self.db.is_sqlite:
            await expire_leases(self.db)
        if dispatch.hold_seconds:
            log.warning("hold_overridden", hold_seconds=dispatch.hold_seconds, advice="only for simulators")
        self.receipts.start()
        self.correspondents.start()
        self.refusals.start()
        self.manager.start()
        self.dispatcher.start()
        self.chores.start()

    async def stop(self) -> None:
        """Stop sending, settle what was claimed, and close everything."""
        await self.dispatcher.stop()
        if self.chores.running:
            self.chores.shutdown(wait=False)
        await self.streams.stop()
        await self.other_ways.stop()
        await self.pairing.stop()
        await self.manager.stop()
        await self.keeper.stop()
        await self.keepalive.stop()
        await self.refusals.stop()
        await self.receipts.stop()
        await self.correspondents.stop()
        await self.fleet.close()
        await self.db.close()


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
    db = Database(settings.database.url, clock)
    db.claim_file()
    bus = EventBus()
    folder = settings.database.data_folder
    vault = Vault(folder)
    fleet = Fleet(db, vault, bus, clock, timeout_seconds=settings.waha.timeout_seconds, transports=transports)
    receipts = Receipts(db, clock)
    correspondents = Correspondents(db, clock)
    refusals = Refusals(db, bus, clock)
    qr_book = QrBook()
    lifecycle = Lifecycle(db, fleet, clock, _webhook_target(settings))
    writer = StateWriter(db, bus, lifecycle, qr_book)
    starter = Starter(db, fleet, lifecycle, writer, bus, clock)
    pairing = Pairing(db, starter, clock, qr_book)
    replica = make_id(clock.now())
    keepalive = _keepalive(settings, db, bus, clock, fleet)
    phones = PhoneReader(settings.phone)
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
            sends_of=_sends_of(db),
            in_flight=in_flight,
            webhooks=settings.waha.events == "webhook",
            finish_move=mover.finish,
        )
    )
    intake = Intake(
        writer,
        Store(receipts.written, receipts.room, lambda: receipts.is_full),
        (
            lambda _member, event: receipts.note(event),
            correspondents.note,
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
    queue = QueueSettings(replica=replica, lease_seconds=dispatch.lease_seconds, jitter=dispatch.jitter)
    dispatcher = Dispatcher(db, transmitter, bus, clock, queue, timeout_seconds=settings.waha.timeout_seconds)
    campaigns = CampaignService(
        db,
        bus,
        phones,
        settings.media,
        max_recipients=settings.limits.recipients_per_campaign,
        latency=lambda: transmitter.latency_seconds,
    )
    admin_token = settings.auth.admin_token.get_secret_value() or read_or_create_admin_token(folder)
    return Gateway(
        settings=settings,
        clock=clock,
        db=db,
        bus=bus,
        fleet=fleet,
        servers=ServerService(db, vault, fleet, bus),
        mover=mover,
        receipts=receipts,
        correspondents=correspondents,
        refusals=refusals,
        keepalive=keepalive,
        keeper=keeper,
        intake=intake,
        manager=SessionManager(watches, bus),
        dispatcher=dispatcher,
        transmitter=transmitter,
        delays=DelayService(db, bus),
        sessions=session_service,
        opening=Opening(db, fleet, starter, bus, qr_book),
        pairing=pairing,
        streams=QrStreams(pairing, bus, clock),
        other_ways=OtherWays(pairing, starter, clock),
        campaigns=campaigns,
        status=StatusReader(
            db,
            campaigns,
            lambda engine: hold_seconds(engine, settings.waha.timeout_seconds, dispatch.hold_seconds),
        ),
        access=Access(
            db,
            admin_token,
            Limiter(),
            open_mode=settings.auth.user_access == "open",
            pairings_per_minute=settings.limits.pairings_per_minute,
        ),
        phones=phones,
        chores=_chores(db, clock, keepalive.sweep),
    )


def _keepalive(settings: Settings, db: Database, bus: EventBus, clock: Clock, fleet: Fleet) -> Keepalive:
    lengths = settings.sessions
    periods = Periods.of_days(lengths.keepalive_days, lengths.expiry_days, lengths.warn_days)

    return Keepalive(
        periods=periods,
        sweep=KeepaliveSweep(db, bus, periods, lead_seconds=settings.waha.sweep_seconds),
        pinger=Pinger(db, bus, clock, fleet, periods, ahead_seconds=settings.waha.sweep_seconds),
        sends=SendEvidence(db, clock, _sends_of(db)),
        phones=PhoneEvidence(db, clock),
    )


def _sends_of(db: Database) -> SendsOf:
    async def sends_of(server_id: str) -> Sends:
        async with db.read() as connection:
            rows = await sending_queries.sends_on(connection, server_id)
        return {row.sender_id: (row.sent_total, row.last_answer_at) for row in rows}

    return sends_of


def _streams(settings: Settings, streams_of: StreamFactory | None) -> StreamFactory | None:
    return streams_of if settings.waha.events == "websocket" else None


def _webhook_target(settings: Settings) -> WebhookTarget | None:
    if settings.waha.events != "webhook":
        return None
    return WebhookTarget(settings.waha.webhook_url, settings.waha.webhook_secret.get_secret_value())


def _chores(db: Database, clock: Clock, keepalive: KeepaliveSweep) -> AsyncIOScheduler:
    """What is done by the clock. The scheduler only triggers; what to do is decided by the time that it is given."""

    async def retention() -> None:
        await forget_old(db, clock.now())
        await history.forget_old(db, clock.now())

    async def keep_alive() -> None:
        async with db.read() as connection:
            now = await read_now(connection)
        await keepalive.run(now)

    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(retention, "interval", hours=1, coalesce=True, max_instances=1)
    soon = datetime.now(UTC) + timedelta(seconds=FIRST_SWEEP_SECONDS)  # also where nobody lets it run for an hour
    scheduler.add_job(keep_alive, "interval", hours=1, coalesce=True, max_instances=1, next_run_time=soon)
    return scheduler


def create_app(gateway: Gateway) -> FastAPI:
    """The HTTP service around `gateway`: it starts and stops with the application."""
    settings = gateway.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(gateway.stop)
            await gateway.start()
            yield

    app = FastAPI(
        title="waha-gateway",
        version=package_version("waha-gateway"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=PROBLEM_RESPONSES,
    )
    install_error_handlers(app)
    periods = gateway.keepalive.periods
    app.include_router(sessions.router.build_router(gateway.sessions, gateway.opening, gateway.access, periods))
    app.include_router(sessions.pairing.router.build_router(_pairing_parts(gateway)))
    app.include_router(sessions.keeping.router.build_router(gateway.sessions, gateway.access))
    app.include_router(campaigns.sending.router.build_router(gateway.campaigns, gateway.status, gateway.access))
    app.include_router(admin.router.build_router(_admin_parts(gateway, app.version), gateway.access))
    app.include_router(admin.servers.build_router(gateway.servers, gateway.mover, gateway.phones, gateway.access))
    app.add_api_route("/health", _health(gateway), methods=["GET"], tags=["health"], summary="Is it alive")
    describe_errors(app, {WEBHOOK_PATH: {"post": OPERATION}})
    install_docs(app)
    app.add_middleware(StrictJson)
    app.add_middleware(BodyLimit, max_bytes=settings.server.max_body_bytes)
    app.add_middleware(
        Guard,
        allowed_hosts=settings.server.allowed_hosts,
        allowed_origins=settings.server.allowed_origins,
        refuse_forwarded=settings.auth.user_access == "open",
        bound_host=settings.server.host,
    )
    app.add_middleware(
        WebhookDoor,
        intake=gateway.intake,
        fleet=gateway.fleet,
        secret=settings.waha.webhook_secret.get_secret_value(),
        look=gateway.manager.look,
    )
    return app


def _pairing_parts(gateway: Gateway) -> PairingParts:
    return PairingParts(
        pairing=gateway.pairing,
        streams=gateway.streams,
        other_ways=gateway.other_ways,
        phones=gateway.phones,
        access=gateway.access,
    )


def _admin_parts(gateway: Gateway, version: str) -> admin.router.AdminParts:
    return admin.router.AdminParts(
        db=gateway.db,
        clock=gateway.clock,
        phones=gateway.phones,
        sessions=gateway.sessions,
        status=gateway.status,
        delays=gateway.delays,
        in_flight=lambda: gateway.dispatcher.in_flight,
        latency=lambda: gateway.transmitter.latency_seconds,
        started_at=gateway.clock.monotonic(),
        periods=gateway.keepalive.periods,
        version=version,
    )


def _health(gateway: Gateway) -> Callable[[], Awaitable[dict[str, str]]]:
    async def health() -> dict[str, str]:
        """`healthy` while the database answers and the dispatcher runs."""
        async with gateway.db.read() as connection:
            await connection.execute(text("SELECT 1"))
        return {"status": "healthy" if gateway.dispatcher.running else "stopping"}

    return health


async def prepare_database(db: Database) -> None:
    """Migrate SQLite by itself; refuse a PostgreSQL that is of another version or that forgets commits.

    Raises:
        DatabaseError: in one line, why it cannot be used.
    """
    if db.is_sqlite:
        await schema.migrate(db)
        return
    await schema.require_newest(db)
    async with db.read() as connection:
        for name in ("fsync", "synchronous_commit"):
            value = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            if value == "off":
                raise DatabaseError(
                    f"PostgreSQL runs with {name} = off: a crash could send a message twice; turn it on"
                )


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

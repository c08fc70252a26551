"""Is it well: every part looked at, none waited for longer than two seconds.

A replica is needed no more where its database does not answer or its dispatcher stands still: `unhealthy`, 503. With
WAHA servers that do not answer it is `degraded`: messages wait, and another replica would do no better.
"""

import asyncio
import math
from dataclasses import dataclass

from sqlalchemy import text

from admin.health import queries
from admin.health.looks import Look
from admin.health.queries import QueueFigures, ServerFigures
from admin.health.schemas import (
    INSTEAD_OF_CELERY,
    INSTEAD_OF_REDIS,
    OF_REDIS,
    ApiService,
    BasicHealth,
    CeleryHealth,
    CeleryService,
    ConnectionPool,
    DatabaseHealth,
    DatabaseService,
    DetailedHealth,
    DispatcherHealth,
    DispatcherService,
    Health,
    RedisHealth,
    RedisService,
    ServerHealth,
    Services,
    WahaHealth,
    WahaService,
    Worker,
)
from campaigns.sending.dispatcher import Dispatcher
from gateway.clock import Clock
from gateway.db import Database
from gateway.http.traffic import Traffic
from gateway.limits.windows import RedisWindows
from sessions.schemas import as_time, in_utc

STALE_SECONDS = 10.0
"""A dispatcher takes four turns a second, also where there is nothing to do."""


@dataclass(frozen=True, slots=True)
class HealthParts:
    """What is looked at."""

    db: Database
    clock: Clock
    dispatcher: Dispatcher
    traffic: Traffic
    replica: str
    version: str
    redis: RedisWindows | None


class HealthService:
    """Looks at the parts of this replica, and tells."""

    def __init__(self, parts: HealthParts) -> None:
        self._parts = parts
        self._started_at = parts.clock.monotonic()
        self._answer = Look("database", self._measure, parts.clock)
        self._queue = Look("queue", self._read_queue, parts.clock)
        self._servers = Look("waha", self._read_servers, parts.clock)
        self._redis = Look("redis", parts.redis.info, parts.clock, parts.redis.faults) if parts.redis else None

    async def stop(self) -> None:
        """End what is being looked at."""
        for look in (self._answer, self._queue, self._servers):
            await look.stop()
        if self._redis is not None:
            await self._redis.stop()

    # --- each part ----------------------------------------------------------------------------------------------

    async def basic(self) -> BasicHealth:
        """This replica's, in a word."""
        well = await self._answer.ask() is not None and self._dispatcher_status() is Health.HEALTHY
        status = Health.HEALTHY if well else Health.UNHEALTHY
        return BasicHealth(status=status, timestamp=in_utc(self._parts.clock.now()), version=self._parts.version)

    async def database(self) -> DatabaseHealth:
        """The database's."""
        seconds = await self._answer.ask()
        pool = self._parts.db.pool
        return DatabaseHealth(
            status=Health.UNHEALTHY if seconds is None else Health.HEALTHY,
            database=self._parts.db.url.get_backend_name(),
            connection_pool=ConnectionPool(
                size=pool.size, checked_in=pool.checked_in, checked_out=pool.checked_out, overflow=pool.overflow
            ),
            response_time=None if seconds is None else f"{math.ceil(seconds * 1000)}ms",
        )

    async def redis(self) -> RedisHealth:
        """A Redis that counts requests, or what is in its place."""
        queue = await self._queue.ask()
        depth = queue.queued if queue else None
        if self._redis is None:
            return RedisHealth(status=Health.NOT_CONFIGURED, queue_depth=depth, detail=INSTEAD_OF_REDIS)
        info = await self._redis.ask()
        if info is None:
            return RedisHealth(status=Health.UNHEALTHY, queue_depth=depth, detail=OF_REDIS)
        return RedisHealth(
            status=Health.HEALTHY,
            redis_version=info["redis_version"],
            connected_clients=info["connected_clients"],
            used_memory=f"{info['used_memory'] / 2**20:.1f}MB",
            uptime_days=info["uptime_in_days"],
            queue_depth=depth,
            detail=OF_REDIS,
        )

    async def celery(self) -> CeleryHealth:
        """What is in the place of Celery: the replicas, and what they have to do."""
        queue = await self._queue.ask()
        return CeleryHealth(
            status=Health.NOT_CONFIGURED,
            workers=len(queue.replicas) if queue else None,
            active_tasks=sum(queue.held.values()) if queue else None,
            queued_tasks=queue.queued if queue else None,
            worker_details=self._workers(queue) if queue else [],
            detail=INSTEAD_OF_CELERY,
        )

    async def dispatcher(self) -> DispatcherHealth:
        """The dispatcher's of this replica."""
        queue, dispatcher = await self._queue.ask(), self._parts.dispatcher
        return DispatcherHealth(
            status=self._dispatcher_status(),
            running=dispatcher.running,
            lanes=queue.lanes if queue else None,
            due=queue.due if queue else None,
            in_flight=dispatcher.in_flight,
            processed=dispatcher.settled,
            last_turn_seconds_ago=round(dispatcher.turn_age_seconds, 1),
        )

    async def waha(self, *, with_names: bool) -> WahaHealth:
        """The WAHA servers'; which they are is told `with_names` only."""
        servers = await self._servers.ask()
        if servers is None:
            return WahaHealth(
                status=Health.UNHEALTHY,
                servers_total=None,
                servers_up=None,
                sessions=None,
                sessions_connected=None,
                servers=None,
            )
        return WahaHealth(
            status=_status_of(servers),
            servers_total=len(servers),
            servers_up=sum(server.up for server in servers),
            sessions=sum(server.sessions for server in servers),
            sessions_connected=sum(server.connected for server in servers if server.up),
            servers=[_server_health(server) for server in servers] if with_names else None,
        )

    async def detailed(self) -> DetailedHealth:
        """Everything; the parts are looked at side by side, so that it takes no longer than one."""
        database, redis, celery, dispatcher, waha = await asyncio.gather(
            self.database(), self.redis(), self.celery(), self.dispatcher(), self.waha(with_names=False)
        )
        pool, now = database.connection_pool, self._parts.clock
        needed = (database.status, dispatcher.status)
        well = {waha.status, redis.status} <= {Health.HEALTHY, Health.NOT_CONFIGURED}
        return DetailedHealth(
            status=Health.UNHEALTHY if Health.UNHEALTHY in needed else Health.HEALTHY if well else Health.DEGRADED,
            timestamp=in_utc(now.now()),
            services=Services(
                api=ApiService(
                    status=Health.HEALTHY,
                    uptime=uptime_text(now.monotonic() - self._started_at),
                    requests_per_minute=self._parts.traffic.per_minute,
                ),
                database=DatabaseService(
                    status=database.status,
                    connection_pool=f"{max(0, pool.size - pool.checked_out)}/{pool.size}",
                    response_time=database.response_time,
                ),
                redis=RedisService(status=redis.status, memory_usage=redis.used_memory, queue_depth=redis.queue_depth),
                celery=CeleryService(status=celery.status, workers=celery.workers, active_tasks=celery.active_tasks),
                dispatcher=DispatcherService(
                    status=dispatcher.status,
                    in_flight=dispatcher.in_flight,
                    last_turn_seconds_ago=dispatcher.last_turn_seconds_ago,
                ),
                waha=WahaService(status=waha.status, servers_total=waha.servers_total, servers_up=waha.servers_up),
            ),
        )

    # --- looking ------------------------------------------------------------------------------------------------

    async def _measure(self) -> float:
        """How many seconds the database takes to answer."""
        asked_at = self._parts.clock.monotonic()
        async with self._parts.db.read() as connection:
            await connection.execute(text("SELECT 1"))
        return self._parts.clock.monotonic() - asked_at

    async def _read_queue(self) -> QueueFigures:
        async with self._parts.db.read() as connection:
            return await queries.read_queue(connection, self._parts.replica)

    async def _read_servers(self) -> list[ServerFigures]:
        async with self._parts.db.read() as connection:
            return await queries.read_servers(connection)

    def _dispatcher_status(self) -> Health:
        dispatcher = self._parts.dispatcher
        well = dispatcher.running and dispatcher.turn_age_seconds < STALE_SECONDS
        return Health.HEALTHY if well else Health.UNHEALTHY

    def _workers(self, queue: QueueFigures) -> list[Worker]:
        return [
            Worker(
                name=f"worker-{number}",
                status="online",
                current_task="send_whatsapp_message" if queue.held.get(replica) else None,
                processed=self._parts.dispatcher.settled if replica == self._parts.replica else None,
            )
            for number, replica in enumerate(queue.replicas, start=1)
        ]


def _status_of(servers: list[ServerFigures]) -> Health:
    up = sum(server.up for server in servers)
    if not servers:
        return Health.NOT_CONFIGURED
    if up == 0:
        return Health.UNHEALTHY
    return Health.HEALTHY if up == len(servers) else Health.DEGRADED


def _server_health(server: ServerFigures) -> ServerHealth:
    return ServerHealth(
        name=server.name,
        status=Health.HEALTHY if server.up else Health.UNHEALTHY,
        draining=server.draining,
        last_seen_at=as_time(server.last_seen_at),
        sessions=server.sessions,
        connected=server.connected,
    )


def uptime_text(seconds: float) -> str:
    """A duration as `5d 12h 30m`."""
    minutes = int(seconds // 60)
    return f"{minutes // 1440}d {minutes // 60 % 24}h {minutes % 60}m"

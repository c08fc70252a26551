"""What the health routes tell: the keys of the first scheduler API, with true figures."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

AT = "2026-11-21T09:00:00Z"
INSTEAD_OF_REDIS = "There is no Redis: the queue is in the database."
OF_REDIS = "It counts requests for the rate limits; the queue is in the database. While it is away nothing is limited."
INSTEAD_OF_CELERY = "There is no Celery: each replica's dispatcher sends. Replicas are the workers, messages the tasks."


class Health(StrEnum):
    """How a part is. `degraded` still does its work, for some; what is `not_configured` is not missed."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    NOT_CONFIGURED = "not_configured"


class Told(BaseModel):
    """What every answer says first."""

    status: Health


class BasicHealth(Told):
    """Whether this replica does its work: its database answers, and its dispatcher runs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "healthy", "timestamp": AT, "version": "1.0.0"}]}
    )

    timestamp: datetime
    version: str


class ConnectionPool(BaseModel):
    """The connections of this replica to the database."""

    size: int = Field(description="Kept open at most")
    checked_in: int = Field(description="Open and idle")
    checked_out: int = Field(description="In use")
    overflow: int = Field(description="Open beyond `size`, in a rush")


class DatabaseHealth(Told):
    """Whether the database answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "database": "postgresql",
                    "connection_pool": {"size": 10, "checked_in": 2, "checked_out": 1, "overflow": 0},
                    "response_time": "5ms",
                }
            ]
        }
    )

    database: str = Field(description="`sqlite` or `postgresql`")
    connection_pool: ConnectionPool
    response_time: str | None = Field(description="Of the last question; null: it did not answer")


class RedisHealth(Told):
    """A Redis, where one is configured; where not, what does its work."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "not_configured",
                    "redis_version": None,
                    "connected_clients": None,
                    "used_memory": None,
                    "uptime_days": None,
                    "queue_depth": 10,
                    "detail": INSTEAD_OF_REDIS,
                }
            ]
        }
    )

    redis_version: str | None = None
    connected_clients: int | None = None
    used_memory: str | None = None
    uptime_days: int | None = None
    queue_depth: int | None = Field(description="Messages of begun campaigns that wait; null: nobody could look")
    detail: str


class Worker(BaseModel):
    """One replica."""

    name: str
    status: str = Field(description="`online`: it holds a connection to the database")
    current_task: str | None = Field(description="`send_whatsapp_message` while it sends")
    processed: int | None = Field(description="Since it was started; null: only that replica can tell")


class CeleryHealth(Told):
    """What Celery would do, and who does it here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "not_configured",
                    "workers": 1,
                    "active_tasks": 2,
                    "queued_tasks": 10,
                    "worker_details": [
                        {
                            "name": "worker-1",
                            "status": "online",
                            "current_task": "send_whatsapp_message",
                            "processed": 1250,
                        }
                    ],
                    "detail": INSTEAD_OF_CELERY,
                }
            ]
        }
    )

    workers: int | None = Field(description="Replicas; null: nobody could look")
    active_tasks: int | None = Field(description="Messages that are being sent, by all replicas")
    queued_tasks: int | None = Field(description="Messages of begun campaigns that wait")
    worker_details: list[Worker]
    detail: str


class DispatcherHealth(Told):
    """The loop that lets messages go, of the replica that was asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "running": True,
                    "lanes": 12,
                    "due": 0,
                    "in_flight": 2,
                    "processed": 1250,
                    "last_turn_seconds_ago": 0.1,
                }
            ]
        }
    )

    running: bool
    lanes: int | None = Field(description="Senders that have ever sent; null: nobody could look")
    due: int | None = Field(description="Lanes that could go on now, and that no replica has taken yet")
    in_flight: int = Field(description="Messages armed or under way, by this replica")
    processed: int = Field(description="Messages settled by this replica since it was started")
    last_turn_seconds_ago: float = Field(description="Since it last settled and claimed; normally below a second")


class ServerHealth(BaseModel):
    """One WAHA server."""

    name: str
    status: Health
    draining: bool
    last_seen_at: datetime | None = Field(description="When it last answered")
    sessions: int
    connected: int


class WahaHealth(Told):
    """The WAHA servers. While one does not answer, its senders' messages wait."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "degraded",
                    "servers_total": 2,
                    "servers_up": 1,
                    "sessions": 40,
                    "sessions_connected": 38,
                    "servers": [
                        {
                            "name": "waha1",
                            "status": "healthy",
                            "draining": False,
                            "last_seen_at": AT,
                            "sessions": 40,
                            "connected": 38,
                        },
                        {
                            "name": "waha2",
                            "status": "unhealthy",
                            "draining": False,
                            "last_seen_at": None,
                            "sessions": 0,
                            "connected": 0,
                        },
                    ],
                }
            ]
        }
    )

    servers_total: int | None = Field(description="Null: nobody could look")
    servers_up: int | None
    sessions: int | None
    sessions_connected: int | None
    servers: list[ServerHealth] | None = Field(description="Each by name; for the operator only")


class ApiService(Told):
    """The API of this replica."""

    uptime: str = Field(description="Days, hours and minutes", examples=["5d 12h 30m"])
    requests_per_minute: int = Field(description="HTTP requests in the last sixty seconds")


class DatabaseService(Told):
    """The database."""

    connection_pool: str = Field(description="Connections not in use, of those kept", examples=["8/10"])
    response_time: str | None


class RedisService(Told):
    """Redis, or what is in its place."""

    memory_usage: str | None
    queue_depth: int | None


class CeleryService(Told):
    """Celery, or what is in its place."""

    workers: int | None
    active_tasks: int | None


class DispatcherService(Told):
    """The dispatcher."""

    in_flight: int
    last_turn_seconds_ago: float


class WahaService(Told):
    """The WAHA servers."""

    servers_total: int | None
    servers_up: int | None


class Services(BaseModel):
    """Every part, in short."""

    api: ApiService
    database: DatabaseService
    redis: RedisService
    celery: CeleryService
    dispatcher: DispatcherService
    waha: WahaService


class DetailedHealth(Told):
    """Everything in one answer. `degraded`: this replica works, but not all of what it works with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "healthy",
                    "timestamp": AT,
                    "services": {
                        "api": {"status": "healthy", "uptime": "5d 12h 30m", "requests_per_minute": 150},
                        "database": {"status": "healthy", "connection_pool": "8/10", "response_time": "5ms"},
                        "redis": {"status": "not_configured", "memory_usage": None, "queue_depth": 10},
                        "celery": {"status": "not_configured", "workers": 3, "active_tasks": 2},
                        "dispatcher": {"status": "healthy", "in_flight": 2, "last_turn_seconds_ago": 0.1},
                        "waha": {"status": "healthy", "servers_total": 2, "servers_up": 2},
                    },
                }
            ]
        }
    )

    timestamp: datetime
    services: Services

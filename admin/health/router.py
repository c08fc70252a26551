"""Health routes, at the root as load balancers expect them. They need no login, and name no server and nobody."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Response

from admin.health.schemas import (
    BasicHealth,
    CeleryHealth,
    DatabaseHealth,
    DetailedHealth,
    DispatcherHealth,
    Health,
    RedisHealth,
    Told,
    WahaHealth,
)
from admin.health.service import HealthService
from gateway.auth.access import Access
from gateway.late_routes import LateRouter

T = TypeVar("T", bound=Told)


def build_router(service: HealthService, access: Access) -> APIRouter:
    """The routes under `/health`."""
    router = LateRouter(prefix="/health", tags=["health"])
    Operator = Annotated[bool, Depends(access.is_operator)]  # noqa: N806 - a type

    @router.get("", summary="Is it alive", responses=_or_503(BasicHealth))
    async def basic(response: Response) -> BasicHealth:
        """`healthy` while this replica's database answers and its dispatcher runs; 503 and `unhealthy` if not.

        Looks are shared by all who ask within a second, and none takes longer than two: poll it as often as you like.
        """
        return _told(response, await service.basic())

    @router.get("/db", summary="The database", responses=_or_503(DatabaseHealth))
    async def database(response: Response) -> DatabaseHealth:
        """Whether the database answers, how fast, and how many connections to it there are."""
        return _told(response, await service.database())

    @router.get("/redis", summary="Redis, or what is in its place", responses=_or_503(RedisHealth))
    async def redis(response: Response) -> RedisHealth:
        """Without a Redis, `not_configured`; `queue_depth` is that of the queue, which is in the database."""
        return _told(response, await service.redis())

    @router.get("/celery", summary="What is in the place of Celery", responses=_or_503(CeleryHealth))
    async def celery(response: Response) -> CeleryHealth:
        """Always `not_configured`: the replicas and their messages are what its workers and tasks would be."""
        return _told(response, await service.celery())

    @router.get("/dispatcher", summary="The dispatcher", responses=_or_503(DispatcherHealth))
    async def dispatcher(response: Response) -> DispatcherHealth:
        """Whether this replica lets messages go. 503 when it has stopped, or was stuck for ten seconds."""
        return _told(response, await service.dispatcher())

    @router.get("/waha", summary="The WAHA servers", responses=_or_503(WahaHealth))
    async def waha(response: Response, is_operator: Operator) -> WahaHealth:
        """How many WAHA servers answer; with the operator's token each by its name.

        `degraded` (200) while some do not answer, `unhealthy` (503) while none does.
        """
        return _told(response, await service.waha(with_names=is_operator))

    @router.get("/detailed", summary="Everything", responses=_or_503(DetailedHealth))
    async def detailed(response: Response) -> DetailedHealth:
        """All parts in one answer. 503 when a part is down that this replica needs: the database, its dispatcher.

        `degraded` (200) while WAHA servers do not answer: messages wait for them, on every replica alike.
        """
        return _told(response, await service.detailed())

    return router


def _told(response: Response, health: T) -> T:
    """The same, with the status code that load balancers understand, and kept by no cache on the way."""
    if health.status is Health.UNHEALTHY:
        response.status_code = 503
    response.headers["Cache-Control"] = "no-store"
    return health


def _or_503(model: type[Told]) -> dict[int | str, dict[str, Any]]:
    return {503: {"model": model, "description": "A needed part is down; the same body"}}

"""The routes of the server itself: is it up, what is it, and its keys."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import check_admin
from gateway.simulator.http import Json, read_json, waha


async def ping(request: Request) -> Response:
    """The only route that needs no key."""
    return Json({"message": "pong"})


async def health(request: Request) -> Response:
    """Disk space; it says nothing about sessions."""
    space = {"mediaFiles.space": {"status": "up"}, "sessionsFiles.space": {"status": "up"}}
    return Json({"status": "ok", "info": space, "error": {}, "details": space})


async def version(request: Request) -> Response:
    """Version, engine, tier."""
    return Json(waha(request).environment())


async def status(request: Request) -> Response:
    """When the process started; another value means that it restarted."""
    server = waha(request)
    uptime = max(0, int((server.clock.now() - server.started_at) * 1000))
    started = int(server.started_at * 1000)
    worker = {"id": server.config.worker_id}
    return Json({"startTimestamp": started, "uptime": uptime, "worker": worker})


async def list_keys(request: Request) -> Response:
    """The keys that were made."""
    check_admin(request)
    return Json([key.to_json() for key in waha(request).keys.all()])


async def make_key(request: Request) -> Response:
    """A new key, for an admin or for one session."""
    check_admin(request)
    server = waha(request)
    body = await read_json(request)
    if not body.get("isAdmin"):
        server.lifecycle.known(str(body.get("session") or ""))
    return Json(server.keys.make(body, server.clock.now_ms()).to_json(), status_code=201)


async def drop_key(request: Request) -> Response:
    """Forget a key."""
    check_admin(request)
    waha(request).keys.drop(request.path_params["id"])
    return Json({"result": True})


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    return [
        Route("/ping", ping, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/api/version", version, methods=["GET"]),
        Route("/api/server/version", version, methods=["GET"]),
        Route("/api/server/status", status, methods=["GET"]),
        Route("/api/keys", list_keys, methods=["GET"]),
        Route("/api/keys", make_key, methods=["POST"]),
        Route("/api/keys/{id}", drop_key, methods=["DELETE"]),
    ]

"""The routes of the session table: create, change, start, stop, restart, log out, delete, look."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import check_admin, check_session_access, session_of, visible
from gateway.simulator.errors import bad_request, unprocessable
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.ids import make_ulid
from gateway.simulator.shapes import session_json
from gateway.simulator.validation import check_session_body


async def list_sessions(request: Request) -> Response:
    """The running sessions; with `all=true` the stopped ones too."""
    server = waha(request)
    everything = request.query_params.get("all") == "true"
    only = visible(request)
    return Json(
        [
            session_json(server, stored)
            for name, stored in server.lifecycle.stored.items()
            if (everything or name in server.lifecycle.running) and only in (None, name)
        ]
    )


async def create(request: Request) -> Response:
    """Store a session, and start it unless told not to."""
    server = waha(request)
    check_admin(request)
    body = await read_json(request)
    check_session_body(body)
    name = body.get("name") or f"session_{make_ulid(server.clock.now_ms(), server.rng)}"
    start = body.get("start") is not False
    stored = await server.lifecycle.create(name, body.get("config") or {}, apps=body.get("apps"), start=start)
    return Json(session_json(server, stored, engine=True), status_code=201)


async def update(request: Request) -> Response:
    """Replace the configuration; a running session restarts."""
    server = waha(request)
    name = session_of(request)
    body = await read_json(request)
    check_session_body(body)
    await server.lifecycle.update(name, body.get("config") or {}, apps=body.get("apps"))
    return Json(session_json(server, server.lifecycle.known(name), engine=True))


async def show(request: Request) -> Response:
    """One session with its engine's state."""
    server = waha(request)
    stored = server.lifecycle.known(session_of(request))
    return Json(session_json(server, stored, engine=True))


async def delete(request: Request) -> Response:
    """Unpair and forget; nothing to forget is fine."""
    await waha(request).lifecycle.delete(session_of(request))
    return Response(status_code=200)


async def me(request: Request) -> Response:
    """Who is paired, null before; 404 when the session does not run."""
    server = waha(request)
    name = session_of(request)
    server.lifecycle.known(name)
    return Json(server.lifecycle.now_running(name).me)


async def profile(request: Request) -> Response:
    """Our own profile, from memory."""
    server = waha(request)
    mine = server.lifecycle.now_running(session_of(request)).me
    if mine is None:
        raise unprocessable("The session is not authenticated")
    return Json({"id": mine["id"], "name": mine["pushName"], "picture": None})


async def act(request: Request) -> Response:
    """start, stop, restart, logout: 201 with the session, an empty body when it is not known."""
    server = waha(request)
    name = session_of(request)
    calls = {
        "start": server.lifecycle.start,
        "stop": server.lifecycle.stop,
        "restart": server.lifecycle.restart,
        "logout": server.lifecycle.logout,
    }
    await calls[request.url.path.rsplit("/", 1)[1]](name)
    stored = server.lifecycle.stored.get(name)
    return Response(status_code=201) if stored is None else Json(session_json(server, stored), status_code=201)


async def old_start(request: Request) -> Response:
    """The deprecated start: it creates the session, and refuses a running one, FAILED ones too."""
    server = waha(request)
    body = await read_json(request)
    check_session_body(body)
    name = _named(body.get("name"))
    check_session_access(request, name)
    if name in server.lifecycle.running:
        raise unprocessable(f"Session '{name}' is already started.")
    if name not in server.lifecycle.stored:
        await server.lifecycle.create(name, body.get("config") or {}, apps=None, start=False)
    await server.lifecycle.start(name)
    return Json(session_json(server, server.lifecycle.known(name)), status_code=201)


async def old_stop(request: Request) -> Response:
    """The deprecated stop; with `logout` the session is forgotten."""
    server = waha(request)
    body = await read_json(request)
    name = _named(body.get("name"))
    check_session_access(request, name)
    if body.get("logout"):
        await server.lifecycle.delete(name)
    else:
        await server.lifecycle.stop(name)
    return Response(status_code=201)


async def old_logout(request: Request) -> Response:
    """The deprecated logout, which forgets the session."""
    body = await read_json(request)
    name = _named(body.get("name"))
    check_session_access(request, name)
    await waha(request).lifecycle.delete(name)
    return Response(status_code=201)


def _named(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise bad_request(["name should not be empty", "name must be a string"])
    return name


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    one = "/api/sessions/{session}"
    return [
        Route("/api/sessions", list_sessions, methods=["GET"]),
        Route("/api/sessions", create, methods=["POST"]),
        Route("/api/sessions/start", old_start, methods=["POST"]),
        Route("/api/sessions/stop", old_stop, methods=["POST"]),
        Route("/api/sessions/logout", old_logout, methods=["POST"]),
        Route(one, show, methods=["GET"]),
        Route(one, update, methods=["PUT"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/me", me, methods=["GET"]),
        *[Route(f"{one}/{verb}", act, methods=["POST"]) for verb in ("start", "stop", "restart", "logout")],
        Route("/api/{session}/profile", profile, methods=["GET"]),
    ]

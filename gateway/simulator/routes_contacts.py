"""The routes that ask WhatsApp about a number. Each question counts against the account's limit of them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import check_session_access
from gateway.simulator.errors import undefined_property
from gateway.simulator.http import Json, waha
from gateway.simulator.limits import rate_overlimit
from gateway.simulator.stored import Status


async def check_exists(request: Request) -> Response:
    """Whether a number is on WhatsApp, and under which chat id."""
    known = await _look_up(request, "phone")
    return Json(waha(request).engine.exists_json(None if known is None else f"{known}@c.us"))


async def about(request: Request) -> Response:
    """What a number says about itself; nothing here."""
    await _look_up(request, "contactId")
    return Json({"about": None})


async def profile_picture(request: Request) -> Response:
    """A number's picture; nobody has one here."""
    await _look_up(request, "contactId")
    return Json({"profilePictureURL": None})


async def _look_up(request: Request, parameter: str) -> str | None:
    """The digits under which WhatsApp knows the number in the query; EngineFault when it will not say."""
    server = waha(request)
    name = request.query_params.get("session")
    check_session_access(request, name)
    session = await server.lifecycle.in_status(name, Status.WORKING)
    phone = request.query_params.get(parameter)
    if phone is None:
        raise undefined_property("includes")
    session.touch()
    await server.clock.sleep(server.config.latency_seconds)
    refused = server.sender.faults_of(session.name).rate_overlimit
    if refused > 0 and session.stored.rng.random() < refused:
        raise rate_overlimit()
    server.limits.ask(session.stored)
    return server.numbers.resolve(phone.strip().lstrip("+").removesuffix("@c.us"))


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    return [
        Route("/api/contacts/check-exists", check_exists, methods=["GET"]),
        Route("/api/contacts/about", about, methods=["GET"]),
        Route("/api/contacts/profile-picture", profile_picture, methods=["GET"]),
    ]

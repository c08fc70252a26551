"""`/sim/` for what happens to sends, to events and webhooks, and to an account that WhatsApp limits."""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.control_input import checked, number, running
from gateway.simulator.errors import unprocessable
from gateway.simulator.event_faults import parse_event_faults
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.limits import (
    DEFAULT_CYCLE_SECONDS,
    DEFAULT_ENFORCEMENT,
    DEFAULT_LENGTHEN_SECONDS,
    Capping,
)
from gateway.simulator.session import RunningSession
from gateway.simulator.webhooks import parse_webhook_faults

NO_QUOTA = -1


async def get_timelock(request: Request) -> Response:
    """Whether the account may begin no chats now, and how often it tried since."""
    return Json(waha(request).limits.timelock_json(_paired(request).stored))


async def put_timelock(request: Request) -> Response:
    """Let the account begin no chats for `seconds`; 0 ends the lock."""
    limits, session = waha(request).limits, _paired(request)
    body = await read_json(request)
    limits.lock(
        session.stored,
        number(body.get("seconds"), "seconds"),
        told=_truth(body.get("told", True), "told"),
        enforcement=_word(body.get("enforcement", DEFAULT_ENFORCEMENT), "enforcement"),
        lengthen=number(body.get("lengthen_seconds", DEFAULT_LENGTHEN_SECONDS), "lengthen_seconds"),
    )
    return Json(limits.timelock_json(session.stored))


async def get_capping(request: Request) -> Response:
    """The account's quota of new chats, null when it has none."""
    return Json(waha(request).limits.capping_json(_paired(request).stored))


async def put_capping(request: Request) -> Response:
    """Give the account a quota of new chats, and a cycle that begins now."""
    server, session = waha(request), _paired(request)
    body = await read_json(request)
    status = body.get("cappingStatus")
    seconds = number(body.get("cycle_seconds", DEFAULT_CYCLE_SECONDS), "cycle_seconds")
    if seconds == 0:
        raise unprocessable("cycle_seconds must be more than 0")
    capping = Capping(
        total=_count(body.get("totalQuota"), "totalQuota", least=NO_QUOTA),
        used=_count(body.get("usedQuota", 0), "usedQuota"),
        starts=server.clock.elapsed(),
        seconds=seconds,
        status=None if status is None else _word(status, "cappingStatus"),
    )
    server.limits.cap(session.stored, capping)
    return Json(server.limits.capping_json(session.stored))


async def drop_capping(request: Request) -> Response:
    """Take the quota away."""
    waha(request).limits.cap(_paired(request).stored, None)
    return Response(status_code=204)


async def sick(request: Request) -> Response:
    """WhatsApp refuses every send of this session with `code` until the session is restarted."""
    session = running(request)
    code = (await read_json(request)).get("code", 400)
    if code not in [status.value for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST]:
        raise unprocessable("code must be an HTTP status of an error, such as 400")
    waha(request).sender.fall_sick(session, int(code))
    return Json({"name": session.name, "code": code})


async def get_limits(request: Request) -> Response:
    """How many numbers an account may look up per minute."""
    return Json({"check_limit": waha(request).limits.check_limit})


async def put_limits(request: Request) -> Response:
    """Change how many numbers an account may look up per minute; null is any number."""
    body = await read_json(request)
    limit = body.get("check_limit")
    waha(request).limits.check_limit = None if limit is None else _count(limit, "check_limit")
    return await get_limits(request)


async def get_events(request: Request) -> Response:
    """What goes wrong with events."""
    return Json(waha(request).events.faults.to_json())


async def put_events(request: Request) -> Response:
    """Let this go wrong with events from now on; what is not named goes well again."""
    waha(request).events.faults = checked(parse_event_faults, await read_json(request))
    return await get_events(request)


async def get_webhooks(request: Request) -> Response:
    """What goes wrong with webhooks alone."""
    return Json(waha(request).webhooks.faults.to_json())


async def put_webhooks(request: Request) -> Response:
    """Let this go wrong with webhooks from now on; what is not named goes well again."""
    waha(request).webhooks.faults = checked(parse_webhook_faults, await read_json(request))
    return await get_webhooks(request)


def _paired(request: Request) -> RunningSession:
    """The running session in the path; 422 when nobody is paired, for limits belong to a number."""
    session = running(request)
    if session.stored.phone is None:
        raise unprocessable("the session is not paired, scan first")
    return session


def _truth(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise unprocessable(f"{name} must be true or false")
    return value


def _word(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise unprocessable(f"{name} must be a word")
    return value


def _count(value: Any, name: str, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise unprocessable(f"{name} must be a whole number of {least} or more")
    return value


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    one = "/sim/sessions/{session}"
    return [
        Route("/sim/limits", get_limits, methods=["GET"]),
        Route("/sim/limits", put_limits, methods=["PUT"]),
        Route("/sim/events", get_events, methods=["GET"]),
        Route("/sim/events", put_events, methods=["PUT"]),
        Route("/sim/webhooks", get_webhooks, methods=["GET"]),
        Route("/sim/webhooks", put_webhooks, methods=["PUT"]),
        Route(f"{one}/timelock", get_timelock, methods=["GET"]),
        Route(f"{one}/timelock", put_timelock, methods=["PUT"]),
        Route(f"{one}/capping", get_capping, methods=["GET"]),
        Route(f"{one}/capping", put_capping, methods=["PUT"]),
        Route(f"{one}/capping", drop_capping, methods=["DELETE"]),
        Route(f"{one}/sick", sick, methods=["POST"]),
    ]

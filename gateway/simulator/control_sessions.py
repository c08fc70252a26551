"""`/sim/` of the sessions: what phones do, how WhatsApp is lost, and how the server dies and comes back."""

import dataclasses

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.control_input import field, flag, number, phone_field, running, stored
from gateway.simulator.errors import unprocessable
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.server import Boot, WahaServer
from gateway.simulator.stored import PasskeyWish, Status, StoredSession

FORCIBLE = (Status.STOPPED, Status.STARTING, Status.SCAN_QR_CODE, Status.WORKING, Status.FAILED)


async def scan(request: Request) -> Response:
    """A phone scans the QR that a session shows; 422 when it shows none."""
    session = running(request)
    phone = await phone_field(request)
    if not session.scan(phone):
        raise unprocessable(f"the session shows no QR, its status is {session.status}")
    return Json({"name": session.name, "phone": phone})


async def enter_code(request: Request) -> Response:
    """A phone types the pairing code that was made for it; 422 when it is another one, or void by now."""
    session = running(request)
    phone = await phone_field(request)
    code = await field(request, "code")
    if session.pairing is None or not session.pairing.enter_code(phone, code):
        raise unprocessable(f"this is not the code that {phone} may type now")
    return Json({"name": session.name, "phone": phone})


async def set_passkey(request: Request) -> Response:
    """Whether the next pairing of this session asks for a passkey, and to compare a code after it."""
    session = stored(request)
    server = waha(request)
    body = await read_json(request)
    wish = PasskeyWish(flag(body, "passkey"), flag(body, "confirmation", default=True))
    if server.engine.name != "GOWS":
        raise unprocessable("only GOWS asks for passkeys")
    session.passkey = wish
    return Json({"name": session.name, "passkey": wish.wanted, "confirmation": wish.confirmation})


async def phone_logout(request: Request) -> Response:
    """The phone removes this linked device; one that is not connected hears of it when it connects."""
    session = stored(request)
    server = waha(request)
    if session.phone is None:
        raise unprocessable("the session is not paired")
    server.remove_device(session)
    return Json({"name": session.name, "status": _status(server, session)})


async def phone_online(request: Request) -> Response:
    """The phone gives a sign of life."""
    session = stored(request)
    waha(request).phones.seen(session)
    return Json({"name": session.name})


async def deafen(request: Request) -> Response:
    """The session works, but tells none of its messages and receipts any more, until it is restarted."""
    session = running(request)
    body = await read_json(request)
    session.deafen(deaf=flag(body, "deaf"), incurable=flag(body, "incurable", default=False))
    return Json({"name": session.name, "deaf": session.deaf, "incurable": session.stored.incurably_deaf})


async def force_status(request: Request) -> Response:
    """Put a running session into a status, whatever it was doing."""
    server = waha(request)
    session = running(request)
    wanted = await field(request, "status")
    if wanted not in FORCIBLE:
        raise unprocessable(f"status must be one of {', '.join(FORCIBLE)}")
    status = Status(wanted)
    if status is Status.STOPPED:
        await server.lifecycle.force_stop(session.name)
    elif status is Status.WORKING and session.me is None:
        raise unprocessable("the session is not paired, scan first")
    else:
        await session.force(status)
    return Json({"name": session.name, "status": session.status.value})


async def disconnect(request: Request) -> Response:
    """WhatsApp is out of reach for `seconds`, for all sessions or those named; tells which of them run."""
    server = waha(request)
    body = await read_json(request)
    seconds = number(body.get("seconds"), "seconds")
    unnoticed = number(body.get("unnoticed_seconds", 0), "unnoticed_seconds")
    names = body.get("sessions")
    if names is not None and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
        raise unprocessable("sessions must be a list of names")
    hit = server.disconnect(seconds, names, unnoticed_seconds=unnoticed)
    return Json({"seconds": seconds, "sessions": hit})


async def restart(request: Request) -> Response:
    """The server process dies, is away for `down_seconds`, and brings its sessions back one by one."""
    server = waha(request)
    body = await read_json(request)
    hanging = body.get("hang_session")
    if hanging is not None:
        server.lifecycle.known(str(hanging))
    plan = Boot(
        down_seconds=number(body.get("down_seconds", 0), "down_seconds"),
        start_delay_seconds=number(body.get("start_delay_seconds", 0), "start_delay_seconds"),
        hang_session=hanging,
        forget_config=flag(body, "forget_config", default=False),
        forget_logins=flag(body, "forget_logins", default=False),
        keep_sessions_stopped=flag(body, "keep_sessions_stopped", default=False),
    )
    await server.restart(plan, keep=server.connections.find(request.scope))
    return Json({"boot": server.boot})


async def lifecycle(request: Request) -> Response:
    """Every lifecycle call in order of arrival, of all sessions or of `session`."""
    journal = waha(request).lifecycle.journal
    only = request.query_params.get("session")
    calls = [dataclasses.asdict(call) for call in journal.calls if only in (None, call.session)]
    return Json({"calls": calls, "dropped": journal.dropped})


async def clear_lifecycle(request: Request) -> Response:
    """Forget the calls until now."""
    waha(request).lifecycle.journal.clear()
    return Response(status_code=204)


def _status(server: WahaServer, session: StoredSession) -> str:
    engine_object = server.lifecycle.running.get(session.name)
    return Status.STOPPED.value if engine_object is None else engine_object.status.value


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    one = "/sim/sessions/{session}"
    return [
        Route("/sim/disconnect", disconnect, methods=["POST"]),
        Route("/sim/restart", restart, methods=["POST"]),
        Route("/sim/lifecycle", lifecycle, methods=["GET"]),
        Route("/sim/lifecycle", clear_lifecycle, methods=["DELETE"]),
        Route(f"{one}/scan", scan, methods=["POST"]),
        Route(f"{one}/enter-code", enter_code, methods=["POST"]),
        Route(f"{one}/passkey", set_passkey, methods=["POST"]),
        Route(f"{one}/logout", phone_logout, methods=["POST"]),
        Route(f"{one}/phone-online", phone_online, methods=["POST"]),
        Route(f"{one}/deaf", deafen, methods=["POST"]),
        Route(f"{one}/status", force_status, methods=["POST"]),
    ]

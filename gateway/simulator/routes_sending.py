"""The routes that send: nothing validates their bodies."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import check_session_access, session_of
from gateway.simulator.errors import EngineFault, WahaError, not_implemented, undefined_property
from gateway.simulator.http import Json, SendAnswer, error_answer, read_json, waha
from gateway.simulator.ids import make_chat_id
from gateway.simulator.sending import Attempt
from gateway.simulator.stored import Status

Endpoint = Callable[[Request], Awaitable[Response]]


def _send(kind: str) -> Endpoint:
    async def send(request: Request) -> Response:
        server = waha(request)
        attempt = Attempt(received_at=server.clock.now())
        body = await read_json(request)
        check_session_access(request, body.get("session"))
        response: Response
        try:
            response = Json(await server.sender.send(kind, body, attempt), status_code=201)
        except (WahaError, EngineFault) as error:
            response = error_answer(request, error)
        return SendAnswer(response, attempt, server)

    return send


async def typing(request: Request) -> Response:
    """Show or hide "typing"; it never ends by itself."""
    server = waha(request)
    body = await read_json(request)
    check_session_access(request, body.get("session"))
    session = await server.lifecycle.in_status(body.get("session"), Status.WORKING)
    if not isinstance(body.get("chatId"), str):
        raise undefined_property("includes")
    session.touch()
    return Json({"result": True}, status_code=201)


async def seen(request: Request) -> Response:
    """Mark messages as read: those named, else the unread ones of the last days."""
    server = waha(request)
    body = await read_json(request)
    check_session_access(request, body.get("session"))
    session = await server.lifecycle.in_status(body.get("session"), Status.WORKING)
    if not isinstance(body.get("chatId"), str):
        raise undefined_property("includes")
    session.touch()
    if body.get("messageIds"):
        return Response(status_code=201)
    chat_id = server.numbers.canonical(make_chat_id(body["chatId"]))
    incoming = [one for one in session.stored.store.newest_first(chat_id) if not one.from_me]
    return Json({"ids": [server.engine.full_id(one) for one in incoming]}, status_code=201)


async def presence(request: Request) -> Response:
    """Go online or offline, or show something in one chat."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    body = await read_json(request)
    wanted = body.get("presence")
    if wanted in ("online", "offline") and body.get("chatId"):
        raise WahaError(400, {"detail": f"'{wanted}' presence is for all chats, remove chatId"})
    if wanted not in ("online", "offline") and not body.get("chatId"):
        raise WahaError(400, {"detail": f"'{wanted}' presence needs a chatId"})
    session.touch()
    if isinstance(wanted, str) and wanted in ("online", "offline"):
        session.set_presence(wanted)
    return Response(status_code=201)


async def new_message_id(request: Request) -> Response:
    """An id to send with; WEBJS has none."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    if not server.engine.honours_ids:
        raise not_implemented(server.engine.name)
    return Json({"id": server.engine.new_id(session.stored.rng)})


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    return [
        Route("/api/sendText", _send("text"), methods=["POST"]),
        Route("/api/sendImage", _send("image"), methods=["POST"]),
        Route("/api/sendFile", _send("file"), methods=["POST"]),
        Route("/api/sendVoice", _send("voice"), methods=["POST"]),
        Route("/api/sendVideo", _send("video"), methods=["POST"]),
        Route("/api/startTyping", typing, methods=["POST"]),
        Route("/api/stopTyping", typing, methods=["POST"]),
        Route("/api/sendSeen", seen, methods=["POST"]),
        Route("/api/{session}/presence", presence, methods=["POST"]),
        Route("/api/{session}/new-message-id", new_message_id, methods=["GET"]),
    ]

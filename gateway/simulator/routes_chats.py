"""The routes that look into the session's own store: messages of a chat, and hidden ids."""

from collections.abc import Iterator
from itertools import islice

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import session_of
from gateway.simulator.errors import EngineFault, WahaError, not_found
from gateway.simulator.http import Json, waha
from gateway.simulator.ids import make_chat_id, parse_message_id
from gateway.simulator.messages import ACK_NAMES, Message, MessageStore
from gateway.simulator.server import WahaServer
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import Status


async def one_message(request: Request) -> Response:
    """A message by its bare or serialized id (WEBJS: serialized only); 404 when it is not there.

    GOWS can be told to say so with its gRPC error, a 500.
    """
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    store = _store(server, session)
    given = parse_message_id(request.path_params["message"])
    message = None
    if given.chat or server.engine.bare_lookup:
        message = store.find(_chat(server, request), given.bare)
    if message is None:
        if server.config.missing_is_500 and server.engine.name == "GOWS":
            raise EngineFault("5 NOT_FOUND: message not found", code=5, details="message not found")
        raise not_found("Message not found")
    return Json(server.engine.message_json(message))


async def messages(request: Request) -> Response:
    """The messages of a chat, the newest first, 10 unless told otherwise; chat `all` on GOWS and NOWEB."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    store = _store(server, session)
    query = request.query_params
    found = _filtered(store.newest_first(_chat(server, request)), query)
    if query.get("sortOrder") == "asc":
        found = iter(list(found)[::-1])
    offset, limit = int(query.get("offset", "0")), int(query.get("limit", "10"))
    return Json([server.engine.message_json(one) for one in islice(found, offset, offset + limit)])


async def lid_of_phone(request: Request) -> Response:
    """The hidden id of a number, null when it has none."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    _store(server, session)
    digits = request.path_params["phone"].lstrip("+").partition("@")[0]
    known = server.numbers.resolve(digits)
    lid = None if known is None else server.numbers.lid(known)
    return Json({"lid": lid, "pn": f"{known or digits}@c.us"})


async def phone_of_lid(request: Request) -> Response:
    """The number behind a hidden id, null when it is not known."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.WORKING)
    _store(server, session)
    lid = request.path_params["lid"].partition("@")[0] + "@lid"
    phone = server.numbers.phone(lid)
    return Json({"lid": lid, "pn": None if phone is None else f"{phone}@c.us"})


def _store(server: WahaServer, session: RunningSession) -> MessageStore:
    """What the engine remembers; NOWEB answers 400 unless its store was enabled."""
    config = session.config
    if server.engine.name == "NOWEB" and not ((config.get("noweb") or {}).get("store") or {}).get("enabled"):
        message = 'Enable NOWEB store "config.noweb.store.enabled=True" and "config.noweb.store.full_sync=True"'
        raise WahaError(400, {"statusCode": 400, "message": message, "error": "Bad Request"})
    kept = ((config.get("gows") or {}).get("storage") or {}).get("messages")
    if server.engine.name == "GOWS" and kept is False:
        return MessageStore()
    return session.stored.store


def _chat(server: WahaServer, request: Request) -> str:
    chat: str = request.path_params["chat"]
    if chat == "all" and server.engine.bare_lookup:
        return chat
    return server.numbers.canonical(make_chat_id(chat))


def _filtered(found: Iterator[Message], query: QueryParams) -> Iterator[Message]:
    from_me = query.get("filter.fromMe")
    since = float(query.get("filter.timestamp.gte", "-inf"))
    until = float(query.get("filter.timestamp.lte", "inf"))
    ack = query.get("filter.ack")
    return (
        one
        for one in found
        if since <= one.timestamp <= until
        and (from_me is None or one.from_me == (from_me == "true"))
        and (ack is None or ACK_NAMES[one.ack] == ack)
    )


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    chats = "/api/{session}/chats/{chat}/messages"
    return [
        Route(chats, messages, methods=["GET"]),
        Route(f"{chats}/{{message}}", one_message, methods=["GET"]),
        Route("/api/{session}/lids/pn/{phone}", lid_of_phone, methods=["GET"]),
        Route("/api/{session}/lids/{lid}", phone_of_lid, methods=["GET"]),
    ]

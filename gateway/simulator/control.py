"""`/sim/`: what only a simulator can be told and asked. No key, and alive while the server is dead."""

import dataclasses

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.control_input import checked, field, flag, number, running, word, working
from gateway.simulator.errors import JsonObject, unprocessable
from gateway.simulator.faults import parse_faults
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.messages import Said

MOST_TIMES = 100


async def ledger(request: Request) -> Response:
    """Every transmission after `since`, and every send that did not reach WhatsApp, with times in seconds."""
    book = waha(request).ledger
    since = number(request.query_params.get("since", "0"), "since")
    transmissions = [dataclasses.asdict(one) for one in book.since(int(since))]
    refusals = [dataclasses.asdict(one) for one in book.refusals]
    return Json({"transmissions": transmissions, "refusals": refusals})


async def clear_ledger(request: Request) -> Response:
    """Forget all transmissions; their numbers are not used again."""
    waha(request).ledger.clear()
    return Response(status_code=204)


async def incoming(request: Request) -> Response:
    """Somebody writes to the session: `from` (digits or a chat id), `text`, and how (see `Said`)."""
    session = working(request)
    said = _said(await read_json(request))
    message = waha(request).incoming(session, await field(request, "from"), await field(request, "text"), said)
    return Json({"id": message.id, "chat_id": message.chat_id})


def _said(body: JsonObject) -> Said:
    times = number(body.get("times", 1), "times")
    if times not in range(1, MOST_TIMES + 1):
        raise unprocessable(f"times must be a whole number from 1 to {MOST_TIMES}")
    return Said(
        id=word(body, "id"),
        author=word(body, "author") or "",
        reply_to=word(body, "reply_to"),
        seconds_ago=number(body.get("seconds_ago", 0), "seconds_ago"),
        times=int(times),
        hidden=flag(body, "hidden", False),
    )


async def phone_message(request: Request) -> Response:
    """The session's owner writes on the phone itself: `to` and `text`."""
    session = working(request)
    message = waha(request).from_phone(session, await field(request, "to"), await field(request, "text"))
    return Json({"id": message.id, "chat_id": message.chat_id})


async def get_faults(request: Request) -> Response:
    """The faults in force, of all sends or of those of `session`."""
    sender = waha(request).sender
    session = request.query_params.get("session")
    return Json((sender.faults if session is None else sender.faults_of(session)).to_json())


async def put_faults(request: Request) -> Response:
    """Put these faults in force, those not named go back to none; `session` limits them to its sends."""
    sender = waha(request).sender
    session = request.query_params.get("session")
    faults = checked(parse_faults, await read_json(request))
    if session is None:
        sender.faults = faults
    else:
        sender.session_faults[session] = faults
    return Json(faults.to_json())


async def get_numbers(request: Request) -> Response:
    """Which numbers are not on WhatsApp."""
    book = waha(request).numbers
    return Json({"unregistered": sorted(book.unregistered), "brazil_without_nine": book.brazil_without_nine})


async def put_numbers(request: Request) -> Response:
    """Change which numbers are not on WhatsApp; what is not named stays."""
    book = waha(request).numbers
    body = await read_json(request)
    unregistered = body.get("unregistered", list(book.unregistered))
    without_nine = body.get("brazil_without_nine", book.brazil_without_nine)
    if not isinstance(unregistered, list) or not all(isinstance(one, str) for one in unregistered):
        raise unprocessable("unregistered must be a list of strings")
    if not isinstance(without_nine, bool):
        raise unprocessable("brazil_without_nine must be true or false")
    book.unregistered = {one.lstrip("+") for one in unregistered}
    book.brazil_without_nine = without_nine
    return await get_numbers(request)


async def put_clock(request: Request) -> Response:
    """Change how fast simulated time passes."""
    clock = waha(request).clock
    body = await read_json(request)
    speed = number(body.get("speed"), "speed")
    checked(clock.set_speed, speed)
    return Json({"speed": clock.speed})


async def get_clock(request: Request) -> Response:
    """How fast simulated time passes."""
    return Json({"speed": waha(request).clock.speed})


async def put_receipts(request: Request) -> Response:
    """Whether phones acknowledge by themselves from now on: `enabled`."""
    body = await read_json(request)
    if not isinstance(body.get("enabled"), bool):
        raise unprocessable("enabled must be true or false")
    waha(request).receipts.enabled = body["enabled"]
    return Json({"enabled": body["enabled"]})


async def acknowledge(request: Request) -> Response:
    """A receipt for one message: `chat_id`, `id`, `ack` from -1 to 4."""
    server = waha(request)
    session = running(request)
    body = await read_json(request)
    message = session.stored.store.find(str(body.get("chat_id")), str(body.get("id")))
    ack = body.get("ack")
    if message is None or ack not in (-1, 0, 1, 2, 3, 4):
        raise unprocessable("chat_id and id must name a message, ack must be -1 to 4")
    server.receipts.acknowledge(session.stored, message, int(ack))
    return Json({"id": message.id, "ack": message.ack})


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    one = "/sim/sessions/{session}"
    return [
        Route("/sim/ledger", ledger, methods=["GET"]),
        Route("/sim/ledger", clear_ledger, methods=["DELETE"]),
        Route("/sim/faults", get_faults, methods=["GET"]),
        Route("/sim/faults", put_faults, methods=["PUT"]),
        Route("/sim/numbers", get_numbers, methods=["GET"]),
        Route("/sim/numbers", put_numbers, methods=["PUT"]),
        Route("/sim/clock", get_clock, methods=["GET"]),
        Route("/sim/clock", put_clock, methods=["PUT"]),
        Route("/sim/receipts", put_receipts, methods=["PUT"]),
        Route(f"{one}/incoming", incoming, methods=["POST"]),
        Route(f"{one}/phone-message", phone_message, methods=["POST"]),
        Route(f"{one}/ack", acknowledge, methods=["POST"]),
    ]

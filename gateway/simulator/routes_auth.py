"""The routes of pairing: QR in three forms, and the code to type."""

import asyncio
import base64
import io

import qrcode
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import session_of
from gateway.simulator.errors import undefined_property, unprocessable
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.ids import make_pairing_code
from gateway.simulator.session import Status

GOWS_PATIENCE_SECONDS = 2.0


async def qr(request: Request) -> Response:
    """The QR that is shown now: `format=raw` its value, JSON for exactly that Accept header, else a PNG."""
    server = waha(request)
    session = await server.lifecycle.in_status(session_of(request), Status.SCAN_QR_CODE)
    value = session.qr or ""
    if request.query_params.get("format") == "raw":
        return Json({"value": value})
    png = await asyncio.to_thread(_png, value)
    if request.headers.get("accept") == "application/json":
        return Json({"mimetype": "image/png", "data": base64.b64encode(png).decode()})
    return Response(png, media_type="image/png")


async def request_code(request: Request) -> Response:
    """A code to type on the phone instead of scanning; the QR's clock runs on."""
    server = waha(request)
    session = server.lifecycle.now_running(session_of(request))
    body = await read_json(request)
    if server.engine.name == "GOWS" and session.status is Status.STARTING:
        await server.clock.sleep(GOWS_PATIENCE_SECONDS)
    if session.status is not Status.SCAN_QR_CODE:
        raise unprocessable(f"Can request code only in SCAN_QR_CODE status. The current status is {session.status}")
    if server.engine.name == "NOWEB" and body.get("method"):
        raise unprocessable("NOWEB engine doesn't support any 'method', remove it and try again")
    if not isinstance(body.get("phoneNumber"), str):
        raise undefined_property("replace")
    return Json({"code": make_pairing_code(session.stored.rng)}, status_code=201)


def _png(value: str) -> bytes:
    buffer = io.BytesIO()
    qrcode.make(value).save(buffer)
    return buffer.getvalue()


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    return [
        Route("/api/{session}/auth/qr", qr, methods=["GET"]),
        Route("/api/{session}/auth/request-code", request_code, methods=["POST"]),
    ]

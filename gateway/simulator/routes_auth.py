"""The routes of pairing: QR in three forms, and the code to type."""

import asyncio
import base64
import io
import re

import qrcode
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.simulator.access import session_of
from gateway.simulator.errors import EngineFault, JsonObject, not_implemented, undefined_property, unprocessable
from gateway.simulator.http import Json, read_json, waha
from gateway.simulator.pairing import Pairing
from gateway.simulator.stored import Status

GOWS_PATIENCE_SECONDS = 2.0
NO_CHALLENGE = "No passkey challenge is pending for the session"
NO_CONFIRMATION = "No passkey confirmation is pending for the session"
SIGNED = ("clientDataJSON", "authenticatorData", "signature")


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
    pairing = session.pairing
    if session.status is not Status.SCAN_QR_CODE or pairing is None:
        raise unprocessable(f"Can request code only in SCAN_QR_CODE status. The current status is {session.status}")
    if server.engine.name == "NOWEB" and body.get("method"):
        raise unprocessable("NOWEB engine doesn't support any 'method', remove it and try again")
    phone = body.get("phoneNumber")
    if not isinstance(phone, str):
        raise undefined_property("replace")
    return Json({"code": pairing.make_code(re.sub(r"\D", "", phone))}, status_code=201)


async def passkey_challenge(request: Request) -> Response:
    """What a browser on WhatsApp's origin is to sign; 422 when nothing is."""
    pairing = _pairing(request)
    if pairing is None or pairing.challenge is None:
        raise unprocessable(NO_CHALLENGE)
    return Json(pairing.challenge)


async def passkey(request: Request) -> Response:
    """The signed challenge; who signed it is not checked, only that everything is there."""
    pairing = _pairing(request)
    _check_assertion(await read_json(request))
    if pairing is None or not pairing.prove():
        raise unprocessable(NO_CHALLENGE)
    return Response(status_code=201)


async def passkey_confirmation(request: Request) -> Response:
    """The code to compare with the one on the phone; 422 when there is none."""
    pairing = _pairing(request)
    if pairing is None or pairing.confirmation is None:
        raise unprocessable(NO_CONFIRMATION)
    return Json(pairing.confirmation)


async def confirm_passkey(request: Request) -> Response:
    """The codes are the same; 422 when there is none to compare."""
    pairing = _pairing(request)
    if pairing is None or not pairing.confirm():
        raise unprocessable(NO_CONFIRMATION)
    return Response(status_code=201)


def _pairing(request: Request) -> Pairing | None:
    """The pairing of a running session of GOWS; 404 when it does not run, 501 on other engines."""
    server = waha(request)
    session = server.lifecycle.now_running(session_of(request))
    if server.engine.name != "GOWS":
        raise not_implemented(server.engine.name)
    return session.pairing


def _check_assertion(body: JsonObject) -> None:
    """EngineFault where a part of WebAuthn's answer is missing: nobody validates it."""
    response = body.get("response")
    if not isinstance(response, dict):
        raise undefined_property("clientDataJSON")
    parts = [body.get("id"), body.get("rawId"), *(response.get(name) for name in SIGNED)]
    if not all(isinstance(part, str) and part for part in parts):
        raise EngineFault("3 INVALID_ARGUMENT: the passkey's answer is incomplete", code=3)


def _png(value: str) -> bytes:
    buffer = io.BytesIO()
    qrcode.make(value).save(buffer)
    return buffer.getvalue()


def routes() -> list[BaseRoute]:
    """The routes of this file."""
    return [
        Route("/api/{session}/auth/qr", qr, methods=["GET"]),
        Route("/api/{session}/auth/request-code", request_code, methods=["POST"]),
        Route("/api/{session}/auth/passkey/challenge", passkey_challenge, methods=["GET"]),
        Route("/api/{session}/auth/passkey", passkey, methods=["POST"]),
        Route("/api/{session}/auth/passkey/confirmation", passkey_confirmation, methods=["GET"]),
        Route("/api/{session}/auth/passkey/confirm", confirm_passkey, methods=["POST"]),
    ]

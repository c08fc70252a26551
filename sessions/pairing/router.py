"""Routes of pairing: the QR code, by asking or by a stream, and the other ways to link a phone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.auth.access import Access, Caller, PhoneReader
from gateway.auth.bearer import bearer_of
from gateway.db import AnyRow
from gateway.errors import NotFound, Unauthorized
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.pairing.answers import qr_out
from sessions.pairing.other_ways import OtherWays
from sessions.pairing.schemas import CodeOut, PasskeyAssertion, PasskeyDone, PasskeyOut, QrOut
from sessions.pairing.service import Pairing
from sessions.pairing.streams import QrStreams, Stream
from sessions.schemas import as_time

Number = Annotated[str, Path(description="The sender's number, written in any way", max_length=40)]

RETRY_MILLISECONDS = 2000
STREAM_EXAMPLE = """retry: 2000
event: status
data: {"status":"WAITING_FOR_SCAN"}

event: qr
data: {"status":"WAITING_FOR_SCAN","qr_code":"iVBORw0KGgo...","expires_at":"2026-11-21T09:01:00Z"}

: ping

event: status
data: {"status":"CONNECTED"}

"""
STREAM_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `status` and `qr` until the session is connected or removed",
        "content": {"text/event-stream": {"example": STREAM_EXAMPLE}},
    }
}


@dataclass(frozen=True, slots=True)
class PairingParts:
    """What the routes of pairing are made of."""

    pairing: Pairing
    streams: QrStreams
    other_ways: OtherWays
    phones: PhoneReader
    access: Access
    idempotency: Idempotency


@dataclass(frozen=True, slots=True)
class Watching:
    """A stream, who reads it, and how to see whether they still may."""

    stream: Stream
    number: str
    request: Request


def build_router(parts: PairingParts) -> APIRouter:
    """The routes of pairing under `/api/sessions`."""
    router = LateRouter(prefix="/api/sessions", tags=["sessions"])
    pairing, access, other_ways = parts.pairing, parts.access, parts.other_ways
    Shown = Annotated[Caller, Depends(access.pairing)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(parts.idempotency)]  # noqa: N806 - a type

    async def allowed(caller: Caller, text: str) -> str:
        number = parts.phones.digits(text, "phone_number")
        await pairing.require(caller, number)
        return number

    async def watching(request: Request, phone_number: Number, caller: Shown) -> AsyncIterator[Watching]:
        number = await allowed(caller, phone_number)
        async with parts.streams.open(caller, number) as stream:
            yield Watching(stream, number, request)

    async def still_may(watch: Watching) -> bool:
        headers = watch.request.headers
        try:
            given = (headers.get("x-admin-token"), headers.get("x-sender-token"), bearer_of(watch.request))
            caller = await access.pairing(*given)
            await pairing.require(caller, watch.number)
        except (Unauthorized, NotFound):
            return False
        return await pairing.may_see(caller, watch.number)

    @router.get("/{phone_number}/qr", summary="The current QR code", response_model_exclude_none=True)
    async def qr(phone_number: Number, caller: Shown) -> QrOut:
        """The code to scan as a PNG, and when it is replaced; `{"status": "CONNECTED"}` once it was scanned.

        Starts the session if it does not run, and begins a pairing that has run out anew. Never takes longer than some
        seconds: a session that is still starting answers its status without a code; ask again, or let
        `GET /api/sessions/{phone_number}/qr/stream` tell.

        A login that is of no use any more is ended first, because only then there is a code: one that the phone has
        ended, and for its owner or an operator also one that has expired.
        """
        return qr_out(await pairing.ask(caller, await allowed(caller, phone_number)))

    @router.get(
        "/{phone_number}/qr/stream",
        summary="Follow a pairing",
        response_class=EventSourceResponse,
        responses=STREAM_RESPONSE,
    )
    async def stream(watch: Annotated[Watching, Depends(watching)]) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `qr` with each new code, `status` with each new state; both carry the QR route's JSON.

        Opening it is like asking for the QR code; a pairing that runs out later is told and not begun anew. It ends
        when the session is connected or removed. 429 when too many follow this number, 503 when too many follow any.
        """
        yield ServerSentEvent(retry=RETRY_MILLISECONDS)
        async for told in watch.stream:
            if told.kind == "qr" and not await still_may(watch):
                return
            yield ServerSentEvent(event=told.kind, raw_data=told.body.model_dump_json(exclude_none=True))

    @router.post("/{phone_number}/code", summary="A code to type instead of scanning")
    async def code(phone_number: Number, caller: Shown, once: JustOnce) -> CodeOut:
        """A code for *Linked devices, Link with phone number* on the phone. The session is started as for the QR code.

        409 when it is connected already, 501 where the server's engine has no such codes, 503 while it is starting. The
        QR code stays the other way.
        """

        async def asked() -> CodeOut:
            number = await allowed(caller, phone_number)
            typed = await other_ways.request_code(caller, number)
            where = "On the phone: Linked devices, Link with phone number."
            message = f"{where} Or scan the code of GET /api/sessions/+{number}/qr."
            return CodeOut(code=typed.code, expires_at=as_time(typed.expires_at), message=message)

        return await once.step(CodeOut, caller, asked)

    @router.get("/{phone_number}/passkey", summary="The pending passkey step", response_model_exclude_none=True)
    async def passkey(phone_number: Number, caller: Shown) -> PasskeyOut:
        """What WhatsApp asks for after the scan: a challenge to sign with the account's passkey, or a code to compare.

        The session's state is SCANNED meanwhile. 409 when nothing is asked.
        """
        step = await other_ways.passkey(await allowed(caller, phone_number))
        return PasskeyOut.model_validate(
            {
                "step": step.step,
                "challenge": step.challenge,
                "code": step.code,
                "expires_at": as_time(step.expires_at),
                "message": step.hint,
            }
        )

    @router.post("/{phone_number}/passkey", summary="Answer the passkey challenge")
    async def submit(phone_number: Number, caller: Shown, body: PasskeyAssertion, once: JustOnce) -> PasskeyDone:
        """Pass on what `navigator.credentials.get(...)` gave on https://web.whatsapp.com. 409 when nothing is asked."""
        assertion = body.model_dump(exclude_unset=True)

        async def passed() -> PasskeyDone:
            return done(await other_ways.submit_passkey(await allowed(caller, phone_number), assertion))

        return await once.step(PasskeyDone, caller, passed)

    @router.post("/{phone_number}/passkey/confirm", summary="Confirm the passkey code")
    async def confirm(phone_number: Number, caller: Shown, once: JustOnce) -> PasskeyDone:
        """Say that the code is the one on the phone. 409 when nothing is asked."""

        async def passed() -> PasskeyDone:
            return done(await other_ways.confirm_passkey(await allowed(caller, phone_number)))

        return await once.step(PasskeyDone, caller, passed)

    return router


def done(row: AnyRow) -> PasskeyDone:
    """A passkey step was passed on."""
    return PasskeyDone(status=row.state, message=qr_hint(row.number))


def qr_hint(number: str) -> str:
    """What to look at after a passkey step."""
    return f"handed over; see GET /api/sessions/+{number} for what WhatsApp says"

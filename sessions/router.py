"""Routes of the sessions: pair a number, see how it is, stop it, remove it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query

from gateway.auth.access import Access, Caller, PhoneReader
from gateway.db import AnyRow
from gateway.http.pages import Page, PageRequest, make_page
from gateway.idempotency.header import Idempotency, Once
from gateway.late_routes import LateRouter
from sessions.keepalive import clocks
from sessions.keepalive.clocks import Periods
from sessions.keepalive.sentences import sentence
from sessions.models import SessionState
from sessions.pairing.opening import Opening
from sessions.pairing.passkeys import passkey_hint
from sessions.schemas import (
    MeOut,
    SessionCreate,
    SessionCreated,
    SessionOut,
    SessionRemoved,
    SessionStatusOut,
    as_time,
)
from sessions.service import SessionService

Number = Annotated[str, Path(description="The sender's number, written in any way", max_length=40)]


def describe(row: AnyRow, phones: PhoneReader, periods: Periods) -> dict[str, object]:
    """A session row as the API tells it, at the time that it was read."""
    now = row.read_at
    locked = row.locked_until > now
    return {
        "phone_number": f"+{row.number}",
        "grade": phones.grade(row.number),
        "status": row.state,
        "waha_status": row.waha_status,
        "reason": passkey_hint(row) or row.reason,
        "name": row.push_name,
        "server": row.server_name,
        "server_up": row.server_up,
        "server_seen_at": as_time(row.server_seen_at),
        "status_since": as_time(row.state_at),
        "paired_at": as_time(row.paired_at),
        "last_active": as_time(clocks.active_at(row)),
        "expires_at": as_time(clocks.expires_at(row, periods)),
        "expires_in_seconds": clocks.expires_in(row, periods, now),
        "requires_auth": row.requires_auth,
        "phone_last_seen": as_time(clocks.phone_seen_at(row)),
        "phone_expires_at": as_time(clocks.phone_expires_at(row, periods)),
        "message": sentence(row, periods, now),
        "new_contacts_from": as_time(row.locked_until) if locked else None,
        "limits": row.lock_reason if locked else None,
        "capping": orjson.loads(row.capping) if row.capping else None,
        "created_at": as_time(row.created_at),
    }


def build_router(
    service: SessionService, opening: Opening, access: Access, periods: Periods, idempotency: Idempotency
) -> APIRouter:
    """The routes under `/api/sessions`."""
    router = LateRouter(prefix="/api/sessions", tags=["sessions"])
    Who = Annotated[Caller, Depends(access.caller)]  # noqa: N806 - a type
    Shown = Annotated[Caller, Depends(access.pairing)]  # noqa: N806 - a type
    JustOnce = Annotated[Once, Depends(idempotency)]  # noqa: N806 - a type

    def out(row: AnyRow) -> SessionOut:
        return SessionOut.model_validate(describe(row, service.phones, periods))

    async def move(
        caller: Caller, phone_number: str, once: Once, act: Callable[[str], Awaitable[AnyRow]]
    ) -> SessionOut:
        async def moved() -> SessionOut:
            return out(await act(await service.allowed(caller, phone_number)))

        return await once.step(SessionOut, caller, moved)

    @router.post("", status_code=201, summary="Create or start a session")
    async def create(
        body: SessionCreate, caller: Annotated[Caller, Depends(access.anybody)], once: JustOnce
    ) -> SessionCreated:
        """Open a session for a number and begin its pairing. Then show `GET /api/sessions/{number}/qr`.

        Needs no credential: only the phone's owner can scan, and the `sender_token` of the answer counts for everything
        else once they have. Until then it shows the session and its code.

        409 while another pairing of the number is open, or when it is connected; 503 when no server has room.
        """
        number = service.phones.digits(body.phone_number, "phone_number")

        async def made() -> SessionCreated:
            created = await opening.create(caller, number)
            shown = {**describe(created.row, service.phones, periods), "sender_token": created.token}
            return SessionCreated.model_validate(shown)

        return await once.step(SessionCreated, caller, made, shown_once="sender_token")

    @router.get("", summary="List sessions")
    async def list_sessions(
        caller: Who,
        page: Annotated[PageRequest, Depends()],
        sender_number: Annotated[str | None, Query(description="Whose; needed in open mode")] = None,
        status: Annotated[list[SessionState] | None, Query(description="Only these states")] = None,
    ) -> Page[SessionOut]:
        """The caller's sessions; an operator sees all."""
        scope = caller.scope(service.phones.optional_digits(sender_number))
        rows, total = await service.page(scope, [str(s) for s in status or []], page.offset, page.limit)
        return make_page([out(row) for row in rows], total, page)

    @router.get("/{phone_number}", summary="One session")
    async def get(phone_number: Number, caller: Shown) -> SessionOut:
        """The session's state and details: poll this after asking for the QR code."""
        return out(await service.get(await service.allowed(caller, phone_number)))

    @router.get("/{sender_number}/status", summary="Where a session is")
    async def status_of(sender_number: Number, caller: Shown) -> SessionStatusOut:
        """`active in memory` while WAHA runs it, `saved in DB` otherwise, `not found` where there is none."""
        number = await service.allowed(caller, sender_number)
        row = await service.find(number)
        if row is None:
            return SessionStatusOut(
                phone_number=f"+{number}",
                status="not found",
                state="NOT_FOUND",
                last_active=None,
                expires_at=None,
                requires_auth=True,
            )
        session = out(row)
        active = row.server_up and row.state not in (SessionState.STOPPED, SessionState.FAILED, SessionState.EXPIRED)
        return SessionStatusOut(
            phone_number=session.phone_number,
            status="active in memory" if active else "saved in DB",
            state=session.status,
            last_active=session.last_active,
            expires_at=session.expires_at,
            requires_auth=session.requires_auth,
        )

    @router.get("/{phone_number}/me", summary="The paired account")
    async def me(phone_number: Number, caller: Who) -> MeOut:
        """The WhatsApp account behind the session; 409 while it is not connected."""
        return MeOut.model_validate(await service.me(await service.allowed(caller, phone_number)))

    @router.post("/{phone_number}/start", summary="Start")
    async def start(phone_number: Number, caller: Who, once: JustOnce) -> SessionOut:
        """Start a stopped session; one that has failed is restarted, one that runs is left alone."""
        return await move(caller, phone_number, once, service.start)

    @router.post("/{phone_number}/restart", summary="Restart")
    async def restart(phone_number: Number, caller: Who, once: JustOnce) -> SessionOut:
        """Stop the session and start it anew, also one that runs; it stays paired, and its messages wait meanwhile."""
        return await move(caller, phone_number, once, service.restart)

    @router.post("/{phone_number}/stop", summary="Stop")
    async def stop(phone_number: Number, caller: Who, once: JustOnce) -> SessionOut:
        """Stop the session; it stays paired, and its messages wait."""
        return await move(caller, phone_number, once, service.stop)

    @router.post("/{phone_number}/logout", summary="Log out")
    async def logout(phone_number: Number, caller: Who, once: JustOnce) -> SessionOut:
        """Unpair the phone. The sender's tokens end; to send again, scan again."""
        return await move(caller, phone_number, once, service.logout)

    @router.delete("/{phone_number}", summary="Remove a session (operator)", tags=["admin"])
    async def delete(phone_number: Number, _: Annotated[Caller, Depends(access.admin)]) -> SessionRemoved:
        """Unpair and remove the session, here and at WAHA. Campaigns and their history stay."""
        number = service.phones.digits(phone_number, "phone_number")
        await service.delete(number)
        return SessionRemoved(phone_number=f"+{number}", status="removed", message="the session was removed")

    return router

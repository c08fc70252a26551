"""What can be done with a session: create, show its QR, start, stop, log out, remove."""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth import tokens
from gateway.auth.access import Caller, PhoneReader
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NoCapacity, NotFound, ServiceUnavailable, SessionNotConnected, WahaFailed
from gateway.waha.client import WahaClient
from gateway.waha.errors import (
    SessionAlreadyExists,
    SessionAlreadyStarted,
    SessionNotFound,
    SessionNotWorking,
    WahaConnectionLost,
    WahaError,
    WahaTimeout,
    WahaUnreachable,
)
from gateway.waha.ids import parse_chat_id
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import queries
from sessions.fleet import Fleet
from sessions.manager import SessionManager
from sessions.models import SessionState
from sessions.pairing import PAIRING_SECONDS, QrBook, ShownQr

log = structlog.get_logger()

QR_PATIENCE_SECONDS = 4.0
QR_LOOK_SECONDS = 0.25
QR_ANSWER_SECONDS = 2.0
QR_LIMIT_SECONDS = 10.0
"""Asking for the code never takes longer, however slow WAHA is."""


_AT_REST = (WahaStatus.STOPPED, WahaStatus.FAILED)
_SCAN_AGAIN = (SessionState.EXPIRED, SessionState.FAILED, SessionState.WAITING_FOR_SCAN)


@dataclass(frozen=True, slots=True)
class Created:
    """A session and the token of its owner."""

    row: AnyRow
    token: str


class SessionService:
    """The session's verbs. Every one of them takes digits that were read and allowed before."""

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        manager: SessionManager,
        clock: Clock,
        phones: PhoneReader,
        qr_book: QrBook,
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._manager = manager
        self._clock = clock
        self._qr_book = qr_book
        self.phones = phones

    # --- looking ------------------------------------------------------------------------------------------------

    async def find(self, number: str) -> AnyRow | None:
        """The session of `number`, or None."""
        async with self._db.read() as connection:
            return await queries.find_session(connection, number)

    async def get(self, number: str) -> AnyRow:
        """The session of `number`; raises `NotFound`."""
        row = await self.find(number)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row

    async def page(self, number: str | None, states: list[str], offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some of the sessions, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_sessions(connection, number, states, offset, limit)
        return list(rows), total

    async def me(self, number: str) -> Any:
        """The account that the session is paired with.

        Raises:
            NotFound: no session.
            SessionNotConnected: nobody is paired with it, or it does not run.
        """
        row = await self.get(number)
        try:
            me = await self._client(row).get_me(row.name)
        except (SessionNotFound, SessionNotWorking):
            me = None
        except WahaError as error:
            raise _failed(error) from error
        if me is None:
            raise SessionNotConnected(
                f"the session is not connected; scan the code of GET /api/sessions/+{number}/qr first"
            )
        chat = parse_chat_id(me.id)
        return {"id": me.id, "phone_number": f"+{chat.digits if chat else number}", "name": me.push_name or ""}

    # --- creating -----------------------------------------------------------------------------------------------

    async def create(self, caller: Caller, number: str) -> Created:
        """Open a session for `number` and start its pairing; the token becomes valid when the phone has scanned.

        A session that exists and is neither connected nor being paired is started again, with a new token.

        Raises:
            Conflict: it is connected, or a pairing is open.
            NoCapacity: no server has room.
        """
        while True:
            async with self._db.write() as tx:
                now = await read_now(tx)
                row = await queries.find_session(tx, number)
                if row is None:
                    await self._reserve(tx, caller, number, now)
                else:
                    _refuse_second_pairing(row, now, caller)
                    await self._open_pairing(tx, row, now)
                token = await tokens.issue(tx, number, caller.account_id, now)
            try:
                await self._bring_up(await self.get(number))
                return Created(await self.get(number), token)
            except WahaUnreachable as error:
                if row is not None:
                    raise _failed(error) from error
                await self._give_up_place(number)
            except WahaError as error:
                raise _failed(error) from error

    async def _give_up_place(self, number: str) -> None:
        """The server that was chosen has just gone: nothing of the session is there, so another one can take it."""
        row = await self.get(number)
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._fleet.set_reachable(member, up=False)
        async with self._db.write() as tx:
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, number)

    async def _open_pairing(self, tx: AsyncConnection, row: AnyRow, now: float) -> None:
        """From now on it is known that somebody asked for a QR."""
        self._qr_book.forget(row.number)
        await queries.change(tx, row.sender_id, desired="RUNNING", reason="", pairing_until=now + PAIRING_SECONDS)

    async def _reserve(self, tx: AsyncConnection, caller: Caller, number: str, now: float) -> None:
        place = await queries.place(tx)
        if place is None:
            raise NoCapacity
        sender_id = await queries.ensure_sender(tx, number, caller.account_id, now)
        await queries.insert_session(
            tx,
            {
                "sender_id": sender_id,
                "server_id": place.id,
                "name": number,
                "state": SessionState.STARTING,
                "waha_status": "",
                "desired": "RUNNING",
                "reason": "",
                "push_name": "",
                "pairing_until": now + PAIRING_SECONDS,
                "state_at": now,
                "created_at": now,
            },
        )

    async def _bring_up(self, row: AnyRow) -> None:
        """Have WAHA run the session: create it, or start it, or restart what has failed."""
        client = self._client(row)
        try:
            info = await client.create_session(row.name, _config(row.number), start=True)
        except SessionAlreadyExists:
            info = await client.get_session(row.name)
            if info.status is WahaStatus.STOPPED:
                info = await self._start(client, row.name)
            elif info.status is WahaStatus.FAILED:
                info = await client.restart_session(row.name)  # `start` does nothing on a failed session
        await self._note(row, info)

    async def _start(self, client: WahaClient, name: str) -> SessionInfo:
        try:
            return await client.start_session(name)
        except SessionAlreadyStarted:  # WAHA before 2026.6.1, also for a failed session
            return await client.restart_session(name)

    async def _note(self, row: AnyRow, info: SessionInfo) -> None:
        """Write what a call answered, unless an event has told something newer: WAHA answers it before that happens."""
        member = self._fleet.member(row.server_id)
        if member is not None and info.status is not WahaStatus.WORKING:
            me = info.me.id if info.me else None
            await self._manager.apply(member, row.name, info.status, me, seen_at=row.state_at)

    # --- pairing ------------------------------------------------------------------------------------------------

    async def qr(self, number: str) -> tuple[AnyRow, ShownQr | None]:
        """The session and, where it waits for a scan, the current code.

        A session that does not run is started; then this waits a few seconds for the code, and no longer.

        Raises:
            NotFound: no session.
            ServiceUnavailable: its WAHA server does not answer, or not soon enough.
        """
        row = await self.get(number)
        try:
            async with asyncio.timeout(QR_LIMIT_SECONDS):
                code = await self._read_code(row)
        except WahaError as error:
            raise _failed(error) from error
        except TimeoutError:
            raise ServiceUnavailable("the WAHA server of this session is slow; ask again") from None
        row = await self.get(number)
        if code is None:
            return row, None
        return row, await self._qr_book.show(number, code, self._clock.now(), row.pairing_until)

    async def _read_code(self, row: AnyRow) -> str | None:
        """The code's raw value after starting what has to be started; None where there is nothing to scan."""
        client = self._client(row)
        try:
            info = await self._running(client, row)
            waited = 0.0
            while info.status is WahaStatus.STARTING and waited < QR_PATIENCE_SECONDS:
                await self._clock.sleep(QR_LOOK_SECONDS)
                waited += QR_LOOK_SECONDS
                info = await client.get_session(row.name)
            member = self._fleet.member(row.server_id)
            assert member is not None
            if info.status is not WahaStatus.STARTING:
                await self._manager.apply(member, row.name, info.status, info.me.id if info.me else None)
            if info.status is not WahaStatus.SCAN_QR_CODE:
                return None
            # scanned between the two calls, WAHA would keep this one waiting before it says so
            async with asyncio.timeout(QR_ANSWER_SECONDS):
                return (await client.get_qr(row.name)).value
        except (SessionNotWorking, TimeoutError):
            if (await self.get(row.number)).state == SessionState.WAITING_FOR_SCAN:
                raise ServiceUnavailable("the WAHA server of this session is slow; ask again") from None
            return None

    async def _running(self, client: WahaClient, row: AnyRow) -> SessionInfo:
        """WAHA's present word on the session, after starting what has to be started."""
        try:
            info = await client.get_session(row.name)
        except SessionNotFound:
            info = None
        async with self._db.read() as connection:
            now = await read_now(connection)
        asked = row.pairing_until is not None and now < row.pairing_until
        if info is None or info.status in _AT_REST or (info.status is WahaStatus.SCAN_QR_CODE and not asked):
            async with self._db.write() as tx:  # before anything starts: its first event finds the pairing open
                await self._open_pairing(tx, row, now)
        if info is None:
            return await client.create_session(row.name, _config(row.number), start=True)
        if info.status is WahaStatus.STOPPED:
            return await self._start(client, row.name)
        if info.status is WahaStatus.FAILED:
            return await client.restart_session(row.name)
        return info

    # --- stopping -----------------------------------------------------------------------------------------------

    async def start(self, number: str) -> AnyRow:
        """Start a stopped session, or restart a failed one; one that runs is left alone."""
        row = await self.get(number)
        async with self._db.write() as tx:
            await queries.change(tx, row.sender_id, desired="RUNNING")
        try:
            await self._bring_up(row)
        except WahaError as error:
            raise _failed(error) from error
        return await self.get(number)

    async def stop(self, number: str) -> AnyRow:
        """Stop the session; it stays paired."""
        row = await self.get(number)
        async with self._db.write() as tx:
            await queries.change(tx, row.sender_id, desired="STOPPED", pairing_until=None)
        try:
            await self._client(row).stop_session(row.name)
        except WahaError as error:
            raise _failed(error) from error
        await self._set_state(row, SessionState.STOPPED, waha_status="STOPPED", reason="stopped on request")
        return await self.get(number)

    async def logout(self, number: str) -> AnyRow:
        """Unpair the phone; the session is stopped, and its tokens end. Where WAHA fails, nothing has changed."""
        row = await self.get(number)
        client = self._client(row)
        try:
            await client.logout_session(row.name)
            async with self._db.write() as tx:
                await queries.change(tx, row.sender_id, desired="STOPPED", paired_at=None, pairing_until=None)
                await tokens.revoke(tx, number)
            await client.stop_session(row.name)  # logging out a running session starts it again, at a QR
        except WahaError as error:
            raise _failed(error) from error
        await self._set_state(row, SessionState.STOPPED, waha_status="STOPPED", reason="logged out on request")
        return await self.get(number)

    async def delete(self, number: str) -> None:
        """Unpair, and forget the session here and at WAHA; the sender and its campaigns stay.

        Raises:
            NotFound: no session.
        """
        row = await self.get(number)
        try:
            client = self._client(row)
            await client.stop_session(row.name)  # deleting a session that runs has crashed older versions
            await client.delete_session(row.name)
        except WahaError as error:
            raise _failed(error) from error
        async with self._db.write() as tx:
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, number)
        self._qr_book.forget(number)
        self._manager.tell(row.sender_id, number, SessionState.STOPPED)

    async def _set_state(self, row: AnyRow, after: SessionState, **values: Any) -> None:
        async with self._db.write() as tx:
            fresh = await queries.find_session(tx, row.number)
            if fresh is not None:
                await queries.transition(
                    tx, row.sender_id, SessionState(fresh.state), after, state_at=await read_now(tx), **values
                )
        self._manager.tell(row.sender_id, row.number, after)

    def _client(self, row: AnyRow) -> WahaClient:
        client = self._fleet.client(row.server_id)
        if client is None:
            raise ServiceUnavailable("the session's WAHA server is not known here; restart the gateway")
        return client


def _refuse_second_pairing(row: AnyRow, now: float, caller: Caller) -> None:
    if caller.is_anonymous and row.paired_at is not None and row.state not in _SCAN_AGAIN:
        raise Conflict(f"+{row.number} is paired already; to start it, send its X-Sender-Token")
    if row.state == SessionState.CONNECTED:
        raise Conflict(f"+{row.number} is connected already; to pair it anew, log it out first")
    if row.pairing_until is not None and now < row.pairing_until:
        raise Conflict(
            f"a pairing of +{row.number} is open: scan the code of GET /api/sessions/+{row.number}/qr, or wait until "
            "it has run out"
        )


def _config(number: str) -> dict[str, Any]:
    """How our sessions are created: with everything that looking up a message later needs."""
    return {
        "metadata": {"managed_by": "waha-gateway", "number": number},
        "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
        "gows": {"storage": {"messages": True}},
        "webjs": {"tagsEventsOn": True},
    }


def _failed(error: WahaError) -> ServiceUnavailable | WahaFailed:
    if isinstance(error, WahaUnreachable | WahaConnectionLost | WahaTimeout):
        return ServiceUnavailable("the WAHA server of this session does not answer; it is asked again by itself")
    return WahaFailed(f"WAHA answered: {error}")

"""Pairing: opening one for a number, and showing the code that its phone scans.

One pairing of a number is open at a time. It is the proof of ownership: the token that is answered when it is opened
becomes valid when a phone of that number has scanned.
"""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth import tokens
from gateway.auth.access import Caller
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NoCapacity, NotFound, ServiceUnavailable
from gateway.waha.client import WahaClient
from gateway.waha.errors import SessionNotFound, SessionNotWorking, WahaError, WahaUnreachable
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import lifecycle, queries
from sessions.manager import SessionManager
from sessions.models import SessionState
from sessions.pairing.qr_codes import PAIRING_SECONDS, QrBook, ShownQr
from sessions.servers.fleet import Fleet

START_PATIENCE_SECONDS = 4.0
LOOK_SECONDS = 0.25
CODE_SECONDS = 2.0
LIMIT_SECONDS = 10.0
"""Asking for the code never takes longer, however slow WAHA is."""

_SCAN_AGAIN = (SessionState.EXPIRED, SessionState.FAILED, SessionState.WAITING_FOR_SCAN)


@dataclass(frozen=True, slots=True)
class Created:
    """A session and the token of its owner."""

    row: AnyRow
    token: str


class Pairing:
    """Opens pairings and shows their codes. Numbers are digits that were read and allowed before."""

    def __init__(self, db: Database, fleet: Fleet, manager: SessionManager, clock: Clock, qr_book: QrBook) -> None:
        self._db = db
        self._fleet = fleet
        self._manager = manager
        self._clock = clock
        self._qr_book = qr_book

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
                    _refuse_second(row, now, caller)
                    await self._open(tx, row, now)
                token = await tokens.issue(tx, number, caller.account_id, now)
            try:
                fresh = await self._get(number)
                await self._manager.note(fresh, await lifecycle.bring_up(self._client(fresh), fresh))
                return Created(await self._get(number), token)
            except WahaUnreachable as error:
                if row is not None:
                    raise lifecycle.as_gateway_error(error) from error
                await self._give_up_place(number)
            except WahaError as error:
                raise lifecycle.as_gateway_error(error) from error

    async def _give_up_place(self, number: str) -> None:
        """The server that was chosen has just gone: nothing of the session is there, so another one can take it."""
        row = await self._get(number)
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._fleet.set_reachable(member, up=False)
        async with self._db.write() as tx:
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, number)

    async def _open(self, tx: AsyncConnection, row: AnyRow, now: float) -> None:
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

    async def qr(self, number: str) -> tuple[AnyRow, ShownQr | None]:
        """The session and, where it waits for a scan, the current code.

        A session that does not run is started; then this waits a few seconds for the code, and no longer.

        Raises:
            NotFound: no session.
            ServiceUnavailable: its WAHA server does not answer, or not soon enough.
        """
        row = await self._get(number)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                code = await self._read_code(row)
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
        except TimeoutError:
            raise ServiceUnavailable("the WAHA server of this session is slow; ask again") from None
        row = await self._get(number)
        if code is None:
            return row, None
        return row, await self._qr_book.show(number, code, self._clock.now(), row.pairing_until)

    async def _read_code(self, row: AnyRow) -> str | None:
        """The code's raw value after starting what has to be started; None where there is nothing to scan."""
        client = self._client(row)
        info = await self._running(client, row)
        waited = 0.0
        while info.status is WahaStatus.STARTING and waited < START_PATIENCE_SECONDS:
            await self._clock.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            info = await client.get_session(row.name)
        await self._heard(row, info)
        if info.status is not WahaStatus.SCAN_QR_CODE:
            return None
        try:
            # scanned since then, WAHA would keep this call waiting before it says so
            async with asyncio.timeout(CODE_SECONDS):
                return (await client.get_qr(row.name)).value
        except (SessionNotWorking, TimeoutError):
            info = await client.get_session(row.name)
        await self._heard(row, info)
        if info.status is WahaStatus.SCAN_QR_CODE:
            raise ServiceUnavailable("the WAHA server of this session is slow; ask again")
        return None

    async def _heard(self, row: AnyRow, info: SessionInfo) -> None:
        member = self._fleet.member(row.server_id)
        if member is not None and info.status is not WahaStatus.STARTING:
            await self._manager.apply(member, row.name, info.status, info.me.id if info.me else None)

    async def _running(self, client: WahaClient, row: AnyRow) -> SessionInfo:
        """WAHA's present word on the session, after starting what has to be started."""
        try:
            info = await client.get_session(row.name)
        except SessionNotFound:
            info = None
        async with self._db.read() as connection:
            now = await read_now(connection)
        asked = row.pairing_until is not None and now < row.pairing_until
        at_rest = info is None or info.status in (WahaStatus.STOPPED, WahaStatus.FAILED)
        if at_rest or (info is not None and info.status is WahaStatus.SCAN_QR_CODE and not asked):
            async with self._db.write() as tx:  # before anything starts: its first event finds the pairing open
                await self._open(tx, row, now)
        if info is None:
            return await lifecycle.create(client, row)
        return await lifecycle.wake(client, row, info)

    async def _get(self, number: str) -> AnyRow:
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row

    def _client(self, row: AnyRow) -> WahaClient:
        return lifecycle.client_of(self._fleet, row)


def _refuse_second(row: AnyRow, now: float, caller: Caller) -> None:
    if caller.is_anonymous and row.paired_at is not None and row.state not in _SCAN_AGAIN:
        raise Conflict(f"+{row.number} is paired already; to start it, send its X-Sender-Token")
    if row.state == SessionState.CONNECTED:
        raise Conflict(f"+{row.number} is connected already; to pair it anew, log it out first")
    if row.pairing_until is not None and now < row.pairing_until:
        raise Conflict(
            f"a pairing of +{row.number} is open: scan the code of GET /api/sessions/+{row.number}/qr, or wait until "
            "it has run out"
        )

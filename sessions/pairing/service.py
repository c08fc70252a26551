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
from gateway.events import EventBus
from gateway.waha.client import WahaClient
from gateway.waha.errors import SessionNotFound, SessionNotWorking, WahaError, WahaUnreachable
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import queries
from sessions.history import Diary, Kind
from sessions.lifecycle import Lifecycle, as_gateway_error, client_of
from sessions.models import Desired, SessionState
from sessions.news.state_writer import StateWriter
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

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        lifecycle: Lifecycle,
        writer: StateWriter,
        bus: EventBus,
        clock: Clock,
        qr_book: QrBook,
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._lifecycle = lifecycle
        self._writer = writer
        self._bus = bus
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
            diary = Diary()
            async with self._db.write() as tx:
                now = await read_now(tx)
                row = await queries.find_session(tx, number)
                if row is None:
                    sender_id = await self._reserve(tx, caller, number, now)
                    await diary.note(tx, sender_id, number, Kind.CREATED, "its pairing was opened", now)
                else:
                    _refuse_second(row, now, caller)
                    await self._open(tx, row, now)
                token = await tokens.issue(tx, number, caller.account_id, now)
            diary.tell(self._bus)
            try:
                await self._bring_up(await self._get(number))
                return Created(await self._get(number), token)
            except WahaUnreachable as error:
                if row is not None:
                    raise as_gateway_error(error) from error
                await self._give_up_place(number, error)
            except WahaError as error:
                raise as_gateway_error(error) from error

    async def _bring_up(self, row: AnyRow) -> SessionInfo:
        """Have WAHA run the session, and write what it says unless something newer was heard."""
        async with self._lifecycle.hold(row.sender_id, "create", patience=START_PATIENCE_SECONDS) as held:
            info = await held.bring_up()
        await self._heard(held.row, info)
        return info

    async def _give_up_place(self, number: str, error: WahaError) -> None:
        """The server that was chosen has just gone: nothing of the session is there, so another one can take it."""
        row = await self._get(number)
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._fleet.note_failure(member, error)
        async with self._db.write() as tx:
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, number)

    async def _open(self, tx: AsyncConnection, row: AnyRow, now: float) -> None:
        """From now on it is known that somebody asked for a QR."""
        self._qr_book.forget(row.number)
        values = {"reason": "", "pairing_until": now + PAIRING_SECONDS, "repairs": 0, "repair_at": 0.0}
        await queries.change(tx, row.sender_id, desired=Desired.RUNNING, **values)

    async def _reserve(self, tx: AsyncConnection, caller: Caller, number: str, now: float) -> int:
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
                "pairing_until": now + PAIRING_SECONDS,
                "state_at": now,
                "created_at": now,
            },
        )
        return sender_id

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
            raise as_gateway_error(error) from error
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
        """Write what a call answered; `row` was read before it."""
        member = self._fleet.member(row.server_id)
        if member is not None and info.status is not WahaStatus.STARTING:
            await self._writer.on_answer(member, row, info)

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
        if not at_rest and info is not None:
            return info
        async with self._lifecycle.hold(row.sender_id, "start", patience=START_PATIENCE_SECONDS) as held:
            return await held.bring_up()

    async def _get(self, number: str) -> AnyRow:
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row

    def _client(self, row: AnyRow) -> WahaClient:
        return client_of(self._fleet, row)


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

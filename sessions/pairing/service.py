"""Pairing: opening one for a number, and showing the code that its phone scans.

One pairing of a number is open at a time. It is the proof of ownership: the token that is answered when it is opened
becomes valid when a phone of that number has scanned. So a code is shown only while a pairing is open, a new pairing
begins with new codes, and a code is shown to nobody whose scan would prove somebody else's claim.

WAHA is asked for the code only when its status told a new one, or when the time of the last one is over. However many
ask at once, there is one look and one start.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from gateway.auth import tokens
from gateway.auth.access import Caller
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NotFound, ServiceUnavailable
from gateway.waha.errors import SessionNotFound, SessionNotWorking, WahaError
from gateway.waha.schemas import WahaStatus
from sessions import queries
from sessions.lifecycle import SessionBusy, as_gateway_error
from sessions.models import Desired, SessionState
from sessions.ownership import require_session
from sessions.pairing.bringing_up import Starter
from sessions.pairing.flights import Flights, StillUnderWay
from sessions.pairing.needs import Need, is_open, need_of
from sessions.pairing.opening import reopen
from sessions.pairing.qr_codes import QrBook, ShownQr

PATIENCE_SECONDS = 5.0
"""Asking for the code never takes longer, however slow WAHA is; the look goes on."""
STARTING_SECONDS = 4.0
LOOK_SECONDS = 0.25
CODE_SECONDS = 2.0
LONG_SECONDS = 120.0
"""Longer than any flight takes."""

_SCANNED = (SessionState.SCANNED, SessionState.CONNECTED)
_AT_REST = (SessionState.STOPPED, SessionState.FAILED, SessionState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Shown:
    """A session, the code that it shows (if any), and what to call its state."""

    row: AnyRow
    state: SessionState
    code: ShownQr | None


class Pairing:
    """Shows the codes of sessions. Numbers are digits that were read and allowed before."""

    def __init__(self, db: Database, starter: Starter, clock: Clock, qr_book: QrBook) -> None:
        self._db = db
        self._starter = starter
        self._clock = clock
        self._qr_book = qr_book
        self._looks: Flights[None] = Flights("look for a code")
        self._reads: Flights[None] = Flights("read a code")

    async def stop(self) -> None:
        """Begin nothing more."""
        await self._looks.stop(0.0)
        await self._reads.stop(0.0)
        await self._starter.stop()

    async def ask(self, caller: Caller, number: str) -> Shown:
        """The session and, where it waits for a scan, its code. Starts what has to be started.

        Raises:
            NotFound: no session.
            Conflict: a stranger's pairing is open, and a scan now would prove the stranger's claim.
            ServiceUnavailable: its WAHA server does not answer.
        """
        await self._settle_claims(caller, number)
        row, now = await self._read(number)
        if row.desired == Desired.DELETED:
            raise Conflict(f"the session of +{number} is being removed")
        if (row.state == SessionState.CONNECTED and row.server_up) or self._qr_book.newest(row, self._clock.now()):
            return self._shown(row, now)
        may_log_out = caller.may_log_out
        under_way = False
        try:
            await self._looks.join((number, may_log_out), lambda: self._look(number, may_log_out), PATIENCE_SECONDS)
        except (StillUnderWay, SessionBusy):
            under_way = True
        except WahaError as error:
            raise as_gateway_error(error) from error
        row, now = await self._read(number)
        return self._shown(row, now, under_way=under_way)

    async def peek(self, number: str) -> Shown | None:
        """As `ask`, but nothing is started or opened; None where the session was removed.

        Raises:
            ServiceUnavailable: a code is shown, and cannot be read just now.
        """
        try:
            row, now = await self._read(number)
            if _shows_a_code(row, now) and self._qr_book.newest(row, self._clock.now()) is None:
                with suppress(StillUnderWay):
                    await self._reads.join(number, lambda: self._read_code(row), PATIENCE_SECONDS)
                row, now = await self._read(number)
        except NotFound:
            return None
        except WahaError as error:
            raise as_gateway_error(error) from error
        return self._shown(row, now)

    async def get(self, number: str) -> AnyRow:
        """The session of `number`; raises `NotFound`."""
        row, _ = await self._read(number)
        return row

    async def require(self, caller: Caller, number: str) -> None:
        """Refuse a number that is not the caller's; raises `NotFound`."""
        await require_session(self._db, caller, number)

    async def may_see(self, caller: Caller, number: str) -> bool:
        """Whether a scan of the code that is shown now would be this caller's, or nobody's in particular."""
        if caller.is_pending or caller.is_open:
            return True
        async with self._db.read() as connection:
            return not await tokens.has_claim(connection, number)

    # --- inside -------------------------------------------------------------------------------------------------

    def _shown(self, row: AnyRow, now: float, *, under_way: bool = False) -> Shown:
        """What is told of a session. News of WAHA may still be on their way: what shows a code waits for its scan."""
        state = SessionState(row.state)
        code = self._qr_book.last(row, self._clock.now()) if is_open(row, now) and state not in _SCANNED else None
        if code is not None:
            return Shown(row, SessionState.WAITING_FOR_SCAN, code)
        return Shown(row, SessionState.STARTING if under_way and state in _AT_REST else state, None)

    async def _settle_claims(self, caller: Caller, number: str) -> None:
        """See to it that a scan proves nothing for a stranger who has opened a pairing of this number before.

        The owner, by a token that is valid, ends the stranger's claim; an operator does so where no pairing is open.
        """
        if await self.may_see(caller, number):
            return
        row, now = await self._read(number)
        if caller.is_admin and is_open(row, now):
            raise Conflict(
                f"somebody without a credential has opened a pairing of +{number}, and a scan would give them its "
                f"token; to end that, log it out: POST /api/sessions/+{number}/logout"
            )
        async with self._db.write() as tx:
            await tokens.drop_claims(tx, number)

    async def _look(self, number: str, may_log_out: bool) -> None:
        """Start what has to be started, wait some seconds for the code, and read it."""
        row, now = await self._read(number)
        info = await self._starter.look(row)
        need = need_of(row, None if info is None else info.status, now, may_log_out=may_log_out)
        if need is not Need.NOTHING:
            async with self._db.write() as tx:  # before anything starts: its first event finds the pairing open
                await reopen(tx, row, now)
        if need in (Need.START, Need.ANEW):
            self._qr_book.forget(number)
            info = await self._starter.bring_up(row, anew=need is Need.ANEW, patience=LONG_SECONDS)
        waited = 0.0
        row, _ = await self._read(number)
        while info is not None and info.status is WahaStatus.STARTING and waited < STARTING_SECONDS:
            await self._clock.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            row, _ = await self._read(number)
            info = await self._starter.look(row)
        if info is None:
            return
        await self._starter.heard(row, info)
        if info.status is WahaStatus.SCAN_QR_CODE:
            row, _ = await self._read(number)
            await self._reads.join(number, lambda: self._read_code(row), LONG_SECONDS)

    async def _read_code(self, row: AnyRow) -> None:
        """Read the code that WAHA shows, where it may have changed."""
        if self._qr_book.newest(row, self._clock.now()) is not None:
            return
        client = self._starter.client(row)
        try:
            # scanned since then, WAHA would keep this call waiting before it says so
            async with asyncio.timeout(CODE_SECONDS):
                code = await client.get_qr(row.name)
        except (SessionNotWorking, SessionNotFound, TimeoutError):
            info = await self._starter.look(row)
            if info is not None:
                await self._starter.heard(row, info)
            if info is not None and info.status is WahaStatus.SCAN_QR_CODE:
                raise ServiceUnavailable("the WAHA server of this session is slow; ask again") from None
            return
        await self._qr_book.show(row, code.value, self._clock.now())

    async def _read(self, number: str) -> tuple[AnyRow, float]:
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
            now = await read_now(connection)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        return row, now


def _shows_a_code(row: AnyRow, now: float) -> bool:
    return row.state == SessionState.WAITING_FOR_SCAN and is_open(row, now)

"""Opening a pairing, once at a time for each number, with a token that its scan makes valid."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.auth import tokens
from gateway.auth.access import Caller
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NoCapacity, NotFound, ServiceUnavailable
from gateway.events import EventBus
from gateway.waha.errors import WahaError, WahaUnreachable
from sessions import ownership, queries
from sessions.history import Diary, Kind
from sessions.lifecycle import SessionBusy, as_gateway_error
from sessions.models import Desired, SessionState
from sessions.pairing.bringing_up import Starter
from sessions.pairing.flights import StillUnderWay
from sessions.pairing.needs import is_gone, is_open, only_a_logout_helps
from sessions.pairing.qr_codes import PAIRING_SECONDS, QrBook
from sessions.pairing.queries import lock_sender
from sessions.servers.fleet import Fleet

PATIENCE_SECONDS = 12.0
"""Longer than it takes to find that a server cannot be reached (10 s): the session is then placed on another one."""
RESTART_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Created:
    """A session and the token of its owner."""

    row: AnyRow
    token: str


@dataclass(frozen=True, slots=True)
class _Claim:
    token: str
    is_new: bool
    row: AnyRow


class Opening:
    """Opens pairings. Numbers are digits that were read before."""

    def __init__(self, db: Database, fleet: Fleet, starter: Starter, bus: EventBus, qr_book: QrBook) -> None:
        self._db = db
        self._fleet = fleet
        self._starter = starter
        self._bus = bus
        self._qr_book = qr_book

    async def create(self, caller: Caller, number: str) -> Created:
        """Open a session for `number` and start its pairing; the token becomes valid when the phone has scanned.

        A session that exists and is neither connected nor being paired is started again, with a new token.

        Raises:
            NotFound: it is another's.
            Conflict: it is connected, or a pairing is open.
            NoCapacity: no server has room.
            ServiceUnavailable: its WAHA server does not answer.
        """
        await ownership.require_to_pair(self._db, caller, number)
        while True:
            await self._end_old_codes(caller, number)
            claim = await self._claim(caller, number)
            try:
                anew = only_a_logout_helps(claim.row, claim.row.waha_status, may_log_out=caller.may_log_out)
                await self._starter.bring_up(claim.row, anew=anew, patience=PATIENCE_SECONDS)
            except (StillUnderWay, SessionBusy):
                pass  # it goes on, or the keeper finishes it
            except WahaUnreachable as error:
                if claim.is_new:
                    await self._give_up_place(claim.row, error)
                    continue
                await self._close(claim.row)
                raise as_gateway_error(error) from error
            except WahaError as error:
                await self._close(claim.row)
                raise as_gateway_error(error) from error
            return Created(await self._get(number), claim.token)

    async def _end_old_codes(self, caller: Caller, number: str) -> None:
        """Codes that were shown in an earlier pairing must not prove the claim of this one."""
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
            now = await read_now(connection)
        if row is None:
            return
        _refuse_second(row, now, caller)
        try:
            await self._starter.void_codes(row, patience=PATIENCE_SECONDS)
        except StillUnderWay:
            raise ServiceUnavailable("the WAHA server of this session is slow; ask again") from None
        except WahaError as error:
            raise as_gateway_error(error) from error

    async def _claim(self, caller: Caller, number: str) -> _Claim:
        """Open the pairing and issue its token, in one transaction that no other opening of this number shares."""
        diary = Diary()
        async with self._db.write() as tx:
            now = await read_now(tx)
            sender_id = await queries.ensure_sender(tx, number, caller.account_id, now)
            await lock_sender(tx, sender_id)
            account_id = await ownership.take(tx, caller, sender_id)
            before = await queries.find_session(tx, number)
            if before is None:
                await _reserve(tx, sender_id, number, now)
                await diary.note(tx, sender_id, number, Kind.CREATED, "its pairing was opened", now)
            else:
                _refuse_second(before, now, caller)
                await reopen(tx, before, now)
            token = await tokens.issue(tx, number, account_id, now, stranger=caller.is_anonymous)
            row = before or await queries.find_session(tx, number)
        assert row is not None
        self._qr_book.forget(number)
        diary.tell(self._bus)
        return _Claim(token, before is None, row)

    async def _close(self, row: AnyRow) -> None:
        """It could not be started: whoever asks again is not told that a pairing is open."""
        async with self._db.write() as tx:
            await queries.change(tx, row.sender_id, pairing_until=None)

    async def _give_up_place(self, row: AnyRow, error: WahaError) -> None:
        """The server that was chosen has just gone: nothing of the session is there, so another one can take it."""
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._fleet.note_failure(member, error)
        async with self._db.write() as tx:
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, row.number)

    async def _get(self, number: str) -> AnyRow:
        async with self._db.read() as connection:
            row = await queries.find_session(connection, number)
        if row is None:
            raise NotFound("the session was removed meanwhile")
        return row


async def reopen(tx: AsyncConnection, row: AnyRow, now: float) -> None:
    """From now on it is known that somebody asked for a code.

    A session that is paired keeps the count of its repairs, and this is one more: whoever asks again and again must
    not restart it again and again.
    """
    values: dict[str, Any] = {"reason": "", "pairing_until": now + PAIRING_SECONDS, "desired": Desired.RUNNING}
    if row.paired_at is None or row.requires_auth:
        values |= {"repairs": 0, "repair_at": 0.0}
    elif row.state == SessionState.FAILED:
        values |= {"repairs": row.repairs + 1, "repair_at": now + RESTART_PAUSE_SECONDS}
    await queries.change(tx, row.sender_id, **values)


async def _reserve(tx: AsyncConnection, sender_id: int, number: str, now: float) -> None:
    place = await queries.place(tx)
    if place is None:
        raise NoCapacity
    values = {
        "sender_id": sender_id,
        "server_id": place.id,
        "name": number,
        "state": SessionState.STARTING,
        "pairing_until": now + PAIRING_SECONDS,
        "state_at": now,
        "created_at": now,
    }
    await queries.insert_session(tx, values)


def _refuse_second(row: AnyRow, now: float, caller: Caller) -> None:
    if caller.is_anonymous and row.paired_at is not None and not is_gone(row, row.waha_status):
        raise Conflict(f"+{row.number} is paired already; to start it, send its X-Sender-Token")
    if row.desired == Desired.DELETED:
        raise Conflict(f"the session of +{row.number} is being removed; ask again in some seconds")
    if row.state == SessionState.CONNECTED:
        raise Conflict(f"+{row.number} is connected already; to pair it anew, log it out first")
    if is_open(row, now):
        raise Conflict(
            f"a pairing of +{row.number} is open: scan the code of GET /api/sessions/+{row.number}/qr, or wait until "
            "it has run out"
        )

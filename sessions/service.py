"""What can be done with a session that is there: look at it, start, stop, log out, remove."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.auth import tokens
from gateway.auth.access import Caller, PhoneReader, Scope
from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NotFound, SessionNotConnected, WrongState
from gateway.events import EventBus
from gateway.waha.errors import SessionNotFound, SessionNotWorking, WahaError
from gateway.waha.ids import parse_chat_id
from sessions import history, queries
from sessions.history import Diary, Kind
from sessions.lifecycle import Held, Lifecycle, as_gateway_error, client_of
from sessions.models import Desired, SessionState
from sessions.news.state_writer import StateWriter
from sessions.ownership import require_session
from sessions.pairing.qr_codes import QrBook
from sessions.servers.fleet import Fleet

PATIENCE_SECONDS = 5.0
"""How long a call waits for another one on the same session to end."""


class SessionService:
    """The session's verbs. Every one of them but `allowed` takes digits that were read and allowed before."""

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        lifecycle: Lifecycle,
        writer: StateWriter,
        bus: EventBus,
        phones: PhoneReader,
        qr_book: QrBook,
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._lifecycle = lifecycle
        self._writer = writer
        self._bus = bus
        self._qr_book = qr_book
        self.phones = phones

    async def allowed(self, caller: Caller, text: str, field: str = "phone_number") -> str:
        """The digits of a number of the caller's, from a request's `field`.

        Raises:
            InvalidNumber: it cannot be read as a number.
            NotFound: it is another's.
        """
        number = self.phones.digits(text, field)
        await require_session(self._db, caller, number)
        return number

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

    async def page(self, scope: Scope | None, states: list[str], offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some of the sessions, and how many there are."""
        async with self._db.read() as connection:
            rows, total = await queries.list_sessions(connection, scope, states, offset, limit)
        return list(rows), total

    async def me(self, number: str) -> Any:
        """The account that the session is paired with.

        Raises:
            NotFound: no session.
            SessionNotConnected: nobody is paired with it, or it does not run.
        """
        row = await self.get(number)
        try:
            me = await client_of(self._fleet, row).get_me(row.name)
        except (SessionNotFound, SessionNotWorking):
            me = None
        except WahaError as error:
            raise as_gateway_error(error) from error
        if me is None:
            raise SessionNotConnected(
                f"the session is not connected; scan the code of GET /api/sessions/+{number}/qr first"
            )
        chat = parse_chat_id(me.id)
        return {"id": me.id, "phone_number": f"+{chat.digits if chat else number}", "name": me.push_name or ""}

    async def history(self, number: str, offset: int, limit: int) -> tuple[list[AnyRow], int]:
        """Some lines of what happened to a session, newest first, and how many there are; raises `NotFound`."""
        row = await self.get(number)
        async with self._db.read() as connection:
            lines, total = await history.page(connection, row.sender_id, offset, limit)
        return list(lines), total

    # --- doing --------------------------------------------------------------------------------------------------
    # What is wanted is stored first: where we or WAHA fail after that, the keeper finishes it. With `only_if`
    # nothing is done to a session that is in another state by then.

    async def start(self, number: str, *, only_if: str | None = None) -> AnyRow:
        """Start a stopped session, or restart a failed one; one that runs is left alone."""
        row = await self._want(number, Desired.RUNNING, only_if, repairs=0, repair_at=0.0)
        async with self._held(row, "start") as held:
            info = await held.bring_up()
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._writer.on_answer(member, held.row, info)
        return await self.get(number)

    async def restart(self, number: str, *, only_if: str | None = None) -> AnyRow:
        """Stop the session and start it anew, whatever its state; it stays paired."""
        row = await self._want(number, Desired.RUNNING, only_if, repairs=0, repair_at=0.0)
        async with self._held(row, "restart") as held:
            try:
                info = await held.restart()
            except SessionNotFound:  # a WAHA that has lost it makes it anew
                info = await held.bring_up()
        member = self._fleet.member(row.server_id)
        if member is not None:
            await self._writer.on_answer(member, held.row, info)
        return await self.get(number)

    async def stop(self, number: str, *, only_if: str | None = None) -> AnyRow:
        """Stop the session; it stays paired."""
        row = await self._want(number, Desired.STOPPED, only_if, pairing_until=None)
        async with self._held(row, "stop") as held:
            await held.stop()
        await self._stopped(row, Kind.STOPPED, "stopped on request")
        return await self.get(number)

    async def logout(self, number: str, *, only_if: str | None = None) -> AnyRow:
        """Unpair the phone; the session is stopped, and its tokens end. Where WAHA fails, nothing has changed."""
        row = await self.get(number)
        async with self._held(row, "logout") as held:
            if only_if is not None and held.row.state != only_if:
                raise _moved(held.row, only_if)
            await held.logout()
            async with self._db.write() as tx:
                gone: dict[str, Any] = {"paired_at": None, "pairing_until": None, "requires_auth": True}
                await queries.want(tx, row.sender_id, Desired.STOPPED, **gone)  # one that is being removed stays so
                await tokens.revoke(tx, number)
            await held.stop()  # logging out a running session starts it again, at a QR
        await self._stopped(row, Kind.LOGGED_OUT, "logged out on request")
        return await self.get(number)

    async def delete(self, number: str) -> None:
        """Unpair, and forget the session here and at WAHA; the sender and its campaigns stay.

        Raises:
            NotFound: no session.
        """
        row = await self._want(number, Desired.DELETED, pairing_until=None)
        async with self._held(row, "delete") as held:
            await self.finish_delete(held, Kind.DELETED, "removed on request")

    async def finish_delete(self, held: Held, kind: Kind, reason: str) -> None:
        """Remove a held session that is meant to be removed.

        Raises:
            WahaError: WAHA did not do it; it is tried again.
        """
        row, diary = held.row, Diary()
        await held.delete()
        async with self._db.write() as tx:
            await diary.note(tx, row.sender_id, row.number, kind, reason, await read_now(tx))
            await queries.delete_session(tx, row.sender_id)
            await tokens.revoke(tx, row.number)
        self._qr_book.forget(row.number)
        diary.tell(self._bus)
        self._writer.tell(row.sender_id, row.number, SessionState.STOPPED)

    async def _want(self, number: str, desired: Desired, only_if: str | None = None, **values: Any) -> AnyRow:
        row = await self.get(number)
        async with self._db.write() as tx:
            wanted = await queries.want(tx, row.sender_id, desired, only_if=only_if, **values)
            fresh = await queries.find_session(tx, number)
        if not wanted and fresh is not None and only_if not in (None, fresh.state):
            raise _moved(fresh, only_if)
        if not wanted:
            raise Conflict(f"the session of +{number} is being removed")
        return row

    @asynccontextmanager
    async def _held(self, row: AnyRow, verb: str) -> AsyncIterator[Held]:
        try:
            async with self._lifecycle.hold(row.sender_id, verb, patience=PATIENCE_SECONDS) as held:
                yield held
        except WahaError as error:
            raise as_gateway_error(error) from error

    async def _stopped(self, row: AnyRow, kind: Kind, reason: str) -> None:
        diary = Diary()
        async with self._db.write() as tx:
            now = await read_now(tx)
            fresh = await queries.find_session(tx, row.number)
            if fresh is not None:
                values = {"waha_status": "STOPPED", "reason": reason, "status_at": now}
                values |= {"state_at": now} if fresh.state != SessionState.STOPPED else {}
                await queries.transition(tx, fresh, SessionState.STOPPED, **values)
                await diary.note(tx, row.sender_id, row.number, kind, reason, now)
        diary.tell(self._bus)
        self._writer.tell(row.sender_id, row.number, SessionState.STOPPED)


def _moved(row: AnyRow, only_if: str | None) -> WrongState:
    return WrongState(f"the session is {row.state}, and not {only_if} any more")

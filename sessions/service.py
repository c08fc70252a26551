"""What can be done with a session that is there: look at it, start, stop, log out, remove."""

from typing import Any

from gateway.auth import tokens
from gateway.auth.access import PhoneReader
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound, SessionNotConnected
from gateway.waha.errors import SessionNotFound, SessionNotWorking, WahaError
from gateway.waha.ids import parse_chat_id
from sessions import lifecycle, queries
from sessions.manager import SessionManager
from sessions.models import SessionState
from sessions.pairing.qr_codes import QrBook
from sessions.servers.fleet import Fleet


class SessionService:
    """The session's verbs. Every one of them takes digits that were read and allowed before."""

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        manager: SessionManager,
        phones: PhoneReader,
        qr_book: QrBook,
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._manager = manager
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
            me = await lifecycle.client_of(self._fleet, row).get_me(row.name)
        except (SessionNotFound, SessionNotWorking):
            me = None
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
        if me is None:
            raise SessionNotConnected(
                f"the session is not connected; scan the code of GET /api/sessions/+{number}/qr first"
            )
        chat = parse_chat_id(me.id)
        return {"id": me.id, "phone_number": f"+{chat.digits if chat else number}", "name": me.push_name or ""}

    # --- stopping -----------------------------------------------------------------------------------------------

    async def start(self, number: str) -> AnyRow:
        """Start a stopped session, or restart a failed one; one that runs is left alone."""
        row = await self.get(number)
        async with self._db.write() as tx:
            await queries.change(tx, row.sender_id, desired="RUNNING")
        try:
            await self._manager.note(row, await lifecycle.bring_up(lifecycle.client_of(self._fleet, row), row))
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
        return await self.get(number)

    async def stop(self, number: str) -> AnyRow:
        """Stop the session; it stays paired."""
        row = await self.get(number)
        async with self._db.write() as tx:
            await queries.change(tx, row.sender_id, desired="STOPPED", pairing_until=None)
        try:
            await lifecycle.client_of(self._fleet, row).stop_session(row.name)
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
        await self._set_state(row, SessionState.STOPPED, waha_status="STOPPED", reason="stopped on request")
        return await self.get(number)

    async def logout(self, number: str) -> AnyRow:
        """Unpair the phone; the session is stopped, and its tokens end. Where WAHA fails, nothing has changed."""
        row = await self.get(number)
        client = lifecycle.client_of(self._fleet, row)
        try:
            await client.logout_session(row.name)
            async with self._db.write() as tx:
                await queries.change(tx, row.sender_id, desired="STOPPED", paired_at=None, pairing_until=None)
                await tokens.revoke(tx, number)
            await client.stop_session(row.name)  # logging out a running session starts it again, at a QR
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
        await self._set_state(row, SessionState.STOPPED, waha_status="STOPPED", reason="logged out on request")
        return await self.get(number)

    async def delete(self, number: str) -> None:
        """Unpair, and forget the session here and at WAHA; the sender and its campaigns stay.

        Raises:
            NotFound: no session.
        """
        row = await self.get(number)
        try:
            client = lifecycle.client_of(self._fleet, row)
            await client.stop_session(row.name)  # deleting a session that runs has crashed older versions
            await client.delete_session(row.name)
        except WahaError as error:
            raise lifecycle.as_gateway_error(error) from error
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

"""Moving a session to another server: stopped on the old one first, so that it never runs on both.

The steps: a place is reserved on the new server (`moving_to`); the new server is asked whether it has the login; the
session is stopped on the old one; its row goes over; it is brought up on the new one. Whoever dies in between leaves
`moving_to` or a session that should run and does not: the keeper finishes the first by `Mover.finish`, and starts the
second as any other. Where the new server does not answer before the session was stopped, nothing has changed.

Servers that share a store know each other's sessions and logins: then the phone need not scan again.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, Database, read_now
from gateway.errors import Conflict, NoCapacity, NotFound, ServiceUnavailable
from gateway.events import EventBus, SessionStateChanged
from gateway.waha.errors import SessionAlreadyExists, SessionNotFound, WahaError, WahaUnreachable
from gateway.waha.schemas import SessionInfo, WahaStatus
from sessions import queries as session_queries
from sessions.history import Diary, Kind
from sessions.lifecycle import Held, Lifecycle, SessionBusy, as_gateway_error, has_drifted
from sessions.models import Desired, SessionState
from sessions.news.state_writer import StateWriter
from sessions.pairing.qr_codes import PAIRING_SECONDS
from sessions.queries import session
from sessions.servers import queries
from sessions.servers.fleet import Fleet

log = structlog.get_logger()

PATIENCE_SECONDS = 5.0
"""How long a move waits for another call on the same session to end."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A session that has moved: its row now, the name of its old server, whether its phone has to scan again.

    `problem` says why it does not run yet, though it should; it is started again by itself. Empty where all is well.
    """

    row: AnyRow
    origin: str
    scan_again: bool
    problem: str = ""


class Mover:
    """Moves sessions between servers."""

    def __init__(self, db: Database, fleet: Fleet, lifecycle: Lifecycle, writer: StateWriter, bus: EventBus) -> None:
        self._db = db
        self._fleet = fleet
        self._lifecycle = lifecycle
        self._writer = writer
        self._bus = bus

    async def move(self, number: str, server_name: str | None = None, *, force: bool = False) -> Moved:
        """Move the session of `number` to a server, or to the one with the most room.

        With `force` the old server may be down: then the session is stopped there as soon as it is back.

        Raises:
            NotFound: no such session or server.
            Conflict: it is there already, it is being moved or removed, or the server takes no new sessions.
            NoCapacity: there is no room.
            ServiceUnavailable: a server does not answer; nothing has changed.
        """
        async with self._db.read() as connection:
            row = await session_queries.find_session(connection, number)
        if row is None:
            raise NotFound("there is no session for this number; create it with POST /api/sessions")
        origin, switched, problem = row.server_name, False, ""
        try:
            async with self._lifecycle.hold(row.sender_id, "move", patience=PATIENCE_SECONDS) as held:
                origin = held.row.server_name
                _refuse(held.row, force=force)
                target = await self._reserve(held, server_name)
                has_login = await self._look(held, target)
                await self._stop(held, target, force=force)
                await self._switch(held, target, has_login=has_login)
                switched = True
                await self._bring_up(held)
        except WahaError as error:
            if not switched:
                raise as_gateway_error(error) from error
            problem = f"it is not started yet, and is tried again by itself: {error}"
            log.warning("moved_session_not_started", number=number, error=str(error))
        row, _ = await self._lifecycle.find(row.sender_id)
        return Moved(row, origin, row.requires_auth, problem)

    async def finish(self, held: Held) -> None:
        """Finish the move of a held session whose row says `moving_to`; give it up if the new server does not answer.

        Raises:
            WahaError: a server did not do its part; what is left is done by the next call, or as for any session.
        """
        async with self._db.read() as connection:
            target = await queries.find_by_id(connection, held.row.moving_to)
        if target is None:  # it cannot have gone: the row refers to it
            raise SessionBusy("the move of this session has been ended by somebody else")
        try:
            has_login = await self._look(held, target)
        except ServiceUnavailable:
            log.warning("move_given_up", number=held.row.number, server=target.name)
            return
        await held.stop()
        await self._note_stopped(held, target)
        await self._switch(held, target, has_login=has_login)
        await self._bring_up(held)

    # --- the steps ----------------------------------------------------------------------------------------------

    async def _reserve(self, held: Held, server_name: str | None) -> AnyRow:
        """Take a place on the new server; from here on the move is finished or given up."""
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            if server_name is None:
                target = await session_queries.place(tx, besides=row.server_id)
            else:
                target = await _named(tx, server_name, row)
            if target is None:
                raise NoCapacity
            await self._write(tx, held, row.server_id, moving_to=target.id)
            now = await read_now(tx)
            reason = f"it is being moved from {row.server_name} to {target.name}"
            await diary.note(tx, row.sender_id, row.number, Kind.MOVED, reason, now)
        diary.tell(self._bus)
        return target

    async def _look(self, held: Held, target: AnyRow) -> bool:
        """Whether the new server knows the session and its login; where it does not answer, the move is given up.

        Raises:
            ServiceUnavailable: it does not answer, or this replica does not know it.
        """
        if self._fleet.client(target.id) is None:
            await self._fleet.refresh()  # another replica may have added it a moment ago
        client = self._fleet.client(target.id)
        if client is None:
            await self._give_up(held, target, f"{target.name} is not known here")
            raise ServiceUnavailable(f"{target.name} is not known here; the session stays where it is")
        try:
            info = await client.get_session(held.row.name)
        except SessionNotFound:
            return False
        except WahaError as error:
            await self._give_up(held, target, f"{target.name} does not answer: {error}")
            member = self._fleet.member(target.id)
            if member is not None and isinstance(error, WahaUnreachable):
                await self._fleet.note_failure(member, error)
            raise ServiceUnavailable(f"{target.name} does not answer; the session stays where it is") from error
        return info.me is not None

    async def _stop(self, held: Held, target: AnyRow, *, force: bool) -> None:
        """Stop it on the old server, or do without if that is down and it is forced.

        Raises:
            WahaError: it could not be stopped; the move is given up.
        """
        if force and not held.row.server_up:
            log.warning("moved_without_a_stop", number=held.row.number, server=held.row.server_name)
            return
        try:
            await held.stop()
        except WahaError as error:
            if not force:
                await self._give_up(held, target, f"it could not be stopped on {held.row.server_name}: {error}")
                raise
            log.warning("moved_without_a_stop", number=held.row.number, server=held.row.server_name, error=str(error))
            return
        await self._note_stopped(held, target)

    async def _note_stopped(self, held: Held, target: AnyRow) -> None:
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            now = await read_now(tx)
            stopped = {"state": SessionState.STOPPED, "waha_status": str(WahaStatus.STOPPED), "status_at": now}
            stopped |= {"state_at": now, "reason": f"it is being moved to {target.name}"}
            await self._write(tx, held, row.server_id, **stopped)
            await diary.note(tx, row.sender_id, row.number, Kind.STOPPED, f"stopped on {row.server_name} to move", now)
        diary.tell(self._bus)
        self._tell(row)

    async def _switch(self, held: Held, target: AnyRow, *, has_login: bool) -> None:
        """From now on it lives on the new server."""
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            await queries.lock(tx, id_=target.id)  # before the session's row, as everybody does
            now = await read_now(tx)
            values = _on_its_new_server(row, target, has_login=has_login, now=now)
            await self._write(tx, held, row.server_id, server_id=target.id, moving_to=None, **values)
            await diary.note(tx, row.sender_id, row.number, Kind.MOVED, values["reason"], now)
        diary.tell(self._bus)
        self._tell(row)
        log.info("session_moved", number=row.number, server=target.name, scan_again=not has_login)
        await held.follow()

    async def _bring_up(self, held: Held) -> None:
        """Have the new server run it, if it is meant to run."""
        if held.row.desired != Desired.RUNNING:
            return
        info = await self._start(held)
        member = self._fleet.member(held.row.server_id)
        if member is not None:
            await self._writer.on_answer(member, held.row, info)

    async def _start(self, held: Held) -> SessionInfo:
        try:
            return await held.create()
        except SessionAlreadyExists:
            info = await held.client.get_session(held.row.name)
        if info.status is WahaStatus.STOPPED and has_drifted(info.config, self._lifecycle.wanted_config(held.row)):
            info = await held.configure(info.config)  # it does not run, so that this restarts nothing
        return await held.wake(info)

    async def _give_up(self, held: Held, target: AnyRow, why: str) -> None:
        row, diary = held.row, Diary()
        async with self._db.write() as tx:
            await self._write(tx, held, row.server_id, moving_to=None)
            now = await read_now(tx)
            reason = f"its move to {target.name} was given up: {why}"
            await diary.note(tx, row.sender_id, row.number, Kind.MOVED, reason, now)
        diary.tell(self._bus)

    async def _write(self, tx: AsyncConnection, held: Held, home: str, **values: Any) -> None:
        """Write the row of a session that is still held and still lives on `home`; raises `SessionBusy`."""
        as_it_was = (
            session.c.sender_id == held.row.sender_id,
            session.c.busy_by == held.token,
            session.c.server_id == home,
        )
        if (await tx.execute(update(session).where(*as_it_was).values(**values))).rowcount != 1:
            raise SessionBusy("another call on this session has taken over")

    def _tell(self, row: AnyRow) -> None:
        self._bus.publish(SessionStateChanged(row.sender_id, row.number, SessionState.STOPPED, connected=False))


def _refuse(row: AnyRow, *, force: bool) -> None:
    if row.desired == Desired.DELETED:
        raise Conflict("this session is being removed")
    if row.moving_to is not None:
        raise Conflict("this session is being moved already; that is finished by itself")
    if not row.server_up and not force:
        raise ServiceUnavailable(
            f"{row.server_name} does not answer, so the session cannot be stopped there; wait, or send "
            '"force": true: then it runs on the new server at once, and is stopped on the old one when that is back'
        )


async def _named(tx: AsyncConnection, name: str, row: AnyRow) -> AnyRow:
    """The server of this name, locked, if it takes another session."""
    target = await queries.lock(tx, name=name)
    if target is None:
        raise NotFound(f"there is no server {name}")
    if target.id == row.server_id:
        raise Conflict(f"the session lives on {name} already")
    if not target.up:
        raise ServiceUnavailable(f"{name} does not answer")
    if target.draining:
        raise Conflict(f"{name} is draining: it takes no new sessions")
    if await queries.count_placed(tx, target.id) >= target.capacity:
        raise NoCapacity(f"{name} has no room for another session")
    return target


def _on_its_new_server(row: AnyRow, target: AnyRow, *, has_login: bool, now: float) -> dict[str, Any]:
    """The columns of a session that has just come to a server, which has its login or has not."""
    values: dict[str, Any] = {
        "state": SessionState.STOPPED,
        "state_at": now,
        "waha_status": "",
        "status_at": now,
        "event_at": 0.0,  # the new server's clock is another one
        "repairs": 0,
        "repair_at": 0.0,
        "configured_at": None,
        "deaf_at": None,
        "pairing_until": None,
    }
    if has_login:
        # as if paired anew: what left through the old server may be missing in the new one's store
        paired_at = now if row.paired_at is not None else None
        reason = f"moved from {row.server_name} to {target.name} with its login"
        return values | {"paired_at": paired_at, "reason": reason}
    reason = f"moved from {row.server_name} to {target.name}, which has not its login: scan its code again"
    values |= {"paired_at": None, "requires_auth": True, "reason": reason}
    return values | ({"pairing_until": now + PAIRING_SECONDS} if row.desired == Desired.RUNNING else {})

"""The session manager: keeps what we tell about each session true to what WAHA says.

Two tasks for each server. One follows its event stream, so that a change is known at once; the stream may lose
events. The other sweeps: it asks for all sessions every `sweep_seconds`, at each (re)connection of the stream and
when a call found the server away; what it hears is the truth. Each change of a session is one short transaction;
calls to WAHA happen outside of it. `stop` ends both tasks of every server.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.auth import tokens
from gateway.clock import Clock
from gateway.db import AnyRow, Database, read_now
from gateway.events import EventBus, ServerSuspected, SessionStateChanged
from gateway.waha.errors import WahaError
from gateway.waha.events import EventStream
from gateway.waha.ids import ChatKind, parse_chat_id
from gateway.waha.schemas import (
    Connected,
    MessageAckEvent,
    MessageAnyEvent,
    SessionInfo,
    SessionStatusEvent,
    WahaStatus,
)
from sessions import queries
from sessions.models import SessionState
from sessions.pairing.qr_codes import PAIRING_SECONDS, QrBook
from sessions.servers.fleet import Fleet, Member
from sessions.states import same_number, state_of

log = structlog.get_logger()

MISSING_GRACE_SECONDS = 60.0
_AT_A_CODE = frozenset({SessionState.WAITING_FOR_SCAN, SessionState.SCANNED, SessionState.EXPIRED})
"""Where a session is only if its phone has to scan; one that merely starts again was paired before."""
MISSING = "MISSING"
"""Kept as WAHA's status of a session that its server does not know."""
MessageEvent = MessageAckEvent | MessageAnyEvent


@dataclass(slots=True)
class _Watch:
    """What runs for one server."""

    member: Member
    sweep_now: asyncio.Event = field(default_factory=asyncio.Event)
    stream: EventStream | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class SessionManager:
    """Follows every server of the fleet."""

    def __init__(
        self,
        db: Database,
        fleet: Fleet,
        bus: EventBus,
        clock: Clock,
        qr_book: QrBook,
        *,
        sweep_seconds: float,
        on_message: Callable[[MessageEvent], None],
        follow_events: bool = True,
    ) -> None:
        self._db = db
        self._fleet = fleet
        self._bus = bus
        self._clock = clock
        self._qr_book = qr_book
        self._sweep_seconds = sweep_seconds
        self._on_message = on_message
        self._follow_events = follow_events
        self._watches: dict[str, _Watch] = {}
        self._refusals: dict[int, asyncio.Task[None]] = {}
        self._stopping = False
        bus.subscribe(ServerSuspected, self._on_suspicion)

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow all servers, on the running event loop."""
        for member in self._fleet.members:
            watch = self._watches[member.id] = _Watch(member)
            watch.tasks.append(asyncio.create_task(self._sweep_on(watch), name=f"sweep {member.name}"))
            if self._follow_events:
                watch.stream = EventStream(member.url, member.api_key)
                watch.tasks.append(asyncio.create_task(self._follow(watch), name=f"events {member.name}"))

    async def stop(self) -> None:
        """Stop following."""
        self._stopping = True
        for watch in self._watches.values():
            watch.sweep_now.set()
            if watch.stream is not None:
                await watch.stream.aclose()
        tasks = [task for watch in self._watches.values() for task in watch.tasks] + [*self._refusals.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_suspicion(self, event: ServerSuspected) -> None:
        if watch := self._watches.get(event.server_id):
            watch.sweep_now.set()

    # --- the two tasks ------------------------------------------------------------------------------------------

    async def _sweep_on(self, watch: _Watch) -> None:
        while not self._stopping:
            watch.sweep_now.clear()
            try:
                await self.sweep(watch.member)
            except (SQLAlchemyError, OSError) as error:
                log.error("sweep_failed", server=watch.member.name, error=str(error))
            pause = self._sweep_seconds if watch.member.up else min(self._sweep_seconds, 2.0)
            await self._clock.wait(watch.sweep_now, pause)

    async def _follow(self, watch: _Watch) -> None:
        assert watch.stream is not None
        async for event in watch.stream:
            try:
                if isinstance(event, Connected):
                    watch.sweep_now.set()  # what happened before this moment was not heard
                elif isinstance(event, SessionStatusEvent):
                    await self._on_status(watch.member, event)
                else:
                    self._on_message(event)
            except (SQLAlchemyError, OSError) as error:
                log.error("event_failed", server=watch.member.name, error=str(error))
                watch.sweep_now.set()

    async def sweep(self, member: Member) -> None:
        """Ask a server for all its sessions, and write what differs from what we knew."""
        async with self._db.read() as connection:
            asked_at = await read_now(connection)
        try:
            infos = await member.client.list_sessions(all=True)
            version = await member.client.server_version() if not (member.up and member.engine) else None
        except WahaError as error:
            if member.up:
                log.warning("sweep_unanswered", server=member.name, error=str(error))
            await self._fleet.set_reachable(member, up=False)
            return
        if version is not None:
            await self._fleet.set_reachable(member, up=True, version=version.version, engine=version.engine)
        else:
            await self._fleet.touch(member)
        by_name = {info.name: info for info in infos}
        async with self._db.read() as connection:
            ours = await queries.sessions_on(connection, member.id)
            now = await read_now(connection)
        for row in ours:
            if row.state_at < asked_at:  # what an event has told since then is fresher than this answer
                await self._compare(member, row, by_name.get(row.name), now)

    async def _compare(self, member: Member, row: AnyRow, info: SessionInfo | None, now: float) -> None:
        """One session in a sweep."""
        if info is None:
            if now - row.created_at > MISSING_GRACE_SECONDS and row.waha_status != MISSING:
                reason = "its WAHA server does not know this session; ask for its QR code to create it again"
                await self._write(row, SessionState.FAILED, reason=reason, waha_status=MISSING)
            return
        active_at = info.activity_at / 1000 if info.activity_at else None
        me = info.me.id if info.me else None
        if (
            info.status != row.waha_status
            or info.status is WahaStatus.SCAN_QR_CODE
            or _is_later(active_at, row)
            or _is_of_another_phone(row, info.status, me)
        ):
            name = _name_of(info)
            await self.apply(
                member, row.name, info.status, me, push_name=name, active_at=active_at, seen_at=row.state_at
            )

    async def _on_status(self, member: Member, event: SessionStatusEvent) -> None:
        me = event.me.id if event.me else None
        if event.status is WahaStatus.WORKING and me is None:
            self._watches[member.id].sweep_now.set()  # only once we know whose phone it is
            return
        push_name = (event.me.push_name or "") if event.me else ""
        await self.apply(member, event.session, event.status, me, push_name=push_name)

    # --- one session --------------------------------------------------------------------------------------------

    async def apply(
        self,
        member: Member,
        name: str,
        status: WahaStatus,
        me: str | None,
        *,
        push_name: str = "",
        active_at: float | None = None,
        seen_at: float | None = None,
    ) -> None:
        """Write what WAHA says about one session; `me` is the chat id of the phone that it is paired with.

        An answer to a question gives `seen_at`, the session's `state_at` before it was asked: where an event has moved
        the session since, the answer is older than what we know and is passed over.
        """
        async with self._db.read() as connection:
            row = await queries.find_by_name(connection, member.id, name)
            now = await read_now(connection)
        if row is None:
            log.debug("foreign_session", server=member.name)
            return
        if seen_at is not None and row.state_at != seen_at:
            return
        if status is WahaStatus.WORKING and _phone_of(me) is None:
            log.warning("account_unknown", number=row.number)  # nobody sends before it is known whose phone it is
            return
        if _is_of_another_phone(row, status, me):
            await self._refuse_phone(member, row, now)
            return
        values: dict[str, Any] = {"waha_status": str(status)}
        if active_at is not None and _is_later(active_at, row):
            values["last_active"] = min(active_at, now)
        open_until = row.pairing_until
        pairing_open = open_until is not None and now < open_until
        before = SessionState(row.state)
        after = state_of(status, before, paired=row.paired_at is not None, pairing_open=pairing_open)
        if after is SessionState.CONNECTED:
            values |= {"reason": "", "pairing_until": None, "push_name": push_name or row.push_name}
            values |= {"last_active": now} if before is not SessionState.CONNECTED else {}
            scanned = row.paired_at is None or before in _AT_A_CODE
            values |= {"paired_at": now} if scanned else {}
        elif after is SessionState.FAILED and open_until is not None:
            values |= {"reason": "the QR codes ran out; ask for a new one", "pairing_until": None}
        elif after is SessionState.FAILED:
            values["reason"] = "it has failed, or its phone has logged it out; ask for its QR code to start it again"
        elif after is SessionState.EXPIRED:
            values["reason"] = "logged out by the phone; scan again"
        elif after is not before and not pairing_open:
            values["reason"] = ""  # while a pairing is open, what was told about it stays true
        await self._write(row, after, **values)

    async def note(self, row: AnyRow, info: SessionInfo) -> None:
        """Write what a call answered, unless an event has told something newer: WAHA answers it before that happens."""
        member = self._fleet.member(row.server_id)
        if member is not None and info.status is not WahaStatus.WORKING:
            me = info.me.id if info.me else None
            await self.apply(member, row.name, info.status, me, seen_at=row.state_at)

    async def _write(self, row: AnyRow, after: SessionState, **values: Any) -> bool:
        """Move the state by compare-and-set, and tell; False if somebody else has moved it since `row` was read."""
        before = SessionState(row.state)
        changed = before != after
        async with self._db.write() as tx:
            if changed:
                values["state_at"] = await read_now(tx)
            if not await queries.transition(tx, row.sender_id, before, after, **values):
                return False
            if after is SessionState.CONNECTED and "paired_at" in values:  # a phone has scanned: that is the proof
                await tokens.activate(tx, row.number)
        if changed:
            log.info("session_state", number=row.number, before=before, after=after)
            if after in (SessionState.CONNECTED, SessionState.FAILED, SessionState.EXPIRED):
                self._qr_book.forget(row.number)
            self.tell(row.sender_id, row.number, after)
        return True

    def tell(self, sender_id: int, number: str, state: SessionState) -> None:
        """Publish a session's new state."""
        connected = state is SessionState.CONNECTED
        self._bus.publish(SessionStateChanged(sender_id, number, state, connected))

    async def _refuse_phone(self, member: Member, row: AnyRow, now: float) -> None:
        """Another phone has scanned: it is logged out, and a new code is shown to the right one."""
        if row.sender_id in self._refusals:
            return
        reason = "another number scanned the code and was logged out; scan with the phone of this number"
        log.warning("wrong_phone", number=row.number)
        self._qr_book.forget(row.number)
        until = now + PAIRING_SECONDS
        if not await self._write(
            row, SessionState.STARTING, reason=reason, pairing_until=until, waha_status="STARTING"
        ):
            return
        logout = asyncio.create_task(self._log_out(member, row), name=f"log out {member.name}")
        self._refusals[row.sender_id] = logout
        logout.add_done_callback(lambda _: self._refusals.pop(row.sender_id, None))

    async def _log_out(self, member: Member, row: AnyRow) -> None:
        """Takes seconds, so it is a task of its own; where it fails, the next sweep finds the phone again."""
        try:
            await member.client.logout_session(row.name)
        except WahaError as error:
            log.error("logout_failed", number=row.number, error=str(error))


def _is_later(active_at: float | None, row: AnyRow) -> bool:
    return active_at is not None and active_at > (row.last_active or 0.0) + 1.0


def _is_of_another_phone(row: AnyRow, status: WahaStatus, me: str | None) -> bool:
    phone = _phone_of(me) if status is WahaStatus.WORKING else None
    return phone is not None and not same_number(row.number, phone)


def _phone_of(me: str | None) -> str | None:
    """The digits of the account that a session is paired with; None where WAHA does not say them."""
    chat = parse_chat_id(me)
    return chat.digits if chat is not None and chat.kind is ChatKind.PHONE else None


def _name_of(info: SessionInfo) -> str:
    return (info.me.push_name or "") if info.me else ""

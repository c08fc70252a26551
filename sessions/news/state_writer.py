"""What we tell about a session, kept true to what WAHA says about it.

WAHA's word comes by event (`on_event`) or as an answer (`on_answer`); both end in one short transaction
that compares and sets. Events may be repeated, late, out of order, or lost: one that is not newer than the last news,
or older than some seconds, changes nothing, and an answer counts only where nothing was heard since the question.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.auth import tokens
from gateway.db import AnyRow, Database, read_now
from gateway.errors import GatewayError
from gateway.events import EventBus, SessionStateChanged
from gateway.waha.errors import WahaError
from gateway.waha.ids import ChatKind, parse_chat_id
from gateway.waha.schemas import Me, SessionInfo, SessionStatusEvent, WahaStatus
from sessions import limits, ownership, queries
from sessions.history import Diary, Kind
from sessions.lifecycle import Lifecycle
from sessions.models import SessionState
from sessions.pairing.qr_codes import PAIRING_SECONDS, QrBook
from sessions.servers.fleet import Member
from sessions.states import same_number, state_of

log = structlog.get_logger()

MISSING = "MISSING"
"""Kept as WAHA's status of a session that its server does not know."""
CODES_RAN_OUT = "the QR codes ran out; ask for a new one"
LOGGED_OUT = "logged out by the phone; scan again"
HAS_FAILED = "it has failed; the gateway restarts it"
WRONG_PHONE = "another number scanned the code and was logged out; scan with the phone of this number"
REFUSAL_PATIENCE_SECONDS = 10.0
ACTIVITY_SECONDS = 60.0
"""How exactly the last activity is kept: it matters to the day, and each time that it moves is a write."""
LATE_SECONDS = 10.0
"""A status event that is older is not believed: WAHA is asked instead."""

_KIND_OF_STATE = {
    SessionState.STOPPED: Kind.STOPPED,
    SessionState.STARTING: Kind.STARTING,
    SessionState.WAITING_FOR_SCAN: Kind.PAIRING,
    SessionState.CONNECTED: Kind.CONNECTED,
    SessionState.FAILED: Kind.FAILED,
    SessionState.EXPIRED: Kind.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Told:
    """WAHA's word on one session. `active_at` is in epoch seconds; `event_at` is WAHA's own time of an event."""

    status: WahaStatus
    me: Me | None = None
    active_at: float | None = None
    event_at: float | None = None


class StateWriter:
    """Writes what WAHA says about our sessions."""

    def __init__(self, db: Database, bus: EventBus, lifecycle: Lifecycle, qr_book: QrBook) -> None:
        self._db = db
        self._bus = bus
        self._lifecycle = lifecycle
        self._qr_book = qr_book
        self._refusals: dict[int, asyncio.Task[None]] = {}
        self._ahead: dict[str, float] = {}

    async def stop(self) -> None:
        """Leave what is under way; the next sweep finds it again."""
        tasks = list(self._refusals.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what comes in ------------------------------------------------------------------------------------------

    async def on_event(self, member: Member, event: SessionStatusEvent) -> bool:
        """Take a status event; False where only a look at the session can tell what it means.

        One that is late, or overtaken by another one, may speak of what was long put right: nothing is written of it.
        """
        event_at = event.timestamp / 1000 if event.timestamp else None
        async with self._db.read() as connection:
            row = await queries.find_by_name(connection, member.id, event.session)
            now = await read_now(connection)
        late = event_at is None or self._is_late(member.id, event_at, now)
        if row is None:
            log.debug("foreign_session", server=member.name)
            return True
        if event_at is None:
            return False
        if event_at <= row.event_at and event.status == row.waha_status:
            return True  # known already
        if late or event_at <= row.event_at:
            return False
        if event.status is WahaStatus.WORKING and _phone_of(event.me) is None:
            return False  # only once we know whose phone it is
        return await self.take(member, row, Told(event.status, event.me, event_at=event_at))

    def _is_late(self, server_id: str, event_at: float, now: float) -> bool:
        """Whether an event is old: by our clock, or by what its server's clock, which may be ahead, must show now."""
        ahead = self._ahead[server_id] = max(event_at - now, self._ahead.get(server_id, 0.0))
        return event_at < now + ahead - LATE_SECONDS

    async def on_answer(self, member: Member, row: AnyRow, info: SessionInfo, answered_at: float | None = None) -> None:
        """Take the answer to a question that was asked after `row` was read.

        It came at `answered_at` of the database's time, None for now.
        """
        await self.take(member, row, _told(info), answered_at)

    async def on_activities(self, activities: Sequence[tuple[AnyRow, float]]) -> None:
        """Take answers that told nothing but an activity: all together, as whoever sends tells one each minute."""
        async with self._db.write() as tx:
            await queries.note_activities(tx, activities)

    def differs(self, row: AnyRow, info: SessionInfo, now: float) -> bool:
        """Whether an answer says something that `row` does not."""
        active_at = info.activity_at / 1000 if info.activity_at else None
        return (
            info.status != row.waha_status
            or _is_later(active_at, row)
            or (info.status is WahaStatus.SCAN_QR_CODE and row.state not in _AT_A_CODE)
            or _is_of_another_phone(row, info.status, info.me)
            or limits.changes(row, info.me, now)
        )

    def activity(self, row: AnyRow, info: SessionInfo, now: float) -> float | None:
        """The session's last activity, where an answer about a connected one tells that and nothing else."""
        told = _told(info)
        is_known = _phone_of(told.me) is not None and not _is_of_another_phone(row, told.status, told.me)
        if row.state != SessionState.CONNECTED or not is_known or limits.changes(row, info.me, now):
            return None
        after, values = self._judge(row, told, now)
        active_at: float | None = values.pop("last_active", None)
        is_all = after == row.state and all(getattr(row, name) == value for name, value in values.items())
        return active_at if is_all else None

    async def on_missing(self, row: AnyRow) -> None:
        """Its server does not know the session."""
        if row.waha_status != MISSING:
            gone = "its WAHA server does not know this session"
            after = SessionState.EXPIRED if row.state == SessionState.EXPIRED else SessionState.FAILED
            await self._write(row, after, reason=gone, waha_status=MISSING)

    # --- what the keeper has found out --------------------------------------------------------------------------

    async def close_pairing(self, row: AnyRow) -> bool:
        """The pairing has run out, and WAHA will not say so."""
        after = SessionState.EXPIRED if row.state == SessionState.EXPIRED else SessionState.FAILED
        return await self._write(row, after, Kind.FAILED, **_ran_out())

    async def expire(self, row: AnyRow, reason: str, rejections: int) -> bool:
        """WhatsApp does not take the login any more: only its phone can help."""
        return await self._write(
            row, SessionState.EXPIRED, Kind.EXPIRED, reason=reason, requires_auth=True, rejections=rejections
        )

    async def give_up(self, row: AnyRow, reason: str) -> bool:
        """Helping it was in vain: a person has to look at it."""
        return await self._write(row, SessionState.FAILED, Kind.GAVE_UP, reason=reason, requires_auth=True)

    # --- one session --------------------------------------------------------------------------------------------

    async def take(self, member: Member, row: AnyRow, told: Told, answered_at: float | None = None) -> bool:
        """Write what WAHA says; False if somebody else was faster, or if it may not be written.

        An answer is newer than each event of before it, however long that one waits to be heard.
        """
        if told.status is WahaStatus.WORKING and _phone_of(told.me) is None:
            log.warning("account_unknown", number=row.number)  # nobody sends before it is known whose phone it is
            return False
        async with self._db.read() as connection:
            now = await read_now(connection)
        if _is_of_another_phone(row, told.status, told.me):
            return await self._refuse_phone(member, row, now)
        after, values = self._judge(row, told, now)
        if told.event_at is not None:
            values["event_at"] = told.event_at
        elif told.status != row.waha_status:
            by_its_clock = (now if answered_at is None else answered_at) + self._ahead.get(member.id, 0.0)
            values["event_at"] = max(row.event_at, by_its_clock)
        return await self._write(row, after, me=told.me, **values)

    def _judge(self, row: AnyRow, told: Told, now: float) -> tuple[SessionState, dict[str, Any]]:
        """The new state, and what changes with it."""
        values: dict[str, Any] = {"waha_status": str(told.status)}
        if told.active_at is not None and _is_later(told.active_at, row):
            values["last_active"] = min(told.active_at, now)
        before = SessionState(row.state)
        if told.status is WahaStatus.WORKING == row.waha_status and before is SessionState.EXPIRED:
            return before, values  # past its time, and its pings fail: only an answered ping brings it back
        open_until = row.pairing_until
        pairing_open = open_until is not None and now < open_until
        after = state_of(told.status, before, paired=row.paired_at is not None, pairing_open=pairing_open)
        if told.status is WahaStatus.SCAN_QR_CODE:  # WAHA shows a code only where nobody is paired
            values |= {"paired_at": None, "requires_auth": True, "rejections": 0}
        if after is SessionState.CONNECTED:
            name = (told.me.push_name or "") if told.me else ""
            values |= {"reason": "", "pairing_until": None, "requires_auth": False, "push_name": name or row.push_name}
            values |= _scanned(now) if row.paired_at is None else {}
        elif after is SessionState.FAILED and open_until is not None and row.paired_at is None:
            values |= _ran_out()
        elif after is SessionState.FAILED:
            values["reason"] = HAS_FAILED
        elif after is SessionState.EXPIRED:
            values |= {"reason": LOGGED_OUT if before is not after else row.reason, "requires_auth": True}
        elif after is not before and not pairing_open:
            values["reason"] = ""  # while a pairing is open, what was told about it stays true
        return after, values

    async def _write(
        self, row: AnyRow, after: SessionState, kind: Kind | None = None, me: Me | None = None, **values: Any
    ) -> bool:
        """Move the state by compare-and-set, and tell; False if somebody else has moved it since `row` was read.

        `kind` is for what is noted also where the state stays; `me` may tell of WhatsApp's limits.
        """
        before = SessionState(row.state)
        diary = Diary()
        async with self._db.write() as tx:
            now = await read_now(tx)
            if before != after:
                values["state_at"] = now
            if values.get("waha_status", row.waha_status) != row.waha_status:
                values["status_at"] = now
            if not await queries.transition(tx, row, after, **values):
                return False
            if values.get("paired_at") is not None:  # a phone has scanned: that is the proof
                await tokens.activate(tx, row.number)
                await ownership.prove(tx, row.sender_id)
            if me is not None:
                await limits.note_me(tx, row, me, now, diary)
            if kind is None and before != after:
                kind = Kind.WRONG_PHONE if values.get("reason") == WRONG_PHONE else _KIND_OF_STATE.get(after)
            if kind is not None:
                reason = values.get("reason") or f"WAHA says {values.get('waha_status', row.waha_status)}"
                await diary.note(tx, row.sender_id, row.number, kind, reason, now)
        diary.tell(self._bus)
        if before != after:
            log.info("session_state", number=row.number, before=before, after=after)
            if after in (SessionState.CONNECTED, SessionState.FAILED, SessionState.EXPIRED):
                self._qr_book.forget(row.number)
            self.tell(row.sender_id, row.number, after)
        return True

    def tell(self, sender_id: int, number: str, state: SessionState) -> None:
        """Publish a session's new state."""
        connected = state is SessionState.CONNECTED
        self._bus.publish(SessionStateChanged(sender_id, number, state, connected))

    # --- another phone ------------------------------------------------------------------------------------------

    async def _refuse_phone(self, member: Member, row: AnyRow, now: float) -> bool:
        """Another phone has scanned: it is logged out, and a new code is shown to the right one."""
        if row.sender_id in self._refusals:
            return False
        log.warning("wrong_phone", number=row.number)
        self._qr_book.forget(row.number)
        values: dict[str, Any] = {"pairing_until": now + PAIRING_SECONDS, "requires_auth": True, "paired_at": None}
        written = await self._write(
            row, SessionState.STARTING, reason=WRONG_PHONE, waha_status=str(WahaStatus.STARTING), **values
        )
        if not written:
            return False
        logout = asyncio.create_task(self._log_out(row), name=f"log out {member.name}")
        self._refusals[row.sender_id] = logout
        logout.add_done_callback(lambda _: self._refusals.pop(row.sender_id, None))
        return True

    async def _log_out(self, row: AnyRow) -> None:
        """Takes seconds, so it is a task of its own; where it fails, the next sweep finds the phone again."""
        try:
            async with self._lifecycle.hold(row.sender_id, "logout", patience=REFUSAL_PATIENCE_SECONDS) as held:
                await held.logout()
        except (WahaError, GatewayError) as error:
            log.error("logout_failed", number=row.number, error=str(error))


_AT_A_CODE = frozenset({SessionState.WAITING_FOR_SCAN, SessionState.EXPIRED})


def _ran_out() -> dict[str, Any]:
    return {"reason": CODES_RAN_OUT, "pairing_until": None, "requires_auth": True}


def _scanned(now: float) -> dict[str, Any]:
    """Both clocks begin with the scan. A connection that is made anew is no activity: it would hide a dead session."""
    begun = dict.fromkeys(("ping_at", "warned_at", "phone_warned_at"), None)
    return begun | {"paired_at": now, "last_active": now, "phone_last_seen": now, "ping_failures": 0}


def _told(info: SessionInfo) -> Told:
    """An answer as WAHA's word."""
    return Told(info.status, info.me, active_at=info.activity_at / 1000 if info.activity_at else None)


def _is_later(active_at: float | None, row: AnyRow) -> bool:
    """Whether WAHA tells of an activity. A ping counts there as soon as it is asked: while one is due, or has failed
    last, only its answer or a send of ours proves anything."""
    if active_at is None or row.ping_at is not None or row.ping_failures:
        return False
    return bool(active_at > (row.last_active or 0.0) + ACTIVITY_SECONDS)


def _is_of_another_phone(row: AnyRow, status: WahaStatus, me: Me | None) -> bool:
    if me is not None and me.id == f"{row.number}@c.us":
        return False  # as nearly always
    phone = _phone_of(me) if status is WahaStatus.WORKING else None
    return phone is not None and not same_number(row.number, phone)


def _phone_of(me: Me | None) -> str | None:
    """The digits of the account that a session is paired with; None where WAHA does not say them."""
    chat = parse_chat_id(me.id) if me is not None else None
    return chat.digits if chat is not None and chat.kind is ChatKind.PHONE else None

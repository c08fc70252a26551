"""A session's history: what happened to it and what was done with it, each line with its time and its reason.

A line is written in the transaction of the fact that it tells, and told on the bus after that has been committed.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, Database, table_of
from gateway.events import EventBus, SessionNoted
from gateway.notifications.outbox import Fact, tell
from gateway.notifications.payload import as_text
from sessions.models import Sender, Session, SessionEvent

KEEP_SECONDS = 90 * 86_400

session_event = table_of(SessionEvent)
sender = table_of(Sender)
session = table_of(Session)


class Kind(StrEnum):
    """What a line of the history is about."""

    CREATED = "session.created"
    PAIRING = "session.pairing"
    WRONG_PHONE = "session.wrong_phone"
    STARTING = "session.starting"
    CONNECTED = "session.connected"
    STOPPED = "session.stopped"
    FAILED = "session.failed"
    EXPIRING = "session.expiring"
    EXPIRED = "session.expired"
    PHONE_UNSEEN = "session.phone_unseen"
    LOGGED_OUT = "session.logged_out"
    DELETED = "session.deleted"
    FORGOTTEN = "session.forgotten"
    STARTED = "keeper.started"
    RESTARTED = "keeper.restarted"
    RECREATED = "keeper.recreated"
    RECONFIGURED = "keeper.reconfigured"
    KEPT_STOPPED = "keeper.stopped"
    FINISHED_DELETE = "keeper.deleted"
    MOVED = "session.moved"
    REPAIR_FAILED = "keeper.failed"
    GAVE_UP = "keeper.gave_up"
    DEAF = "session.deaf"
    SICK = "session.sick"
    PINGED = "keepalive.pinged"
    PING_FAILED = "keepalive.failed"
    LOCKED = "limits.locked"
    UNLOCKED = "limits.unlocked"


TOLD: Mapping[Kind, str] = {
    Kind.PAIRING: "session.pairing",
    Kind.CONNECTED: "session.connected",
    **dict.fromkeys(
        (Kind.STARTING, Kind.STOPPED, Kind.KEPT_STOPPED, Kind.FAILED, Kind.GAVE_UP, Kind.WRONG_PHONE, Kind.LOGGED_OUT),
        "session.disconnected",
    ),
    **dict.fromkeys((Kind.DELETED, Kind.FINISHED_DELETE, Kind.FORGOTTEN), "session.deleted"),
    Kind.EXPIRING: "session.expiring",
    Kind.EXPIRED: "session.expired",
}
"""What clients are told of (docs/live-events.md), by the lines of the history."""
_STATE = select(sender.c.account_id, session.c.state).outerjoin(session, session.c.sender_id == sender.c.id)


class Diary:
    """Collects the lines of one transaction, to be told when it has been committed.

    Use it around the transaction: `async with db.write() as tx: ... await diary.note(tx, ...)`, then `diary.tell(bus)`.
    """

    def __init__(self) -> None:
        self._noted: list[SessionNoted] = []

    async def note(self, tx: AsyncConnection, sender_id: int, number: str, kind: Kind, reason: str, at: float) -> None:
        """Write one line; `at` is in epoch seconds of the database's clock."""
        await tx.execute(insert(session_event).values(sender_id=sender_id, at=at, kind=kind, reason=reason))
        if kind in TOLD:
            await _tell(tx, sender_id, number, kind, reason, at)
        self._noted.append(SessionNoted(sender_id, number, kind, reason, at))

    def tell(self, bus: EventBus) -> None:
        """Publish what was noted; call it after the commit."""
        noted, self._noted = self._noted, []
        for line in noted:
            bus.publish(line)


async def _tell(tx: AsyncConnection, sender_id: int, number: str, kind: Kind, reason: str, at: float) -> None:
    """Tell clients; call it after the session's change, whose outcome is told with it."""
    row = (await tx.execute(_STATE.where(sender.c.id == sender_id))).one()
    state = "NOT_FOUND" if TOLD[kind] == "session.deleted" else row.state
    data = {"sender_number": f"+{number}", "state": state, "reason": reason, "at": as_text(at)}
    await tell(tx, [Fact(TOLD[kind], row.account_id, data, sender_number=number, at=at)])


async def page(connection: AsyncConnection, sender_id: int, offset: int, limit: int) -> tuple[Sequence[AnyRow], int]:
    """Some lines of a session's history, newest first (columns: id, at, kind, reason), and how many there are."""
    mine = session_event.c.sender_id == sender_id
    rows = await connection.execute(
        select(session_event.c.id, session_event.c.at, session_event.c.kind, session_event.c.reason)
        .where(mine)
        .order_by(session_event.c.id.desc())
        .offset(offset)
        .limit(limit)
    )
    total = (await connection.execute(select(func.count()).select_from(session_event).where(mine))).scalar_one()
    return rows.all(), total


async def forget_old(db: Database, now: float) -> None:
    """Remove lines older than 90 days."""
    async with db.write(bulk=True) as tx:
        await tx.execute(delete(session_event).where(session_event.c.at < now - KEEP_SECONDS))

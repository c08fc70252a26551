"""WhatsApp's own limits on a sender: the lock on writing to new contacts, and the quota of new chats.

A lock holds for the *number*, so it is in the sender's row and outlives sessions and restarts. WhatsApp tells its
end, or only refuses (463). For a refusal without an end we choose one: an hour, and twice as long for each further one
after it, at most a day. `lock_strikes` counts these; it is 0 where the end was told. While a lock holds nothing is
tried against it: what is refused meanwhile (a send that was under way) says nothing new and does not lengthen it.

All functions work inside the caller's transaction; times are epoch seconds of the database's clock.
"""

import orjson
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.db import AnyRow, table_of
from gateway.waha.schemas import JsonObject, Me, Timelock
from sessions.history import Diary, Kind
from sessions.models import Sender, Session

sender = table_of(Sender)
session = table_of(Session)

FIRST_LOCK_SECONDS = 3600.0
LONGEST_LOCK_SECONDS = 86_400.0
MARGIN_SECONDS = 1.0
"""WhatsApp tells the end in whole seconds: a try at the very second may still be refused."""

LIMIT_COLUMNS = (sender.c.number, sender.c.locked_until, sender.c.lock_strikes, session.c.sender_id, session.c.capping)
"""What a row must have for `note_me`."""


def untold_lock_seconds(strikes: int) -> float:
    """How long a lock without a told end lasts, after `strikes` of them in a row before this one."""
    return min(FIRST_LOCK_SECONDS * 2.0 ** min(strikes, 16), LONGEST_LOCK_SECONDS)


async def lock(
    tx: AsyncConnection, sender_id: int, number: str, until: float | None, reason: str, now: float, diary: Diary
) -> float:
    """Let a sender write to nobody new until then; returns the end of the lock that holds now.

    `until` is what WhatsApp told. With None, or a time that is over, we choose one, unless a lock holds already.
    """
    row = (
        await tx.execute(
            select(sender.c.locked_until, sender.c.lock_strikes).where(sender.c.id == sender_id).with_for_update()
        )
    ).one()
    if until is not None and until > now:
        ends_at, strikes = until, 0
    elif row.locked_until > now:
        return float(row.locked_until)
    else:
        ends_at, strikes = now + untold_lock_seconds(row.lock_strikes), row.lock_strikes + 1
    if (row.locked_until, row.lock_strikes) == (ends_at, strikes):
        return ends_at
    await tx.execute(
        update(sender)
        .where(sender.c.id == sender_id)
        .values(locked_until=ends_at, lock_strikes=strikes, lock_reason=reason)
    )
    await diary.note(tx, sender_id, number, Kind.LOCKED, reason, now)
    return ends_at


async def unlock(tx: AsyncConnection, sender_id: int, number: str, reason: str, now: float, diary: Diary) -> None:
    """End a lock before its time; does nothing where none holds."""
    done = await tx.execute(
        update(sender)
        .where(sender.c.id == sender_id, sender.c.locked_until > now)
        .values(locked_until=0.0, lock_reason="")
    )
    if done.rowcount:
        await diary.note(tx, sender_id, number, Kind.UNLOCKED, reason, now)


async def forgive(tx: AsyncConnection, sender_ids: list[int], now: float) -> None:
    """A message to somebody new has left since the lock: the next one without an end begins at an hour again."""
    await tx.execute(
        update(sender).where(sender.c.id.in_(sender_ids), sender.c.locked_until <= now).values(lock_strikes=0)
    )


async def note_me(tx: AsyncConnection, row: AnyRow, me: Me, now: float, diary: Diary) -> None:
    """Take over what WAHA tells of a session's limits; `row` has `LIMIT_COLUMNS`. Writes only what differs from it.

    Where WAHA says that there is no lock, only one that it had told is ended: after a refusal without an end its word
    may be older than the refusal, or the refusal had another cause, and trying would make it worse.
    """
    if me.timelock is not None:
        await _note_timelock(tx, row, me.timelock, now, diary)
    if me.capping is not None and (capping := canonical(me.capping)) != row.capping:
        await tx.execute(update(session).where(session.c.sender_id == row.sender_id).values(capping=capping))


def changes(row: AnyRow, me: Me | None, now: float) -> bool:
    """Whether `note_me` would write anything: lets a sweep over many sessions do without transactions."""
    if me is None:
        return False
    if me.capping is not None and canonical(me.capping) != row.capping:
        return True
    return me.timelock is not None and _lock_after(row, me.timelock, now) != row.locked_until


def canonical(told: JsonObject) -> str:
    """A quota as it is stored: the same content is the same text."""
    return orjson.dumps(dict(told), option=orjson.OPT_SORT_KEYS).decode()


def told_end(timelock: Timelock | None, now: float) -> float | None:
    """Until when a lock that WAHA tells lets nobody new be written to; None where it tells no end to come."""
    if timelock is None or not timelock.is_active or timelock.ends_at is None:
        return None
    ends_at = timelock.ends_at + MARGIN_SECONDS
    return ends_at if ends_at > now else None


def _lock_after(row: AnyRow, timelock: Timelock, now: float) -> float:
    """The value that the lock's end should have; the row's own where it stays."""
    held: float = row.locked_until
    if timelock.is_active:
        told = told_end(timelock, now)
        if told is not None:
            return told
        stays = held > now or timelock.ends_at is not None  # one whose told end is over is over
        return held if stays else now + FIRST_LOCK_SECONDS
    was_told = held > now and row.lock_strikes == 0
    return 0.0 if was_told else held


async def _note_timelock(tx: AsyncConnection, row: AnyRow, timelock: Timelock, now: float, diary: Diary) -> None:
    ends_at = _lock_after(row, timelock, now)
    if ends_at == row.locked_until:
        return
    if ends_at > now:
        kind = f" ({timelock.enforcement})" if timelock.enforcement else ""
        reason = f"WhatsApp lets this number write to nobody new for now{kind}"
        await lock(tx, row.sender_id, row.number, ends_at, reason, now, diary)
    else:
        await unlock(tx, row.sender_id, row.number, "WhatsApp has lifted its lock on new contacts", now, diary)

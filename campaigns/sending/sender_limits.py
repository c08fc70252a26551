"""What an operator sets for one sender: its own delay, its daily cap, and the time zone in which its day ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import queries
from campaigns.sending.caps import day_end, zone_of_number
from campaigns.sending.delays import pace_anew
from campaigns.sending.lanes import read_delays
from campaigns.sending.tables import lane, sender
from gateway.db import AnyRow, Database, read_now
from gateway.errors import NotFound
from gateway.events import DelaysChanged, EventBus

CAP_CODES = ("daily_cap", "hourly_cap")
"""Why a lane rests whose sender has sent as much as it may."""


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """One sender's own values (None: the general one holds), those that hold, and what it has sent today.

    `day_ends_at` is when `sent_today` begins anew, in epoch seconds; 0 where nothing was sent today.
    """

    number: str
    message_delay: float | None
    effective_message_delay: float
    daily_cap: int | None
    effective_daily_cap: int
    timezone: str | None
    effective_timezone: str
    sent_today: int
    day_ends_at: float


class SenderLimitService:
    """Reads and sets the limits of single senders; `daily_cap` is the general one (0: none)."""

    def __init__(self, db: Database, bus: EventBus, *, daily_cap: int) -> None:
        self._db = db
        self._bus = bus
        self._daily_cap = daily_cap

    async def get(self, number: str) -> SenderLimits:
        """One sender's limits; raises `NotFound` for a number that is no sender."""
        async with self._db.read() as connection:
            return await self._read(connection, number)

    async def change(self, number: str, changes: Mapping[str, Any]) -> SenderLimits:
        """Set some of `message_delay`, `daily_cap` and `timezone` (None: the general one again), at once.

        Whoever rests because it has sent enough is looked at anew. In another time zone today ends at another time,
        and what was sent today still counts.
        """
        async with self._db.write() as tx:
            sender_id = (await tx.execute(select(sender.c.id).where(sender.c.number == number))).scalar_one_or_none()
            if sender_id is None:
                raise NotFound("there is no sender of this number")
            await queries.ensure_lanes(tx, [sender_id])
            row = (await tx.execute(select(lane).where(lane.c.sender_id == sender_id).with_for_update())).one()
            values = _new_values(row, number, changes, await read_now(tx))
            await tx.execute(update(lane).where(lane.c.sender_id == sender_id).values(**values))
            await pace_anew(tx, sender_id)
            limits = await self._read(tx, number)
        self._bus.publish(DelaysChanged())
        return limits

    async def _read(self, connection: AsyncConnection, number: str) -> SenderLimits:
        row = (await queries.senders_by_number(connection, [number])).get(number)
        if row is None:
            raise NotFound("there is no sender of this number")
        general = (await read_delays(connection)).message
        return limits_of(row, general, self._daily_cap, await read_now(connection))


def limits_of(row: AnyRow, general_delay: float, general_cap: int, now: float) -> SenderLimits:
    """A sender's limits, from its number and what its lane's row says (nulls where it has none yet)."""
    today = row.day_ends_at is not None and row.day_ends_at > now
    return SenderLimits(
        number=row.number,
        message_delay=row.message_delay,
        effective_message_delay=general_delay if row.message_delay is None else row.message_delay,
        daily_cap=row.daily_cap,
        effective_daily_cap=general_cap if row.daily_cap is None else row.daily_cap,
        timezone=row.timezone or None,
        effective_timezone=row.timezone or zone_of_number(row.number),
        sent_today=row.sent_today if today else 0,
        day_ends_at=row.day_ends_at if today else 0.0,
    )


def _new_values(row: AnyRow, number: str, changes: Mapping[str, Any], now: float) -> dict[str, Any]:
    values = dict(changes)
    if "timezone" in changes:
        values["timezone"] = zone = changes["timezone"] or ""
        if zone != row.timezone and row.day_ends_at > now:
            values["day_ends_at"] = day_end(now, zone or zone_of_number(number))
    if row.resting_code in CAP_CODES and {"daily_cap", "timezone"} & set(changes):
        values |= {"resting_until": 0.0, "resting_code": ""}
    return values

"""The delays that an admin sets while the gateway runs, for all senders or for one."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending import queries
from campaigns.sending.lanes import MESSAGE_DELAY, SENDER_SWITCH_DELAY, read_delays, recompute_due
from campaigns.sending.models import IDLE
from campaigns.sending.pacing import Delays, ready_at
from campaigns.sending.tables import lane, sender
from gateway.db import Database, read_now
from gateway.errors import NotFound
from gateway.events import DelaysChanged, EventBus
from gateway.patience import write_patiently


@dataclass(frozen=True, slots=True)
class SenderDelay:
    """One sender's delay; `own` is None where the general one holds."""

    number: str
    own: float | None
    general: float


class DelayService:
    """Reads and sets the delays; a change is felt by every waiting lane within a second."""

    def __init__(self, db: Database, bus: EventBus) -> None:
        self._db = db
        self._bus = bus

    async def seed(self, delays: Delays) -> None:
        """At first start the settings give the delays; afterwards the database does."""

        async def put(tx: AsyncConnection) -> None:
            await queries.put_setting(tx, MESSAGE_DELAY, delays.message, overwrite=False)
            await queries.put_setting(tx, SENDER_SWITCH_DELAY, delays.switch, overwrite=False)

        await write_patiently(self._db, put, "seeding delays")

    async def get(self) -> Delays:
        """The general delays."""
        async with self._db.read() as connection:
            return await read_delays(connection)

    async def set(self, message: float | None, switch: float | None) -> Delays:
        """Change one or both; None leaves as it is."""
        async with self._db.write() as tx:
            if message is not None:
                await queries.put_setting(tx, MESSAGE_DELAY, message)
            if switch is not None:
                await queries.put_setting(tx, SENDER_SWITCH_DELAY, switch)
            await recompute_due(tx)
            delays = await read_delays(tx)
        self._bus.publish(DelaysChanged())
        return delays

    async def get_for(self, number: str) -> SenderDelay:
        """One sender's delay; raises `NotFound` for a number that is no sender."""
        async with self._db.read() as connection:
            row = (
                await connection.execute(
                    select(sender.c.id, lane.c.message_delay)
                    .outerjoin(lane, lane.c.sender_id == sender.c.id)
                    .where(sender.c.number == number)
                )
            ).first()
            if row is None:
                raise NotFound("there is no sender of this number")
            return SenderDelay(number, row.message_delay, (await read_delays(connection)).message)

    async def set_for(self, number: str, message: float | None) -> SenderDelay:
        """Give one sender a delay of its own; None: the general one again."""
        async with self._db.write() as tx:
            sender_id = (await tx.execute(select(sender.c.id).where(sender.c.number == number))).scalar_one_or_none()
            if sender_id is None:
                raise NotFound("there is no sender of this number")
            await queries.ensure_lanes(tx, [sender_id])
            await tx.execute(update(lane).where(lane.c.sender_id == sender_id).values(message_delay=message))
            await pace_anew(tx, sender_id)
            general = (await read_delays(tx)).message
        self._bus.publish(DelaysChanged())
        return SenderDelay(number, message, general)


async def pace_anew(tx: AsyncConnection, sender_id: int) -> None:
    """Give one lane that waits its time anew; its row is locked by this transaction.

    No other lane is looked at: whoever locks several does so in their order.
    """
    row = (await tx.execute(select(lane).where(lane.c.sender_id == sender_id))).one()
    if row.owner is None and row.message_id is None and row.due_at < IDLE:
        delay = (await read_delays(tx)).message if row.message_delay is None else row.message_delay
        due_at = max(await read_now(tx), ready_at(row.last_answer_at, delay, row.extra_delay))
        await tx.execute(update(lane).where(lane.c.sender_id == sender_id).values(due_at=due_at))

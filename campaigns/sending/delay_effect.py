"""What other delays would mean for the campaigns that are under way: told before anything is changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.lanes import read_delays
from campaigns.sending.models import CampaignState
from campaigns.sending.pacing import Delays
from campaigns.sending.status import StatusReader
from campaigns.sending.tables import campaign
from gateway.db import AnyRow, Database, read_now

MOST_CAMPAIGNS = 20
"""So many are foretold, the oldest first; of the others there is only the number."""
_UNDER_WAY = (CampaignState.QUEUED, CampaignState.RUNNING)


@dataclass(frozen=True, slots=True)
class Effect:
    """One campaign: when it will be done under the delays that hold, and when under the others (epoch seconds)."""

    row: AnyRow
    finish_now: float | None
    finish_then: float | None


@dataclass(frozen=True, slots=True)
class DelayEffect:
    """The delays asked about, the campaigns that were looked at, and how many are under way."""

    delays: Delays
    campaigns: Sequence[Effect]
    total: int


class DelayEffectReader:
    """Foretells what delays would do; nothing is changed."""

    def __init__(self, db: Database, status: StatusReader) -> None:
        self._db = db
        self._status = status

    async def of(self, message: float | None, switch: float | None) -> DelayEffect:
        """The effect of these delays, in seconds; None: as it is now."""
        async with self._db.read() as connection:
            present = await read_delays(connection)
            delays = replace(
                present,
                message=present.message if message is None else message,
                switch=present.switch if switch is None else switch,
            )
            rows, total = await _under_way(connection)
            now = await read_now(connection)
            effects = [
                Effect(
                    row,
                    await self._status.finish_at(connection, row, present, now),
                    await self._status.finish_at(connection, row, delays, now),
                )
                for row in rows
            ]
        return DelayEffect(delays, effects, total)


async def _under_way(connection: AsyncConnection) -> tuple[Sequence[AnyRow], int]:
    where = (campaign.c.finished_at.is_(None), campaign.c.state.in_(_UNDER_WAY), campaign.c.total > 0)
    waiting = campaign.c.n_queued + campaign.c.n_sending > 0
    rows = await connection.execute(
        select(campaign).where(*where, waiting).order_by(campaign.c.created_at, campaign.c.id).limit(MOST_CAMPAIGNS)
    )
    total = await connection.execute(select(func.count()).select_from(campaign).where(*where, waiting))
    return rows.all(), total.scalar_one()

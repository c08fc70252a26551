"""What could be sent now, as the tables tell it: for who runs a replica only until there is nothing more to do."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import CampaignState
from campaigns.sending.tables import campaign
from gateway.db import read_now

_RUNS = campaign.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING))


@dataclass(frozen=True, slots=True)
class Due:
    """Messages whose time has come and that wait, messages in flight, and schedules that are to begin."""

    waiting: int
    in_flight: int
    starting: int

    def __bool__(self) -> bool:
        return bool(self.waiting or self.in_flight or self.starting)


async def read_due(connection: AsyncConnection) -> Due:
    """What is due on the database's clock. Paused campaigns, and those whose hours are over for now, wait for later."""
    now = await read_now(connection)
    is_open = and_(_RUNS, campaign.c.opens_at <= now, campaign.c.closes_at > now)
    has_time_come = or_(campaign.c.next_at.is_(None), campaign.c.next_at <= now)
    query = select(
        func.coalesce(func.sum(campaign.c.n_queued).filter(is_open, has_time_come), 0),
        func.coalesce(func.sum(campaign.c.n_sending), 0),
        func.count().filter(campaign.c.state == CampaignState.SCHEDULED, campaign.c.alarm_at <= now),
    ).where(or_(_RUNS, campaign.c.n_sending > 0, campaign.c.state == CampaignState.SCHEDULED))
    waiting, in_flight, starting = (await connection.execute(query)).one()
    return Due(int(waiting), int(in_flight), int(starting))

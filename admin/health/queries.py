"""SQL of the health checks: each is a handful of counts, and none reads a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.tables import campaign, campaign_sender, lane, server, session
from gateway.db import APPLICATION, AnyRow
from sessions.models import SessionState

_OPEN = select(campaign_sender.c.campaign_id).where(text("open"))  # a partial index has them: also of many campaigns
_QUEUED = select(func.coalesce(func.sum(campaign.c.n_queued), 0)).where(campaign.c.id.in_(_OPEN))
_DUE = select(func.count()).select_from(lane).where(lane.c.owner.is_(None), lane.c.due_at <= func.gateway_now())
_LANES = select(func.count()).select_from(lane)
_QUEUE = select(
    _QUEUED.scalar_subquery().label("queued"),
    _DUE.scalar_subquery().label("due"),
    _LANES.scalar_subquery().label("lanes"),
)
_HELD = select(lane.c.owner, func.count()).where(lane.c.owner.is_not(None))
_WORKERS = text(
    "SELECT DISTINCT application_name FROM pg_stat_activity "
    "WHERE datname = current_database() AND starts_with(application_name, :begin)"
)
_SERVERS = select(server.c.id, server.c.name, server.c.up, server.c.last_seen_at, server.c.draining)
_SESSIONS = select(session.c.server_id, session.c.state, func.count()).group_by(session.c.server_id, session.c.state)


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The queue of all replicas: messages of begun campaigns that wait, lanes, lanes due, and lanes held by replica."""

    queued: int
    due: int
    lanes: int
    held: dict[str, int]
    replicas: list[str]


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One WAHA server: whether it answers, when it last did (epoch seconds), its sessions, and those connected."""

    name: str
    up: bool
    draining: bool
    last_seen_at: float | None
    sessions: int
    connected: int


async def read_queue(connection: AsyncConnection, replica: str) -> QueueFigures:
    """How much is waiting and under way, and which replicas there are: `replica`, and all that are connected."""
    row = (await connection.execute(_QUEUE)).one()
    held = {row[0]: row[1] for row in await connection.execute(_HELD.group_by(lane.c.owner))}
    replicas = {replica}
    if connection.dialect.name == "postgresql":
        names: Sequence[str] = (await connection.execute(_WORKERS, {"begin": APPLICATION})).scalars().all()
        replicas |= {name.removeprefix(APPLICATION) for name in names}
    return QueueFigures(int(row.queued), row.due, row.lanes, held, sorted(replicas))


async def read_servers(connection: AsyncConnection) -> list[ServerFigures]:
    """Every WAHA server, in the order of their names."""
    rows: Sequence[AnyRow] = (await connection.execute(_SERVERS.order_by(server.c.name))).all()
    counts: dict[str, dict[str, int]] = {}
    for server_id, state, count in await connection.execute(_SESSIONS):
        counts.setdefault(server_id, {})[state] = count
    return [
        ServerFigures(
            name=row.name,
            up=row.up,
            draining=row.draining,
            last_seen_at=row.last_seen_at,
            sessions=sum(counts.get(row.id, {}).values()),
            connected=counts.get(row.id, {}).get(SessionState.CONNECTED, 0),
        )
        for row in rows
    ]

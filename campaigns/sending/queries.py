"""SQL of campaigns and their messages, apart from the queue's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import IDLE, CampaignState, MessageState
from campaigns.sending.tables import (
    campaign,
    campaign_sender,
    idempotency_key,
    lane,
    message,
    sender,
    server,
    session,
    setting,
)
from gateway.db import AnyRow

INSERT_CHUNK = 5000
_NEW_LANE = {
    "extra_delay": 0.0,
    "day": 0,
    "sent_today": 0,
    "sent_total": 0,
    "resting_until": 0.0,
    "resting_code": "",
}
COUNTERS = ("queued", "sending", "sent", "delivered", "read", "unconfirmed", "failed", "skipped", "cancelled")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which campaigns a list shows; None or empty shows all."""

    number: str | None = None
    states: Sequence[str] = ()
    search: str = ""
    created_from: float | None = None
    created_to: float | None = None


def _sends_through(number: str) -> ColumnElement[bool]:
    return exists(
        select(campaign_sender.c.campaign_id)
        .join(sender, sender.c.id == campaign_sender.c.sender_id)
        .where(campaign_sender.c.campaign_id == campaign.c.id, sender.c.number == number)
    )


async def find_campaign(connection: AsyncConnection, campaign_id: str, number: str | None) -> AnyRow | None:
    """A campaign by its id; with `number` only one that this sender takes part in."""
    query = select(campaign).where(campaign.c.id == campaign_id)
    if number is not None:
        query = query.where(_sends_through(number))
    return (await connection.execute(query)).first()


async def list_campaigns(
    connection: AsyncConnection, filters: Filters, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of campaigns, newest first, and how many there are."""
    where: list[ColumnElement[bool]] = []
    if filters.number is not None:
        where.append(_sends_through(filters.number))
    if filters.states:
        where.append(campaign.c.state.in_(filters.states))
    if filters.search:
        where.append(campaign.c.name.icontains(filters.search, autoescape=True))
    if filters.created_from is not None:
        where.append(campaign.c.created_at >= filters.created_from)
    if filters.created_to is not None:
        where.append(campaign.c.created_at < filters.created_to)
    condition = and_(True, *where)
    rows = await connection.execute(
        select(campaign)
        .where(condition)
        .order_by(campaign.c.created_at.desc(), campaign.c.id.desc())
        .offset(offset)
        .limit(limit)
    )
    total = await connection.execute(select(func.count()).select_from(campaign).where(condition))
    return rows.all(), total.scalar_one()


async def numbers_of(connection: AsyncConnection, campaign_ids: Sequence[str]) -> dict[str, list[str]]:
    """The senders' numbers of each campaign, in the order of their turns."""
    found: dict[str, list[str]] = {campaign_id: [] for campaign_id in campaign_ids}
    rows = await connection.execute(
        select(campaign_sender.c.campaign_id, sender.c.number)
        .join(sender, sender.c.id == campaign_sender.c.sender_id)
        .where(campaign_sender.c.campaign_id.in_(campaign_ids))
        .order_by(campaign_sender.c.campaign_id, campaign_sender.c.position)
    )
    for row in rows:
        found[row.campaign_id].append(row.number)
    return found


async def lanes_of(connection: AsyncConnection, campaign_id: str) -> Sequence[AnyRow]:
    """A campaign's senders in turn, with their lanes and sessions."""
    rows = await connection.execute(
        select(
            sender.c.id.label("sender_id"),
            sender.c.number,
            sender.c.locked_until,
            lane.c.due_at,
            message.c.uncertain_at,
            message.c.started_at.label("uncertain_since"),
            server.c.engine,
            lane.c.last_answer_at,
            lane.c.message_delay,
            lane.c.extra_delay,
            lane.c.resting_until,
            lane.c.resting_code,
            session.c.state,
            server.c.up,
        )
        .select_from(
            campaign_sender.join(sender, sender.c.id == campaign_sender.c.sender_id)
            .join(lane, lane.c.sender_id == sender.c.id)
            .outerjoin(message, message.c.id == lane.c.message_id)
            .outerjoin(session, session.c.sender_id == sender.c.id)
            .outerjoin(server, server.c.id == session.c.server_id)
        )
        .where(campaign_sender.c.campaign_id == campaign_id)
        .order_by(campaign_sender.c.position)
    )
    return rows.all()


def _messages(campaign_id: str) -> Select[*tuple[Any, ...]]:
    return (
        select(message, sender.c.number.label("sender_number"))
        .outerjoin(sender, sender.c.id == message.c.sender_id)
        .where(message.c.campaign_id == campaign_id)
    )


async def list_messages(
    connection: AsyncConnection, campaign_id: str, states: Sequence[str], offset: int, limit: int
) -> Sequence[AnyRow]:
    """A page of a campaign's messages in their order; of some states only, if any are named."""
    query = _messages(campaign_id)
    if states:
        query = query.where(message.c.state.in_(states))
    return (await connection.execute(query.order_by(message.c.seq).offset(offset).limit(limit))).all()


async def find_message(connection: AsyncConnection, campaign_id: str, message_id: str) -> AnyRow | None:
    """One message of a campaign."""
    return (await connection.execute(_messages(campaign_id).where(message.c.id == message_id))).first()


async def first_queued(connection: AsyncConnection, campaign_id: str) -> int | None:
    """The place of the first message that waits."""
    query = select(func.min(message.c.seq)).where(message.c.campaign_id == campaign_id, message.c.state == "queued")
    first: int | None = (await connection.execute(query)).scalar_one_or_none()
    return first


async def senders_by_number(connection: AsyncConnection, numbers: Sequence[str]) -> dict[str, AnyRow]:
    """Senders with the state of their sessions (None: no session), by number."""
    rows = await connection.execute(
        select(
            sender.c.id,
            sender.c.number,
            sender.c.locked_until,
            session.c.state,
            server.c.up,
            lane.c.message_delay,
        )
        .select_from(
            sender.outerjoin(session, session.c.sender_id == sender.c.id)
            .outerjoin(server, server.c.id == session.c.server_id)
            .outerjoin(lane, lane.c.sender_id == sender.c.id)
        )
        .where(sender.c.number.in_(numbers))
    )
    return {row.number: row for row in rows}


async def ensure_lanes(tx: AsyncConnection, sender_ids: Sequence[int]) -> None:
    """Give each sender a lane, where it has none."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    await tx.execute(
        upsert(lane).on_conflict_do_nothing(index_elements=["sender_id"]),
        [{"sender_id": sender_id, "due_at": IDLE, "epoch": 0, **_NEW_LANE} for sender_id in sender_ids],
    )


async def insert_messages(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store messages, some thousands at a time."""
    for start in range(0, len(rows), INSERT_CHUNK):
        await tx.execute(insert(message), rows[start : start + INSERT_CHUNK])


_SENDS_ON = (  # built once: the keeper asks after every sweep
    select(lane.c.sender_id, lane.c.sent_total, lane.c.last_answer_at, lane.c.message_id)
    .join(session, session.c.sender_id == lane.c.sender_id)
    .where(session.c.server_id == bindparam("b_server"))
)


async def sends_on(connection: AsyncConnection, server_id: str) -> Sequence[AnyRow]:
    """What has left through each sender of a server (columns: sender_id, sent_total, last_answer_at)."""
    return (await connection.execute(_SENDS_ON, {"b_server": server_id})).all()


async def is_in_flight(connection: AsyncConnection, sender_id: int) -> bool:
    """Whether a message of this sender is under way, or nobody knows what has become of it."""
    held = (await connection.execute(select(lane.c.message_id).where(lane.c.sender_id == sender_id))).scalar()
    return held is not None


async def set_state(
    tx: AsyncConnection, campaign_id: str, before: Sequence[str], after: CampaignState, **values: Any
) -> bool:
    """Move a campaign's state by compare-and-set; False if it was in none of `before`."""
    result = await tx.execute(
        update(campaign).where(campaign.c.id == campaign_id, campaign.c.state.in_(before)).values(state=after, **values)
    )
    return result.rowcount == 1


async def cancel_queued(tx: AsyncConnection, campaign_id: str, now: float) -> int:
    """Cancel what waits; what is on its way is settled by its lane. Returns how many."""
    result = await tx.execute(
        update(message)
        .where(message.c.campaign_id == campaign_id, message.c.state == "queued")
        .values(state=MessageState.CANCELLED, finished_at=now)
    )
    await tx.execute(
        update(campaign)
        .where(campaign.c.id == campaign_id)
        .values(n_queued=campaign.c.n_queued - result.rowcount, n_cancelled=campaign.c.n_cancelled + result.rowcount)
    )
    return result.rowcount


async def find_answer(connection: AsyncConnection, scope: str, key: str) -> AnyRow | None:
    """The answer that was given to an idempotency key."""
    query = select(idempotency_key).where(idempotency_key.c.scope == scope, idempotency_key.c.key == key)
    return (await connection.execute(query)).first()


async def keep_answer(tx: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """Store the answer to a key; False if somebody else was first."""
    upsert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = upsert(idempotency_key).values(**values).on_conflict_do_nothing(index_elements=["scope", "key"])
    return (await tx.execute(statement)).rowcount == 1


async def put_setting(tx: AsyncConnection, key: str, value: float, *, overwrite: bool = True) -> None:
    """Store a number that an admin may change."""
    upsert = (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(setting).values(
        key=key, value=value
    )
    if overwrite:
        upsert = upsert.on_conflict_do_update(index_elements=["key"], set_={"value": value})
    else:
        upsert = upsert.on_conflict_do_nothing(index_elements=["key"])
    await tx.execute(upsert)

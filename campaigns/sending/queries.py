"""SQL of campaigns and their messages, apart from the queue's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Case,
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.sending.models import IDLE, CampaignState, MessageState
from campaigns.sending.tables import (
    campaign,
    campaign_sender,
    lane,
    message,
    sender,
    server,
    session,
    setting,
)
from campaigns.sending.telling import Settled, tell_of_messages
from gateway.auth.access import Scope
from gateway.db import AnyRow

_NEW_LANE = {
    "extra_delay": 0.0,
    "timezone": "",
    "day_ends_at": 0.0,
    "sent_today": 0,
    "slice_at": 0.0,
    "slice_sent": 0,
    "slices": "[]",
    "sent_total": 0,
    "resting_until": 0.0,
    "resting_code": "",
}
COUNTERS = ("queued", "sending", "sent", "delivered", "read", "unconfirmed", "failed", "skipped", "cancelled")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which campaigns a list shows; None or empty shows all."""

    scope: Scope | None = None
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


def _within(scope: Scope | None) -> list[ColumnElement[bool]]:
    """That a campaign is its account's, and that its number takes part in it."""
    where: list[ColumnElement[bool]] = []
    if scope is not None and scope.account_id is not None:
        where.append(campaign.c.account_id == scope.account_id)
    if scope is not None and scope.number is not None:
        where.append(_sends_through(scope.number))
    return where


async def find_campaign(connection: AsyncConnection, campaign_id: str, scope: Scope | None) -> AnyRow | None:
    """A campaign by its id; None also where it is not within the scope."""
    return (await connection.execute(select(campaign).where(campaign.c.id == campaign_id, *_within(scope)))).first()


def campaign_values(row: AnyRow) -> dict[str, Any]:
    """A campaign's row as plain values, so that it can be kept as an answer."""
    return dict(row._mapping)


async def list_campaigns(
    connection: AsyncConnection, filters: Filters, offset: int, limit: int
) -> tuple[Sequence[AnyRow], int]:
    """A page of campaigns, newest first, and how many there are."""
    where = _within(filters.scope)
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


async def lanes_of(connection: AsyncConnection, row: AnyRow, switch_delay: float, now: float) -> Sequence[AnyRow]:
    """A campaign's senders in turn, with their lanes and sessions.

    `yields` tells that another campaign with a higher priority has something that may leave through the lane now.
    """
    theirs, other = campaign_sender.alias(), campaign.alias()
    rested = and_(other.c.in_flight == 0, other.c.last_answer_at <= now - switch_delay)
    may_switch = or_(other.c.senders == 1, other.c.last_answer_at.is_(None), rested) if switch_delay > 0 else true()
    queued = message.alias("waiting")
    something = (
        select(queued.c.id)
        .where(
            queued.c.campaign_id == other.c.id,
            literal_column("waiting.state = 'queued'"),
            queued.c.not_before <= now,
            or_(queued.c.sender_id.is_(None), queued.c.sender_id == sender.c.id),
        )
        .correlate(other, sender)
    )
    yields = exists(
        select(theirs.c.sender_id)
        .select_from(theirs.join(other, other.c.id == theirs.c.campaign_id))
        .where(
            theirs.c.sender_id == sender.c.id,
            theirs.c.open,
            other.c.priority > row.priority,
            other.c.state.in_((CampaignState.QUEUED, CampaignState.RUNNING)),
            other.c.n_queued > 0,
            other.c.opens_at <= now,
            other.c.closes_at > now,
            or_(other.c.next_at.is_(None), other.c.next_at <= now),
            may_switch,
            exists(something),
        )
    )
    rows = await connection.execute(
        select(
            sender.c.id.label("sender_id"),
            sender.c.number,
            sender.c.locked_until,
            lane.c.due_at,
            lane.c.message_id,
            yields.label("yields"),
            message.c.uncertain_at,
            message.c.started_at.label("uncertain_since"),
            server.c.engine,
            lane.c.last_answer_at,
            lane.c.message_delay,
            lane.c.extra_delay,
            lane.c.resting_until,
            lane.c.resting_code,
            lane.c.timezone,
            lane.c.daily_cap,
            lane.c.day_ends_at,
            lane.c.sent_today,
            session.c.state,
            session.c.moving_to,
            server.c.up,
        )
        .select_from(
            campaign_sender.join(sender, sender.c.id == campaign_sender.c.sender_id)
            .join(lane, lane.c.sender_id == sender.c.id)
            .outerjoin(message, message.c.id == lane.c.message_id)
            .outerjoin(session, session.c.sender_id == sender.c.id)
            .outerjoin(server, server.c.id == session.c.server_id)
        )
        .where(campaign_sender.c.campaign_id == row.id)
        .order_by(campaign_sender.c.position)
    )
    return rows.all()


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
            lane.c.timezone,
            lane.c.daily_cap,
            lane.c.day_ends_at,
            lane.c.sent_today,
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
    """Store messages."""
    await tx.execute(insert(message), rows)


_OLDEST = select(message.c.campaign_id).order_by(message.c.campaign_id).limit(1)
_BESIDE = select(campaign.c.id).where(campaign.c.id == message.c.campaign_id).correlate(message)


async def left_over(connection: AsyncConnection, before: str) -> Sequence[str]:
    """The ids below `before` under which there are messages, but no campaign.

    From one campaign's messages the index leads to the next one's, so the cost is that of counting campaigns.
    """
    seen = select(_OLDEST.scalar_subquery().label("id")).cte("seen", recursive=True)
    following = _OLDEST.where(message.c.campaign_id > seen.c.id).correlate(seen).scalar_subquery()
    seen = seen.union_all(select(following).where(seen.c.id < before))
    gone = ~exists(select(campaign.c.id).where(campaign.c.id == seen.c.id))
    return (await connection.execute(select(seen.c.id).where(seen.c.id < before, gone))).scalars().all()


async def delete_left_over(tx: AsyncConnection, campaign_id: str, limit: int) -> int:
    """Delete up to `limit` messages of a campaign, if there is no such campaign; returns how many."""
    some = select(message.c.id).where(message.c.campaign_id == campaign_id).limit(limit)
    result = await tx.execute(delete(message).where(message.c.id.in_(some), ~exists(_BESIDE)))
    return result.rowcount


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
    tx: AsyncConnection, campaign_id: str, before: Sequence[str], after: CampaignState | Case[str], **values: Any
) -> bool:
    """Move a campaign's state by compare-and-set; False if it was in none of `before`."""
    result = await tx.execute(
        update(campaign).where(campaign.c.id == campaign_id, campaign.c.state.in_(before)).values(state=after, **values)
    )
    return result.rowcount == 1


async def lock_campaign(tx: AsyncConnection, campaign_id: str) -> str | None:
    """A campaign's state, which stays as it is until this transaction ends; None where there is no such campaign."""
    found = await tx.execute(select(campaign.c.state).where(campaign.c.id == campaign_id).with_for_update())
    return found.scalar()


async def end_queued(
    tx: AsyncConnection,
    campaign_id: str,
    state: MessageState,
    code: str,
    reason: str,
    now: float,
    *,
    limit: int,
    where: Sequence[ColumnElement[bool]] = (),
) -> int:
    """Cancel or skip the first `limit` messages of a campaign that wait, and count them; returns how many there were.

    What is skipped is told; what is cancelled follows from the campaign's end, which is.
    `where` limits it to some of them. Nobody else may write meanwhile on SQLite: a long campaign is ended in many
    transactions.
    """
    some = (
        select(message.c.id)
        .where(message.c.campaign_id == campaign_id, literal_column("message.state = 'queued'"), *where)
        .order_by(message.c.seq)
        .limit(limit)
    )
    ended = await tx.execute(
        update(message)
        .where(message.c.id.in_(some), message.c.state == MessageState.QUEUED)
        .values(state=state, finished_at=now, error_code=code or None, error=reason or None)
        .returning(message.c.seq, message.c.id, message.c.phone)
    )
    rows = sorted(ended.all(), key=lambda row: row.seq)
    if rows:
        counter = campaign.c[f"n_{state}"]
        await tx.execute(
            update(campaign)
            .where(campaign.c.id == campaign_id)
            .values({campaign.c.n_queued: campaign.c.n_queued - len(rows), counter: counter + len(rows)})
        )
    if state == MessageState.SKIPPED:
        skipped = [Settled(row.id, campaign_id, row.phone, error_code=code, error=reason) for row in rows]
        await tell_of_messages(tx, skipped)
    return len(rows)


async def half_cancelled(connection: AsyncConnection) -> Sequence[str]:
    """Cancelled campaigns that have messages queued all the same: they are being cancelled, or their process died."""
    query = select(campaign.c.id).where(campaign.c.state == CampaignState.CANCELLED, campaign.c.n_queued > 0)
    return (await connection.execute(query)).scalars().all()


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

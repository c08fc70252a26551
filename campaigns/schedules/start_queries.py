"""SQL of beginning a schedule. Whoever does has it by the lease in its campaign's row, and each step proves it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, delete, exists, func, insert, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.tables import group_member, recipient, recipient_group
from campaigns.schedules.following import follow, schedule
from campaigns.sending import queries
from campaigns.sending.alarms import START_LEASE_SECONDS
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Due
from campaigns.sending.tables import campaign, campaign_sender, message, sender, server, session
from campaigns.templates.queries import template
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.batch import is_among, pack_values
from gateway.db import ID, AnyRow
from sessions.models import SessionState

MOST_SENDERS = 1000
"""So many senders take part where nobody was named, as in a request."""


LEAST_STEP_SECONDS = 0.001
"""So much later each lease is at least, so that no two are the same."""


async def renew(tx: AsyncConnection, due: Due, now: float) -> Due | None:
    """Have the campaign for another lease; None if it is not ours any more: taken over, or cancelled.

    Its row stays locked until the transaction ends, so nobody takes it from under what is stored in it.
    """
    lease = max(now + START_LEASE_SECONDS, due.lease + LEAST_STEP_SECONDS)
    return Due(due.campaign_id, lease) if await move(tx, due, alarm_at=lease) else None


async def move(tx: AsyncConnection, due: Due, **values: Any) -> bool:
    """Change the row of a campaign that is scheduled and ours; False if it is not."""
    ours = (
        campaign.c.id == due.campaign_id,
        campaign.c.state == CampaignState.SCHEDULED,
        campaign.c.alarm_at == due.lease,
    )
    return (await tx.execute(update(campaign).where(*ours).values(**values))).rowcount == 1


async def read_due(connection: AsyncConnection, campaign_id: str) -> AnyRow:
    """The campaign and the schedule, with the template and the group as they are now (None: gone)."""
    query = (
        select(
            schedule,
            campaign.c.starts_at,
            campaign.c.expires_at,
            campaign.c.timezone,
            campaign.c.quiet_from,
            campaign.c.quiet_to,
            campaign.c.weekdays,
            campaign.c.reason,
            template.c.title.label("template_title"),
            template.c.content,
            recipient_group.c.name.label("group_name_now"),
        )
        .join(campaign, campaign.c.id == schedule.c.campaign_id)
        .outerjoin(template, template.c.id == schedule.c.template_id)
        .outerjoin(recipient_group, recipient_group.c.id == schedule.c.group_id)
        .where(schedule.c.campaign_id == campaign_id)
    )
    return (await connection.execute(query)).one()


async def count_members(connection: AsyncConnection, group_id: str | None) -> int:
    """How many recipients a group has."""
    query = select(func.count()).select_from(group_member).where(group_member.c.group_id == group_id)
    return int((await connection.execute(query)).scalar_one())


_MEMBERS = select(recipient.c.id, recipient.c.name, recipient.c.phone, recipient.c.grade, recipient.c.variables).join(
    group_member, group_member.c.recipient_id == recipient.c.id
)


async def members_after(connection: AsyncConnection, group_id: str, after: str | None, limit: int) -> Sequence[AnyRow]:
    """The members of a group that follow one (an id; None: from the first one on), oldest first."""
    query = _MEMBERS.where(group_member.c.group_id == group_id)
    if after is not None:
        query = query.where(group_member.c.recipient_id > after)
    return (await connection.execute(query.order_by(group_member.c.recipient_id).limit(limit))).all()


async def members_among(connection: AsyncConnection, group_id: str, ids: Sequence[str]) -> dict[str, AnyRow]:
    """Those of these recipients that are members of a group, by their ids."""
    query = _MEMBERS.where(group_member.c.group_id == group_id, is_among(group_member.c.recipient_id, "ids", ID))
    return {row.id: row for row in await connection.execute(query, {"ids": pack_values(ids)})}


async def named_senders(connection: AsyncConnection, campaign_id: str) -> list[int]:
    """The ids of the senders that a schedule names, in turn."""
    query = select(campaign_sender.c.sender_id).where(campaign_sender.c.campaign_id == campaign_id)
    return list((await connection.execute(query.order_by(campaign_sender.c.position))).scalars())


async def count_able(connection: AsyncConnection, sender_ids: Sequence[int]) -> tuple[int, int]:
    """How many of these senders are connected on servers that answer, and on such as do not, as far as is known."""
    query = (
        select(func.count().filter(server.c.up).label("able"), func.count().label("connected"))
        .select_from(session)
        .join(server, server.c.id == session.c.server_id)
        .where(
            is_among(session.c.sender_id, "ids", Integer()),
            session.c.state == SessionState.CONNECTED,
        )
    )
    row = (await connection.execute(query, {"ids": pack_values(sender_ids)})).one()
    return row.able, row.connected - row.able


async def connected_senders(connection: AsyncConnection, account_id: str) -> list[int]:
    """The ids of an account's senders that are connected."""
    query = (
        select(sender.c.id)
        .join(session, session.c.sender_id == sender.c.id)
        .where(
            sender.c.account_id == account_id,
            session.c.state == SessionState.CONNECTED,
            or_(sender.c.proven, sender.c.account_id == LOCAL_ACCOUNT),
        )
        .order_by(sender.c.id)
        .limit(MOST_SENDERS)
    )
    return list((await connection.execute(query)).scalars())


async def number_of(connection: AsyncConnection, sender_id: int) -> str:
    """A sender's number (digits)."""
    return str((await connection.execute(select(sender.c.number).where(sender.c.id == sender_id))).scalar_one())


async def put_senders(tx: AsyncConnection, campaign_id: str, sender_ids: Sequence[int], *, are_open: bool) -> None:
    """Have these senders take part, who have lanes from now on; `are_open`: their lanes look at the campaign."""
    await queries.ensure_lanes(tx, sender_ids)
    await tx.execute(
        insert(campaign_sender),
        [
            {
                "campaign_id": campaign_id,
                "sender_id": sender_id,
                "position": position,
                "open": are_open,
                "served_at": 0.0,
            }
            for position, sender_id in enumerate(sender_ids)
        ],
    )


async def open_senders(tx: AsyncConnection, campaign_id: str) -> None:
    """The campaign has begun: its senders' lanes look at it."""
    await tx.execute(update(campaign_sender).where(campaign_sender.c.campaign_id == campaign_id).values(open=True))


async def change(tx: AsyncConnection, campaign_id: str, **values: Any) -> None:
    """Change a schedule's row, and have it follow its campaign."""
    await tx.execute(update(schedule).where(schedule.c.campaign_id == campaign_id).values(**values))
    await follow(tx, [campaign_id])


async def add_reason(tx: AsyncConnection, campaign_id: str, text: str) -> None:
    """Add to the reason of a campaign, which is locked."""
    await tx.execute(update(campaign).where(campaign.c.id == campaign_id).values(reason=campaign.c.reason + text))


async def delete_messages(tx: AsyncConnection, campaign_id: str, limit: int) -> int:
    """Delete up to `limit` messages of a campaign that has none yet, which an earlier try has stored; how many."""
    none_yet = exists(select(campaign.c.id).where(campaign.c.id == campaign_id, campaign.c.total == 0))
    some = select(message.c.id).where(message.c.campaign_id == campaign_id).limit(limit)
    return (await tx.execute(delete(message).where(message.c.id.in_(some), none_yet))).rowcount


async def lock_state(tx: AsyncConnection, campaign_id: str) -> str | None:
    """The state of a campaign, which stays so until the transaction ends; None if there is no such campaign."""
    query = select(campaign.c.state).where(campaign.c.id == campaign_id).with_for_update()
    return (await tx.execute(query)).scalar()


async def abandoned(connection: AsyncConnection) -> Sequence[str]:
    """Schedules that ended while they were being given their messages, of which some may be left."""
    query = (
        select(schedule.c.campaign_id)
        .join(campaign, campaign.c.id == schedule.c.campaign_id)
        .where(literal_column("schedule.filling"), campaign.c.state != CampaignState.SCHEDULED)
    )
    return (await connection.execute(query)).scalars().all()


async def end_leases(tx: AsyncConnection, now: float) -> None:
    """Have schedules whose time has come be due now, whoever had them."""
    await tx.execute(
        update(campaign)
        .where(campaign.c.alarm_at > now, literal_column("campaign.unfilled"), campaign.c.starts_at <= now)
        .values(alarm_at=now)
    )

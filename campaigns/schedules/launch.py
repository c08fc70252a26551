"""The last step of beginning a schedule: it is queued, or has failed, and its series goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience.optouts.queries import find_cap
from campaigns.metering.admission import admit
from campaigns.schedules import start_queries as queries
from campaigns.schedules.filling import Filling
from campaigns.schedules.series import tell_missed
from campaigns.schedules.succession import continue_series
from campaigns.sending.lanes import wake_campaign
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Due
from campaigns.sending.telling import Settled, tell_of_messages, tell_of_no_start
from campaigns.sending.timing import hours_of, window_columns
from gateway.db import AnyRow


class TakenAway(Exception):
    """The schedule is not this replica's to begin any more: it was cancelled, or another one has taken it over."""


@dataclass(slots=True)
class Start:
    """A schedule that is being begun: the lease as it stands in its row, and what it was when that was decided."""

    due: Due
    row: AnyRow
    senders: list[int]
    now: float


async def queue(tx: AsyncConnection, start: Start, filling: Filling, now: float) -> None:
    """Have the lanes look at it. Lanes are locked before campaigns, and those before clients, everywhere.

    Where a client has no room for it today, its messages wait: nobody is there to be told.

    Raises:
        TakenAway: it is not ours any more.
        InsufficientBalance: it is a client's, who cannot pay for it.
    """
    campaign_id, row = start.due.campaign_id, start.row
    if row.any_sender:
        await queries.put_senders(tx, campaign_id, start.senders, are_open=True)
    else:
        await queries.open_senders(tx, campaign_id)
    cap = await find_cap(tx, row.account_id)
    times = window_columns(hours_of(dict(row._mapping)), now)
    max_lateness = None if row.at_once else row.max_lateness
    if max_lateness is not None and filling.times is None:  # else each message has a time of its own
        late_at = max(row.starts_at, times["opens_at"] or 0.0) + max_lateness
        times["alarm_at"] = min(late_at, times["alarm_at"] or late_at)
    if (times["opens_at"] or 0.0) <= now:  # its alarm wakes it else
        await wake_campaign(tx, campaign_id)
    values = {
        **content(start, filling),
        **times,
        "next_at": filling.first_at,
        "cap_messages": None if cap is None else cap.messages,
        "cap_days": None if cap is None else cap.days,
        "max_lateness": max_lateness,
        "reason": "",
        "senders": len(start.senders),
        "sender_number": await queries.number_of(tx, start.senders[0]),
    }
    if not await queries.move(tx, start.due, state=CampaignState.QUEUED, unfilled=False, **values):
        raise TakenAway
    await queries.change(tx, campaign_id, **read(start, filling))
    await admit(tx, row.account_id, campaign_id, now, opens_at=times["opens_at"] or 0.0, daily=False)
    await tell_of_messages(tx, first_skipped(filling))
    await continue_series(tx, campaign_id, now, begun=True)


async def fail(
    tx: AsyncConnection,
    due: Due,
    reason: str,
    now: float,
    *,
    told: dict[str, Any],
    skipped: Sequence[Settled] = (),
    **values: Any,
) -> None:
    """Nothing of it is sent; raises `TakenAway`. `told` are columns of the schedule, and `values` of the campaign.

    `skipped` are told of before.
    """
    values |= {"reason": reason, "finished_at": now, "alarm_at": None}
    if not await queries.move(tx, due, state=CampaignState.FAILED, unfilled=False, **values):
        raise TakenAway
    await queries.change(tx, due.campaign_id, **told)
    await tell_of_messages(tx, skipped)
    await tell_of_no_start(tx, due.campaign_id, reason)
    if missed := await continue_series(tx, due.campaign_id, now):
        await queries.add_reason(tx, due.campaign_id, tell_missed(missed))


def content(start: Start, filling: Filling) -> dict[str, Any]:
    """The campaign's columns that follow from what was read."""
    return {
        "name": start.row.template_title,
        "template": start.row.content,
        "total": filling.count,
        "n_queued": filling.count - filling.skipped,
        "n_skipped": filling.skipped,
    }


def read(start: Start, filling: Filling) -> dict[str, Any]:
    """The schedule's columns that tell what was read."""
    return {
        "title": start.row.template_title,
        "group_name": start.row.group_name_now,
        "recipient_count": filling.count,
        "content_read_at": start.now,
        "filling": False,
        "untold_from": filling.untold_from,
    }


def first_skipped(filling: Filling) -> list[Settled]:
    """The first of those who cannot be written to."""
    return [
        Settled(row["id"], filling.campaign_id, row["phone"], error_code=row["error_code"], error=row["error"])
        for row in filling.first_skipped
    ]

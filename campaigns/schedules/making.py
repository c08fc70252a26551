"""The rows of a new schedule: its campaign, without messages yet, and what stands beside it. Pure; epoch seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from campaigns.schedules.models import ScheduleStatus
from campaigns.schedules.planning import Plan, start_of
from campaigns.schedules.recurrence import Occurrence
from campaigns.schedules.schemas import ScheduleIn
from campaigns.sending import queries
from campaigns.sending.hours import Hours
from campaigns.sending.models import CampaignState, Purpose
from campaigns.sending.timing import hours_of, new_columns
from gateway.db import AnyRow
from gateway.ids import make_id

_KEPT_BY_CAMPAIGN = ("account_id", "name", "priority", "rotation", "failover", "auto_pause")
_KEPT_BY_SCHEDULE = (
    "account_id",
    "template_id",
    "group_id",
    "title",
    "group_name",
    "max_lateness",
    "any_sender",
    "created_by",
)
"""What an occurrence has from the one before it."""


def _waiting(campaign_id: str, hours: Hours, now: float) -> dict[str, Any]:
    """The columns of a campaign that waits for its time, and has done nothing yet."""
    return {
        **new_columns(hours, now),
        "state": CampaignState.SCHEDULED,
        "alarm_at": hours.starts_at,
        "unfilled": True,
        "id": campaign_id,
        "turn": 0,
        "in_flight": 0,
        "created_at": now,
        "reason": "",
        "total": 0,
        **{f"n_{name}": 0 for name in queries.COUNTERS},
    }


def _pending(scheduled_time: float, now: float) -> dict[str, Any]:
    """The columns of a schedule that has not begun."""
    return {
        "status": ScheduleStatus.PENDING,
        "scheduled_time": scheduled_time,
        "minute": int(scheduled_time // 60),
        "at_once": False,
        "missed": 0,
        "recipient_count": 0,
        "filling": False,
        "created_at": now,
    }


def campaign_values(
    body: ScheduleIn, hours: Hours, template: AnyRow, numbers: Sequence[str], now: float
) -> dict[str, Any]:
    """A campaign that waits for its time. The text is what the template says now: until it begins it may change."""
    return {
        **_waiting(make_id(now), hours, now),
        "account_id": template.account_id,
        "sender_number": numbers[0] if numbers else "",
        "name": template.title,
        "template": template.content,
        "priority": body.priority.rank,
        "rotation": body.rotation,
        "failover": body.failover,
        "senders": max(1, len(numbers)),
        "auto_pause": body.auto_pause,
        "purpose": Purpose.CAMPAIGN,
    }


def schedule_values(
    campaign: Mapping[str, Any],
    plan: Plan,
    template: AnyRow,
    group: AnyRow,
    *,
    created_by: str,
    max_lateness: float,
) -> dict[str, Any]:
    """What stands beside the campaign."""
    return {
        **_pending(plan.scheduled_time, campaign["created_at"]),
        "campaign_id": campaign["id"],
        "account_id": campaign["account_id"],
        "template_id": template.id,
        "group_id": group.id,
        "title": template.title,
        "group_name": group.name,
        "max_lateness": max_lateness,
        "any_sender": not campaign["sender_number"],
        "local_wall": plan.local_wall,
        "created_by": created_by,
    }


def next_campaign(
    before: AnyRow, at: Occurrence, numbers: Sequence[str], campaign_id: str, now: float
) -> dict[str, Any]:
    """The campaign of the occurrence after `before`, a row of `queries.find_schedule`, with the senders it named.

    It has as much time until it expires as the one before had.
    """
    wall = None if before.local_wall is None else at.wall
    expires_at = None if before.expires_at is None else at.at + before.expires_at - before.scheduled_time
    hours = replace(hours_of(dict(before._mapping)), starts_at=start_of(at.at, wall), expires_at=expires_at)
    return {
        **_waiting(campaign_id, hours, now),
        **{name: before._mapping[name] for name in _KEPT_BY_CAMPAIGN},
        "template": before.content_now,
        "sender_number": numbers[0] if numbers else "",
        "senders": max(1, len(numbers)),
    }


def next_schedule(before: AnyRow, at: Occurrence, campaign_id: str, now: float) -> dict[str, Any]:
    """What stands beside that campaign."""
    return {
        **_pending(at.at, now),
        **{name: before._mapping[name] for name in _KEPT_BY_SCHEDULE},
        "campaign_id": campaign_id,
        "local_wall": None if before.local_wall is None else at.wall.isoformat(),
    }

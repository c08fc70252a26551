"""The rows that claiming reads, as values with names.

An attribute of SQLAlchemy's own rows takes a microsecond to find; on the way of every message some thirty are read.
"""

from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Result

R = TypeVar("R", bound=NamedTuple)


class DueLane(NamedTuple):
    """A lane that is due, with its sender and session.

    `ready`: it may reconcile, and answer people who wrote to it. `able`: it may write to anybody.
    """

    sender_id: int
    epoch: int
    owner: str | None
    message_id: str | None
    due_at: float
    last_answer_at: float | None
    message_delay: float | None
    extra_delay: float
    timezone: str
    daily_cap: int | None
    day_ends_at: float
    sent_today: int
    slice_at: float
    slice_sent: int
    slices: str
    number: str
    account_id: str
    session_name: str
    server_id: str
    paired_at: float | None
    locked_until: float
    lock_strikes: int
    ready: bool | None
    able: bool | None


class OfferedCampaign(NamedTuple):
    """A campaign that has something to send."""

    id: str
    priority: int
    rotation: str
    failover: bool
    senders: int
    turn: int
    in_flight: int
    last_answer_at: float | None
    last_sender_id: int | None
    started_at: float | None
    opens_at: float
    closes_at: float
    next_at: float | None
    max_lateness: float | None
    client_id: str | None
    template: str
    media_id: str | None
    account_id: str
    purpose: str
    cap_messages: int | None
    cap_days: int | None


class Head(NamedTuple):
    """A message that a lane may take."""

    id: str
    campaign_id: str
    seq: int
    phone: str
    text: str | None
    wa_id: str | None
    attempts: int
    sender_id: int | None
    chat_id: str | None
    not_before: float


class PoolSender(NamedTuple):
    """One of a campaign's senders, in turn, and whether it is able to send."""

    sender_id: int
    able: bool | None


def fetch(kind: type[R], result: Result[*tuple[Any, ...]]) -> list[R]:
    """All rows of a result. Raises `TypeError` where the statement's columns are not the fields of `kind`."""
    if tuple(result.keys()) != kind._fields:  # every value would be another's
        raise TypeError(f"the statement gives {tuple(result.keys())}, wanted are {kind._fields}")
    return [kind._make(row) for row in result.all()]

"""Endpoints, which are addresses of clients that are told what happens, and the deliveries to them."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from gateway.db import ID, SECONDS


class EndpointState(StrEnum):
    """Whether an endpoint is told anything: a paused one was stopped by its owner, a disabled one by us."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """How far one event has come at one endpoint: `retrying` was tried, and will be again."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


OPEN = (DeliveryState.PENDING, DeliveryState.RETRYING)
ENDED = (DeliveryState.DELIVERED, DeliveryState.GIVEN_UP)

ENDPOINT_TRANSITIONS: dict[EndpointState, frozenset[EndpointState]] = {
    EndpointState.ACTIVE: frozenset({EndpointState.PAUSED, EndpointState.DISABLED}),
    EndpointState.PAUSED: frozenset({EndpointState.ACTIVE}),
    EndpointState.DISABLED: frozenset({EndpointState.ACTIVE, EndpointState.PAUSED}),
}
DELIVERY_TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.RETRYING, *ENDED}),
    DeliveryState.RETRYING: frozenset({DeliveryState.RETRYING, DeliveryState.PENDING, *ENDED}),
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),  # sent once more because somebody asked for it
    DeliveryState.GIVEN_UP: frozenset({DeliveryState.PENDING}),
}

_IS_OPEN = text("state IN ('pending', 'retrying')")
_HAS_ENDED = text("state IN ('delivered', 'given_up')")


def _check(name: str, states: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"state IN ({', '.join(repr(str(state)) for state in states)})", name=name)


class WebhookEndpoint(SQLModel, table=True):
    """An address of a client, and what it is told. Its secrets are encrypted at rest.

    `account_id` is whose events (`EVERYBODY`: all accounts', an operator's). `events` is a JSON list of kinds, or of
    "*" alone. The older secret counts until `old_secret_until`. One replica at a time serves it: `owner` until
    `lease_until`; `epoch` counts the owners. Nothing is sent before `hold_until`, which the receiver asked for.
    `failing_since` and `failures` are of those since the last success; `careful` is one that failed or was slow last.
    `reason` says why it is disabled.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        _check("ck_webhook_endpoint_state", EndpointState),
        Index("ix_webhook_endpoint_account", "account_id", "id"),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(max_length=36)
    url: str = Field(max_length=2048)
    description: str = Field(max_length=255)
    events: str = Field(sa_column=Column(Text, nullable=False))
    secret_encrypted: str = Field(sa_column=Column(Text, nullable=False))
    old_secret_encrypted: str = Field(default="", sa_column=Column(Text, nullable=False))
    old_secret_until: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    state: str = Field(max_length=16)
    reason: str = Field(default="", max_length=255)
    hold_until: float = Field(default=0, sa_column=Column(SECONDS, nullable=False))
    failing_since: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    failures: int = 0
    careful: bool = False
    last_success_at: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    owner: str | None = Field(default=None, max_length=36)
    epoch: int = 0
    lease_until: float = Field(default=0, sa_column=Column(SECONDS, nullable=False))
    created_at: float = Field(sa_column=Column(SECONDS, nullable=False))
    updated_at: float = Field(sa_column=Column(SECONDS, nullable=False))


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint. Its id is the event's, which the receiver knows as `webhook-id`.

    The event is kept here as it is sent (`kind`, `at`, `data`, `sequence`), so that the outbox need not be: most events
    have one endpoint or none. What has the same `line` (a campaign's id, or else the number of ours) is told in order.
    While open it is sent at `next_at`. `attempts` are those since somebody last asked for it; `status`, `response`,
    `error` and `seconds` are of the last one. `ended_at` is when it was delivered or given up.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        _check("ck_webhook_delivery_state", DeliveryState),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "next_at",
            "sequence",
            sqlite_where=_IS_OPEN,
            postgresql_where=_IS_OPEN,
        ),
        Index("ix_webhook_delivery_ended", "ended_at", sqlite_where=_HAS_ENDED, postgresql_where=_HAS_ENDED),
    )

    endpoint_id: str = Field(
        sa_column=Column(ID, ForeignKey("webhook_endpoint.id", ondelete="CASCADE"), primary_key=True)
    )
    event_id: str = Field(sa_column=Column(ID, primary_key=True))
    sequence: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    line: str = Field(max_length=36)
    kind: str = Field(max_length=40)
    at: float = Field(sa_column=Column(SECONDS, nullable=False))
    data: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(max_length=16)
    attempts: int = 0
    next_at: float = Field(sa_column=Column(SECONDS, nullable=False))
    status: int | None = None
    response: str = Field(default="", sa_column=Column(Text, nullable=False))
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    seconds: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    last_attempt_at: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))
    created_at: float = Field(sa_column=Column(SECONDS, nullable=False))
    ended_at: float | None = Field(default=None, sa_column=Column(SECONDS, nullable=True))

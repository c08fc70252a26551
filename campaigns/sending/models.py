"""The queue: campaigns, their messages, and the lanes that the messages leave through.

Times are epoch seconds. `due_at` is the one clock of a lane: the next moment to look at it while it is free,
and the end of its lease while a replica owns it. An expired lease is simply due again.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Float, Index, Text, false, text
from sqlmodel import Field, SQLModel

from gateway.db import ID
from sessions.models import one_of

IDLE = 1e12
"""`due_at` of a lane that has nothing to do: whoever gives it something sets an earlier time."""


EVERY_DAY = 0b111_1111
"""All weekdays; bit 0 is Monday."""


class MessageState(StrEnum):
    """One outgoing message."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


_M = MessageState
MESSAGE_TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    # one that is queued again may have left after all, as its receipt proves: then it does not go once more
    _M.QUEUED: frozenset({_M.SENDING, _M.CANCELLED, _M.SKIPPED, _M.FAILED, _M.SENT, _M.DELIVERED, _M.READ}),
    # back to queued: surely not sent, or taken back before it was fired. Cancelled and skipped are that, and the step
    # from queued, in one: the campaign was cancelled meanwhile; the number is found not to be on WhatsApp
    _M.SENDING: frozenset(
        {_M.SENT, _M.DELIVERED, _M.READ, _M.UNCONFIRMED, _M.QUEUED, _M.FAILED, _M.CANCELLED, _M.SKIPPED}
    ),
    _M.SENT: frozenset({_M.DELIVERED, _M.READ, _M.FAILED}),
    _M.DELIVERED: frozenset({_M.READ}),
    _M.READ: frozenset(),
    _M.UNCONFIRMED: frozenset({_M.SENT, _M.DELIVERED, _M.READ, _M.QUEUED, _M.FAILED}),
    _M.FAILED: frozenset({_M.QUEUED, _M.DELIVERED, _M.READ}),
    _M.SKIPPED: frozenset(),
    _M.CANCELLED: frozenset(),
}


class CampaignState(StrEnum):
    """One text for many recipients."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


_C = CampaignState
CAMPAIGN_TRANSITIONS: dict[CampaignState, frozenset[CampaignState]] = {
    _C.SCHEDULED: frozenset({_C.QUEUED, _C.CANCELLED, _C.FAILED}),
    _C.QUEUED: frozenset({_C.RUNNING, _C.PAUSED, _C.CANCELLED}),
    _C.RUNNING: frozenset({_C.PAUSED, _C.COMPLETED, _C.COMPLETED_WITH_ERRORS, _C.FAILED, _C.CANCELLED}),
    _C.PAUSED: frozenset({_C.RUNNING, _C.QUEUED, _C.CANCELLED, _C.COMPLETED, _C.COMPLETED_WITH_ERRORS, _C.FAILED}),
    # running again: by retry. From one end to another: by a receipt that came after it
    _C.COMPLETED: frozenset({_C.COMPLETED_WITH_ERRORS, _C.FAILED}),
    _C.COMPLETED_WITH_ERRORS: frozenset({_C.RUNNING, _C.COMPLETED, _C.FAILED}),
    _C.FAILED: frozenset({_C.RUNNING, _C.COMPLETED, _C.COMPLETED_WITH_ERRORS}),
    _C.CANCELLED: frozenset(),
}
OPEN_STATES = (CampaignState.QUEUED, CampaignState.RUNNING, CampaignState.PAUSED)


class Priority(StrEnum):
    """Which campaign a lane serves first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """Higher goes first."""
        return list(Priority).index(self)


class Rotation(StrEnum):
    """How recipients are dealt to senders."""

    EVEN = "even"
    FASTEST = "fastest"


class Purpose(StrEnum):
    """Why something is sent: who has opted out gets nothing but the confirmation of that."""

    CAMPAIGN = "campaign"
    REPLY = "reply"
    CONFIRMATION = "confirmation"


_HAS_ALARM = text("alarm_at IS NOT NULL AND NOT unfilled")
_IS_DUE_LATER = text("alarm_at IS NOT NULL AND unfilled")
_IS_CLIENTS = text("client_id IS NOT NULL")


class Campaign(SQLModel, table=True):
    """One text for many recipients, through one or more senders.

    `last_answer_at`, `last_sender_id` and `in_flight` are the campaign's own clock, for the sender switch delay;
    what a dead replica left in flight is counted off when its lane's lease has run out. `turn` is the position of
    the sender whose turn it is. The `n_` columns count messages by state, in the transactions that move them.

    `starts_at`, `expires_at`, `timezone` (IANA), the quiet hours (minutes of the local day; from may be after to) and
    `weekdays` (bit 0 is Monday) are what was asked for (`hours.py`). `opens_at` and `closes_at` are what follows from
    them: the window in which messages may leave now or next. `alarm_at` is when that has to be looked at again (None:
    never). With `auto_pause` the campaign pauses itself if its first messages all fail; once it has (`auto_paused`) it
    does not again, until all that has failed is retried. One that is `unfilled` gets its messages when it starts (a
    schedule): its `alarm_at` is its start, and then the end of the lease of whoever is at it.

    `next_at` is set where messages have times of their own (`not_before`, and `seq` in their order): nothing of it may
    leave before. It may lie too early, and is found anew then. One of them that waits for more than `max_lateness`
    seconds after its time while nothing of the campaign is sent is skipped (`lateness.py`; None: none is).

    One of a client's account has its `client_id`, and the `price` of a message (whole millionths of the client's
    currency; None or 0: free) at the moment at which it was submitted or, being a schedule, began.

    `label` is a word of the account's for campaigns that belong together. With `stop_on_reply` whoever answers one of
    them gets nothing more of this one; `n_replied` counts messages that were answered.

    Who has had `cap_messages` messages of campaigns of the account in `cap_days` days gets none of this one (None: no
    such limit). Of the purposes only `campaign` counts.
    """

    __table_args__ = (
        CheckConstraint(one_of("state", CampaignState), name="state"),
        CheckConstraint(one_of("rotation", Rotation), name="rotation"),
        Index("ix_campaign_account_created", "account_id", "created_at"),
        Index("ix_campaign_sender_number_created", "sender_number", "created_at"),
        Index("ix_campaign_finished_at", "finished_at"),
        Index("ix_campaign_alarm_at", "alarm_at", sqlite_where=_HAS_ALARM, postgresql_where=_HAS_ALARM),
        Index("ix_campaign_unfilled", "alarm_at", sqlite_where=_IS_DUE_LATER, postgresql_where=_IS_DUE_LATER),
        Index("ix_campaign_client", "client_id", "state", sqlite_where=_IS_CLIENTS, postgresql_where=_IS_CLIENTS),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    account_id: str = Field(foreign_key="account.id", max_length=36)
    sender_number: str = Field(max_length=15)
    name: str = Field(default="", max_length=255)
    template: str = Field(sa_column=Column(Text, nullable=False))
    media_url: str | None = None
    media_id: str | None = Field(default=None, max_length=36)
    state: str = Field(default=CampaignState.QUEUED, max_length=24)
    priority: int = 1
    rotation: str = Field(default=Rotation.EVEN, max_length=8)
    failover: bool = True
    senders: int = 1
    turn: int = 0
    in_flight: int = 0
    last_answer_at: float | None = None
    last_sender_id: int | None = None
    starts_at: float | None = None
    expires_at: float | None = None
    timezone: str = Field(default="UTC", max_length=64)
    quiet_from: int | None = None
    quiet_to: int | None = None
    weekdays: int = EVERY_DAY
    opens_at: float = 0
    closes_at: float = IDLE
    alarm_at: float | None = None
    unfilled: bool = False
    next_at: float | None = None
    max_lateness: float | None = None
    auto_pause: bool = True
    auto_paused: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    client_id: str | None = Field(default=None, sa_column=Column(ID))
    price: int | None = Field(default=None, sa_column=Column(BigInteger))
    purpose: str = Field(default=Purpose.CAMPAIGN, max_length=12)
    cap_messages: int | None = None
    cap_days: int | None = None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    reason: str = ""
    total: int = 0
    n_queued: int = 0
    n_sending: int = 0
    n_sent: int = 0
    n_delivered: int = 0
    n_read: int = 0
    n_unconfirmed: int = 0
    n_failed: int = 0
    n_skipped: int = 0
    n_cancelled: int = 0
    label: str = Field(default="", max_length=255)
    stop_on_reply: bool = False
    n_replied: int = 0


class CampaignSender(SQLModel, table=True):
    """One sender's place in a campaign's rotation. `open` until the campaign has ended."""

    __tablename__ = "campaign_sender"
    __table_args__ = (
        Index(
            "ix_campaign_sender_open",
            "sender_id",
            sqlite_where=text("open"),
            postgresql_where=text("open"),
        ),
    )

    campaign_id: str = Field(sa_column=Column(ID, primary_key=True))
    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    position: int
    open: bool = True
    served_at: float = 0


_QUEUED = text("state = 'queued'")
_DEALT = text("state = 'queued' AND sender_id IS NOT NULL")
_TIMED = text("state = 'queued' AND not_before > 0")
_BAD = text("state IN ('failed', 'unconfirmed')")
_LEFT = text("sent_at IS NOT NULL")
_UNCONFIRMED = text("state = 'unconfirmed'")
_STOPPABLE = text("state = 'queued' AND stoppable")


class Message(SQLModel, table=True):
    """One outgoing text or media to one recipient.

    `text` is None where it is the campaign's template as it stands. `sender_id` is the lane that it was dealt to,
    and then the one that it left through. `wa_id` is committed before the send that carries it. `uncertain_at`
    is set while nobody knows whether WhatsApp has it. `chat_id` is where it went, if not to the number as it stands.
    `replied_at` is when it was first answered; a `stoppable` one is skipped if an answer comes before it was sent.
    `personalization` is what became of it where a service was asked for its text (`personalization/words.py`).
    """

    __table_args__ = (
        CheckConstraint(one_of("state", MessageState), name="state"),
        Index("uq_message_campaign_seq", "campaign_id", "seq", unique=True),
        Index("ix_message_queued", "campaign_id", "seq", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_message_dealt", "campaign_id", "sender_id", "seq", sqlite_where=_DEALT, postgresql_where=_DEALT),
        Index("ix_message_timed", "campaign_id", "not_before", "seq", sqlite_where=_TIMED, postgresql_where=_TIMED),
        Index("ix_message_bad", "campaign_id", "seq", sqlite_where=_BAD, postgresql_where=_BAD),
        # what somebody was sent: a message enters it when it has left, so that submitting costs nothing more
        Index("ix_message_left", "phone", "sent_at", sqlite_where=_LEFT, postgresql_where=_LEFT),
        Index("ix_message_unconfirmed", "phone", sqlite_where=_UNCONFIRMED, postgresql_where=_UNCONFIRMED),
        Index("ix_message_stoppable", "phone", sqlite_where=_STOPPABLE, postgresql_where=_STOPPABLE),
        Index(
            "uq_message_wa_id",
            "wa_id",
            unique=True,
            sqlite_where=text("wa_id IS NOT NULL"),
            postgresql_where=text("wa_id IS NOT NULL"),
        ),
    )

    id: str = Field(sa_column=Column(ID, primary_key=True))
    campaign_id: str = Field(sa_column=Column(ID, nullable=False))
    seq: int
    phone: str = Field(max_length=15)
    chat_id: str | None = Field(default=None, max_length=64)
    grade: str = Field(default="valid", max_length=8)
    text: str | None = Field(default=None, sa_column=Column(Text))
    state: str = Field(default=MessageState.QUEUED, max_length=12)
    sender_id: int | None = None
    wa_id: str | None = Field(default=None, max_length=40)
    attempts: int = 0
    not_before: float = 0
    created_at: float
    started_at: float | None = None
    uncertain_at: float | None = None
    sent_at: float | None = None
    delivered_at: float | None = None
    read_at: float | None = None
    finished_at: float | None = None
    ack: int | None = None
    error_code: str | None = Field(default=None, max_length=40)
    error: str | None = Field(default=None, sa_column=Column(Text))
    replied_at: float | None = None
    stoppable: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    personalization: str | None = Field(default=None, max_length=16)


class Lane(SQLModel, table=True):
    """The line of messages of one sender: one at a time, paced.

    `epoch` and `owner` fence every settlement. `message_id` is the message that is in flight or uncertain: the
    lane takes no other before that one is settled. `message_delay` is the sender's own delay (None: the general
    one), `extra_delay` the jitter of the present gap.

    What caps count, which is what has left or may have: `sent_today` until `day_ends_at`, and `slice_sent` since
    `slice_at` with `slices` before it. `resting_until` is set where WAHA refused a send for now or a cap is reached,
    with `resting_code` as the reason.
    """

    __table_args__ = (Index("ix_lane_due_at", "due_at"),)

    sender_id: int = Field(primary_key=True, foreign_key="sender.id")
    due_at: float = Field(default=IDLE, sa_column=Column(Float(53), nullable=False))
    owner: str | None = Field(default=None, max_length=36)
    epoch: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    message_id: str | None = Field(default=None, sa_column=Column(ID))
    last_answer_at: float | None = None
    message_delay: float | None = None
    extra_delay: float = 0
    timezone: str = Field(default="", max_length=64)
    daily_cap: int | None = None
    day_ends_at: float = 0
    sent_today: int = 0
    slice_at: float = 0
    slice_sent: int = 0
    slices: str = "[]"
    sent_total: int = 0
    resting_until: float = 0
    resting_code: str = Field(default="", max_length=32)


class Media(SQLModel, table=True):
    """What a `media_url` gave, or an account has uploaded: kept until the last campaign that sends it has ended.

    `account_id` is whose upload it is; None: it was fetched for one campaign. An upload's `created_at` moves on with
    each campaign that takes it, so that it is not removed from under one.
    """

    id: str = Field(primary_key=True, max_length=36)
    account_id: str | None = Field(default=None, max_length=36, index=True)
    url: str
    mimetype: str = Field(max_length=255)
    filename: str = Field(max_length=255)
    size: int
    content: bytes
    created_at: float


class Setting(SQLModel, table=True):
    """A number that an admin changes while the gateway runs."""

    key: str = Field(primary_key=True, max_length=40)
    value: float


class UsualHours(SQLModel, table=True):
    """When an account's campaigns and schedules may send, where a request says nothing; as in `Campaign`."""

    __tablename__ = "usual_hours"

    account_id: str = Field(primary_key=True, foreign_key="account.id", max_length=36)
    timezone: str = Field(max_length=64)
    quiet_from: int | None = None
    quiet_to: int | None = None
    weekdays: int

"""What a lane was given to do, and what became of it: values that travel between queue and dispatcher."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from campaigns.sending.models import IDLE
from campaigns.sending.pacing import Delays
from sessions.history import Diary


class Task(StrEnum):
    """What to do with a claimed message."""

    SEND = "send"
    RECONCILE = "reconcile"  # find out whether WhatsApp has it


@dataclass(slots=True)
class Claim:
    """One message that a lane owns until its lease ends. Times are the database's, in epoch seconds.

    Nobody changes it once it is claimed; that it is not frozen saves more than a microsecond of each.

    `turn` is the campaign's turn to give back if nothing is sent (None where no turn was taken). Without `failover`
    the message waits for its own sender. `chat_id` is where it goes, if not to the number as it stands. `is_reply`: its
    sender is locked, and may still write to this recipient. `strikes` are the sender's locks without a told end.
    `gated`: its campaign's messages leave one by one. From `closes_at` on nothing of its campaign may leave for now.
    `accounts` are those whose suppressions count, and `person` is who may have opted out (empty: it does not matter).
    `own_delay` is the sender's message delay, where it has one of its own. `hopeless`: nobody can be asked what became
    of it, and has not been for long.
    """

    task: Task
    sender_id: int
    epoch: int
    message_id: str
    campaign_id: str
    wa_id: str
    phone: str
    text: str
    media_id: str | None
    attempts: int
    fire_at: float
    started_at: float
    turn: int | None
    number: str
    session_name: str
    server_id: str
    paired_at: float | None
    failover: bool = True
    chat_id: str | None = None
    is_reply: bool = False
    strikes: int = 0
    gated: bool = False
    closes_at: float = IDLE
    accounts: tuple[str, ...] = ()
    person: str = ""
    own_delay: float | None = None
    hopeless: bool = False


class Result(StrEnum):
    """The ways that a claim can end."""

    SENT = "sent"  # WAHA took it, or a look-up found it
    FAILED = "failed"  # refused for good
    SKIPPED = "skipped"  # it never left, and never will: the number is not on WhatsApp
    RETRY = "retry"  # surely not sent; again after a while, an attempt is counted
    LATER = "later"  # surely not sent, and not the message's fault: no attempt is counted
    RELEASED = "released"  # taken back before it was fired
    UNCERTAIN = "uncertain"  # nobody knows: the lane waits while it is looked up
    ASK_AGAIN = "ask_again"  # still uncertain
    ABSENT = "absent"  # it never left: queued again under the same id
    UNCONFIRMED = "unconfirmed"  # it cannot be told: a person decides


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a claim ended.

    `wait_seconds` is how long the message (RETRY) or the lane (LATER, UNCERTAIN, ASK_AGAIN) rests. `answered` tells
    that a request reached WAHA, at `answered_at` on the monotonic clock: pacing counts from there. `wa_id` is the
    engine's own id where it ignores ours. `limited` tells that WhatsApp lets the sender write to nobody new, and
    `limited_until` (epoch seconds) until when, if WAHA knows.
    """

    result: Result
    code: str = ""
    reason: str = ""
    wait_seconds: float = 0.0
    answered: bool = False
    answered_at: float = 0.0
    ack: int | None = None
    wa_id: str | None = None
    limited: bool = False
    limited_until: float | None = None


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What the queue has to know of the settings; seconds."""

    replica: str
    lease_seconds: float = 5.0
    jitter: float = 0.0
    horizon_seconds: float = 0.25  # how far ahead messages are claimed
    ahead_seconds: float = 0.1  # how long before a lane's time it is looked at again
    poll_seconds: float = 1.0  # how soon a lane that waits for others is looked at again
    locked_poll_seconds: float = 5.0  # how soon a locked lane is, for somebody that it may answer
    batch: int = 500
    daily_cap: int = 0  # messages of one sender in a day; 0: no cap
    hourly_cap: int = 0  # and in any hour


class Due(NamedTuple):
    """A campaign whose messages are to be stored now, by whoever has it until `lease` (epoch seconds).

    No two leases of a campaign are the same: only while it stands in the row, as `alarm_at`, it is still theirs.
    """

    campaign_id: str
    lease: float


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What one transaction is asked to do.

    It settles `outcomes`, renews the leases of `renewals`, and claims what is due: `room` says how many lanes are
    looked at at most, and `starts` how many schedules may be begun. `mending_times`: the database's clock may have been
    set back since the last turn. `first`: it is this process's first turn. `delays_before` are those of this replica's
    last turn: where they have been changed during it, whoever changed them could not see the lanes that it freed.
    """

    outcomes: Sequence[tuple[Claim, Outcome]] = ()
    renewals: Sequence[Claim] = ()
    room: int = 500
    starts: int = 0
    claiming: bool = True
    looking_for_fallen: bool = False
    mending_times: bool = False
    first: bool = False
    delays_before: Delays | None = None


@dataclass(slots=True)
class Turn:
    """What one transaction brought: what to do now, and when to come again.

    Times are the database's; `monotonic` is this process's own, no earlier than `now`. `halted` are campaigns that
    paused themselves, with the reason. `due` are schedules to be begun by this replica. `renewed` are the senders whose
    leases were renewed, and `stuck` those whose lane has an uncertain message. `diary` holds what is to be told of
    sessions once it is committed.
    """

    now: float
    monotonic: float
    delays: Delays
    claims: list[Claim] = field(default_factory=list)
    look_again_at: float = IDLE
    finished: list[tuple[str, str]] = field(default_factory=list)
    halted: list[tuple[str, str]] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    lost: list[Claim] = field(default_factory=list)
    renewed: set[int] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)
    diary: Diary = field(default_factory=Diary)

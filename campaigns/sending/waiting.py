"""Why has it not been sent yet? One answer out of a fixed list of words, from what the tables say. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from campaigns.sending.models import IDLE, CampaignState
from sessions.models import SessionState


class Reason(StrEnum):
    """Everything that a message may wait for."""

    MESSAGE_DELAY = "message_delay"
    SENDER_SWITCH_DELAY = "sender_switch_delay"
    HOURLY_CAP = "hourly_cap"
    NOT_ITS_TURN = "not_its_turn"
    SESSION_NOT_CONNECTED = "session_not_connected"
    SERVER_DOWN = "server_down"
    DAILY_CAP = "daily_cap"
    CLIENT_DAILY_LIMIT = "client_daily_limit"
    QUIET_HOURS = "quiet_hours"
    SCHEDULED = "scheduled"
    LOCAL_TIME = "local_time"
    PAUSED = "paused"
    NUMBER_LOCK = "number_lock"
    BACKOFF = "backoff"
    UNCONFIRMED = "unconfirmed"


SENTENCES = {
    Reason.MESSAGE_DELAY: "the sender rests between two messages",
    Reason.SENDER_SWITCH_DELAY: "the campaign rests before it goes on with another sender",
    Reason.HOURLY_CAP: "the sender has sent as many messages in the last hour as it may",
    Reason.NOT_ITS_TURN: "others are sent first",
    Reason.SESSION_NOT_CONNECTED: "the sender's session is not connected: scan its QR code",
    Reason.SERVER_DOWN: "the sender's WAHA server does not answer; it is asked again by itself",
    Reason.DAILY_CAP: "the sender has sent as many messages today as it may",
    Reason.CLIENT_DAILY_LIMIT: "the client has sent as many messages today as it may",
    Reason.QUIET_HOURS: "the campaign's quiet hours and weekdays allow nothing now",
    Reason.SCHEDULED: "its time has not come",
    Reason.LOCAL_TIME: "it is sent at its time on the recipient's clock, and not before",
    Reason.PAUSED: "the campaign is paused",
    Reason.NUMBER_LOCK: "WhatsApp does not let this number write to new contacts for now",
    Reason.BACKOFF: "the last attempt failed; it is tried again",
    Reason.UNCONFIRMED: "it is being found out whether the sender's last message was sent",
}


MOVING = "the sender's session is being moved to another WAHA server"
BEGINNING = "its time has come: it begins at this moment"


@dataclass(frozen=True, slots=True)
class LaneView:
    """One sender of a campaign as the tables show it; times in epoch seconds.

    `uncertain_until` is when it is known at the latest what became of its uncertain message; None if it has none. Until
    `locked_until` WhatsApp lets it write to nobody new. `busy` tells that a message is just being sent through it,
    `yields` that a campaign of higher priority has something for it, and `moving` that its session is about to go over
    to another server.
    """

    number: str
    state: str | None
    server_up: bool | None
    delay: float
    ready_at: float
    resting_until: float
    uncertain_until: float | None
    resting_code: str = ""
    locked_until: float = 0.0
    busy: bool = False
    yields: bool = False
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """A reason, and the time until which it holds at least (None: not known). `says` is what is particular about it."""

    reason: Reason
    until: float | None = None
    number: str | None = None
    says: str = ""

    @property
    def sentence(self) -> str:
        """The reason for a person."""
        return self.says or SENTENCES[self.reason]


_STUCK = frozenset(
    {
        Reason.SESSION_NOT_CONNECTED,
        Reason.SERVER_DOWN,
        Reason.UNCONFIRMED,
        Reason.NUMBER_LOCK,
        Reason.BACKOFF,
        Reason.HOURLY_CAP,
        Reason.DAILY_CAP,
    }
)
"""What keeps a sender from sending at all; its delay only makes it wait."""
_HALTED = frozenset({Reason.PAUSED, Reason.SCHEDULED, Reason.QUIET_HOURS, Reason.CLIENT_DAILY_LIMIT})
"""What keeps all of a campaign, whatever its senders do."""


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as the tables show it; times in epoch seconds.

    `gate_at` is when its switch delay is over, `starts_at` when it begins (None: neither counts), `opens_at` when its
    window opens, or has opened. Nothing leaves before `next_at` where messages have times of their own (None: they have
    none), nor before `limited_until` where its client has sent as many today as it may. `held` is why one whose time
    has come could not begin yet.
    """

    state: str
    pending: int
    gate_at: float | None = None
    starts_at: float | None = None
    opens_at: float = 0.0
    next_at: float | None = None
    limited_until: float | None = None
    held: str = ""


def of_lane(lane: LaneView, now: float) -> Wait | None:
    """What a sender waits for; None if nothing keeps it."""
    away = _away(lane)
    if away is not None:
        return away
    if lane.uncertain_until is not None:  # a WAHA that cannot answer is asked for longer
        return Wait(Reason.UNCONFIRMED, lane.uncertain_until if lane.uncertain_until > now else None, lane.number)
    if lane.locked_until > now:
        return Wait(Reason.NUMBER_LOCK, lane.locked_until, lane.number)
    if lane.resting_code and lane.resting_until > now:
        return Wait(Reason(lane.resting_code), lane.resting_until, lane.number)
    rests_until = lane.ready_at if lane.ready_at > now else None
    if lane.yields:
        return Wait(Reason.NOT_ITS_TURN, rests_until, lane.number)
    return None if rests_until is None else Wait(Reason.MESSAGE_DELAY, rests_until, lane.number)


def _away(lane: LaneView) -> Wait | None:
    """Why a sender cannot be asked to send anything; None if it can."""
    if lane.state != SessionState.CONNECTED:
        return Wait(Reason.SESSION_NOT_CONNECTED, number=lane.number)
    if not lane.server_up:
        return Wait(Reason.SERVER_DOWN, number=lane.number)
    return Wait(Reason.SESSION_NOT_CONNECTED, number=lane.number, says=MOVING) if lane.moving else None


def is_able(lane: LaneView, now: float) -> bool:
    """Whether a sender takes part: its delay, and another campaign, only make it wait."""
    wait = of_lane(lane, now)
    return wait is None or wait.reason not in _STUCK


def earliest_start(lanes: list[LaneView], now: float) -> tuple[float, list[LaneView]] | None:
    """When the next message may leave, and the lanes that go on then; None while that depends on a person.

    Senders that only rest between two messages go first; without any, the first whose hindrance ends by itself.
    """
    free = [lane for lane in lanes if is_able(lane, now)]
    if free:
        return max(now, min(lane.ready_at for lane in free)), free
    waits = [(lane, of_lane(lane, now)) for lane in lanes]
    later = [(wait.until, lane) for lane, wait in waits if wait is not None and wait.until is not None]
    if not later:
        return None
    return max(now, min(until for until, _ in later)), [lane for _, lane in later]


def of_campaign(campaign: CampaignView, lanes: list[LaneView], now: float) -> list[Wait]:
    """What a campaign waits for."""
    if campaign.state == CampaignState.SCHEDULED:  # also a schedule, whose recipients are read when it starts
        return [_until_it_starts(campaign, lanes, now)]
    if not campaign.pending:
        return []
    if campaign.state == CampaignState.PAUSED:
        return [Wait(Reason.PAUSED)]
    if campaign.opens_at > now:
        return [Wait(Reason.QUIET_HOURS, campaign.opens_at if campaign.opens_at < IDLE else None)]
    if campaign.limited_until is not None and campaign.limited_until > now:
        return [Wait(Reason.CLIENT_DAILY_LIMIT, campaign.limited_until)]
    waits = [wait for lane in lanes if (wait := of_lane(lane, now)) is not None]
    somebody_can = sum(wait.reason in _STUCK for wait in waits) < len(lanes)
    if campaign.gate_at is not None and campaign.gate_at > now and somebody_can:
        waits.append(Wait(Reason.SENDER_SWITCH_DELAY, campaign.gate_at))
    if campaign.next_at is not None and campaign.next_at > now:
        waits.insert(0, Wait(Reason.LOCAL_TIME, campaign.next_at))
    return waits


def _until_it_starts(campaign: CampaignView, lanes: list[LaneView], now: float) -> Wait:
    if campaign.starts_at is None or campaign.starts_at > now:
        return Wait(Reason.SCHEDULED, campaign.starts_at)
    if not campaign.held:
        return Wait(Reason.SCHEDULED, says=BEGINNING)
    waits = [wait for lane in lanes if (wait := of_lane(lane, now)) is not None]
    downs = bool(waits) and all(wait.reason is Reason.SERVER_DOWN for wait in waits)
    return Wait(Reason.SERVER_DOWN if downs else Reason.SESSION_NOT_CONNECTED, says=campaign.held)


def of_message(
    campaign_waits: list[Wait],
    senders: int,
    *,
    not_before: float,
    now: float,
    is_next: bool,
    number: str | None,
    turn_at: float | None = None,
    tried: bool = True,
    busy: Collection[str] = (),
    one_by_one: bool = False,
) -> Wait | None:
    """What one queued message waits for; None if it goes now.

    `senders` is how many its campaign has, `is_next` tells that no message is before it, `turn_at` when those that are
    may have left, and `number` is the sender that it was dealt to (None: nobody yet). One that was never
    `tried`, and has a time to come, waits for the recipient's clock. `busy` are the numbers through which something is
    just being sent; with `one_by_one` nothing else of the campaign leaves meanwhile.
    """
    halted = next((wait for wait in campaign_waits if wait.reason in _HALTED), None)
    if halted is not None:
        return halted
    if not_before > now:
        return Wait(Reason.BACKOFF if tried else Reason.LOCAL_TIME, not_before, number)
    gate = [wait for wait in campaign_waits if wait.reason is Reason.SENDER_SWITCH_DELAY]
    lanes = [wait for wait in campaign_waits if wait.number is not None]
    in_flight = Wait(Reason.NOT_ITS_TURN, number=number)
    if number is not None:
        waits = [*gate, *(wait for wait in lanes if wait.number == number)]
        return max(waits, key=_severity, default=in_flight if one_by_one or number in busy else None)
    able = senders - sum(wait.reason in _STUCK for wait in lanes)
    if not able:
        return min(lanes, key=_end)
    if not is_next:
        return Wait(Reason.NOT_ITS_TURN, turn_at)
    resting = [wait for wait in lanes if wait.reason not in _STUCK]
    sending = set(busy) - {wait.number for wait in lanes}
    nobody_is_free = len(resting) + len(sending) >= able
    first = [min(resting, key=_end)] if nobody_is_free and resting else []
    return max([*gate, *first], key=_severity, default=in_flight if one_by_one or nobody_is_free else None)


def _end(wait: Wait) -> float:
    """When a wait ends by itself; one of which that is not known comes last."""
    return IDLE if wait.until is None else wait.until


def _severity(wait: Wait) -> tuple[bool, float]:
    return wait.reason in _STUCK, wait.until or 0.0

"""Why has it not been sent yet? One answer out of a fixed list of words, from what the tables say. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from campaigns.sending.models import CampaignState
from sessions.models import SessionState


class Reason(StrEnum):
    """Everything that a message may wait for."""

    MESSAGE_DELAY = "message_delay"
    SENDER_SWITCH_DELAY = "sender_switch_delay"
    NOT_ITS_TURN = "not_its_turn"
    SESSION_NOT_CONNECTED = "session_not_connected"
    SERVER_DOWN = "server_down"
    SCHEDULED = "scheduled"
    PAUSED = "paused"
    NUMBER_LOCK = "number_lock"
    BACKOFF = "backoff"
    UNCONFIRMED = "unconfirmed"


SENTENCES = {
    Reason.MESSAGE_DELAY: "the sender rests between two messages",
    Reason.SENDER_SWITCH_DELAY: "the campaign rests before it goes on with another sender",
    Reason.NOT_ITS_TURN: "others are sent first",
    Reason.SESSION_NOT_CONNECTED: "the sender's session is not connected: scan its QR code",
    Reason.SERVER_DOWN: "the sender's WAHA server does not answer; it is asked again by itself",
    Reason.SCHEDULED: "its time has not come",
    Reason.PAUSED: "the campaign is paused",
    Reason.NUMBER_LOCK: "WhatsApp does not let this number write to new contacts for now",
    Reason.BACKOFF: "the last attempt failed; it is tried again",
    Reason.UNCONFIRMED: "it is being found out whether the sender's last message was sent",
}


@dataclass(frozen=True, slots=True)
class LaneView:
    """One sender of a campaign as the tables show it; times in epoch seconds.

    `uncertain_until` is when it is known at the latest what became of its uncertain message; None if it has none. Until
    `locked_until` WhatsApp lets it write to nobody new.
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


@dataclass(frozen=True, slots=True)
class Wait:
    """A reason, and the time until which it holds at least (None: not known)."""

    reason: Reason
    until: float | None = None
    number: str | None = None

    @property
    def sentence(self) -> str:
        """The reason for a person."""
        return SENTENCES[self.reason]


_STUCK = frozenset(
    {Reason.SESSION_NOT_CONNECTED, Reason.SERVER_DOWN, Reason.UNCONFIRMED, Reason.NUMBER_LOCK, Reason.BACKOFF}
)
"""What keeps a sender from sending at all; its delay only makes it wait."""


def of_lane(lane: LaneView, now: float) -> Wait | None:
    """What a sender waits for; None if nothing keeps it."""
    if lane.state != SessionState.CONNECTED or not lane.server_up:
        connected = lane.state == SessionState.CONNECTED
        return Wait(Reason.SERVER_DOWN if connected else Reason.SESSION_NOT_CONNECTED, number=lane.number)
    if lane.uncertain_until is not None:
        return Wait(Reason.UNCONFIRMED, lane.uncertain_until, lane.number)
    if lane.locked_until > now:
        return Wait(Reason.NUMBER_LOCK, lane.locked_until, lane.number)
    if lane.resting_code and lane.resting_until > now:
        return Wait(Reason(lane.resting_code), lane.resting_until, lane.number)
    if lane.ready_at > now:
        return Wait(Reason.MESSAGE_DELAY, lane.ready_at, lane.number)
    return None


def earliest_start(lanes: list[LaneView], now: float) -> tuple[float, list[LaneView]] | None:
    """When the next message may leave, and the lanes that go on then; None while that depends on a person.

    Senders that only rest between two messages go first; without any, the first whose hindrance ends by itself.
    """
    waits = [(lane, of_lane(lane, now)) for lane in lanes]
    free = [lane for lane, wait in waits if wait is None or wait.reason is Reason.MESSAGE_DELAY]
    if free:
        return max(now, min(lane.ready_at for lane in free)), free
    later = [(wait.until, lane) for lane, wait in waits if wait is not None and wait.until is not None]
    if not later:
        return None
    return max(now, min(until for until, _ in later)), [lane for _, lane in later]


def of_campaign(state: str, lanes: list[LaneView], gate_at: float | None, pending: int, now: float) -> list[Wait]:
    """What a campaign with `pending` messages waits for; `gate_at` is when its switch delay is over."""
    if not pending:
        return []
    if state == CampaignState.PAUSED:
        return [Wait(Reason.PAUSED)]
    if state == CampaignState.SCHEDULED:
        return [Wait(Reason.SCHEDULED)]
    waits = [wait for lane in lanes if (wait := of_lane(lane, now)) is not None]
    somebody_can = sum(wait.reason in _STUCK for wait in waits) < len(lanes)
    if gate_at is not None and gate_at > now and somebody_can:
        waits.append(Wait(Reason.SENDER_SWITCH_DELAY, gate_at))
    return waits


def of_message(
    campaign_waits: list[Wait], senders: int, *, not_before: float, now: float, is_next: bool, number: str | None
) -> Wait | None:
    """What one queued message waits for; None if it goes now.

    `senders` is how many its campaign has, `is_next` tells that no message is before it, and `number` is the sender
    that it was dealt to (None: nobody yet).
    """
    halted = next((wait for wait in campaign_waits if wait.reason in (Reason.PAUSED, Reason.SCHEDULED)), None)
    if halted is not None:
        return halted
    if not_before > now:
        return Wait(Reason.BACKOFF, not_before, number)
    nobody_can = sum(wait.reason in _STUCK for wait in campaign_waits) >= senders
    if not is_next and number is None and not nobody_can:
        return Wait(Reason.NOT_ITS_TURN)
    own = [wait for wait in campaign_waits if number is None or wait.number in (None, number)]
    return max(own, key=lambda wait: (wait.reason in _STUCK, wait.until or 0.0), default=None)

"""What becomes of a schedule whose time has come. Pure; epoch seconds."""

from dataclasses import dataclass

from campaigns.durations import told


@dataclass(frozen=True, slots=True)
class View:
    """A schedule at the moment `now`, as the tables show it.

    `starts_at` is its time, or that of send-now; in local time it is when the last clock on earth shows it.
    `has_content`: its template and its group are there. `able` is how many senders could begin with it: of those that
    were `named`, or of the account; `unreachable` are those that are connected on servers that do not answer. `waited`:
    it has been looked at before, and there was no sender.
    """

    now: float
    starts_at: float
    max_lateness: float
    expires_at: float | None
    has_content: bool
    recipients: int
    most_recipients: int
    able: int
    unreachable: int
    named: bool
    waited: bool


@dataclass(frozen=True, slots=True)
class Begin:
    """Read its recipients, and send."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody can send it now; look again at `until`."""

    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Nothing of it is sent."""

    reason: str


Decision = Begin | Wait | Fail

_SERVERS = "the WAHA servers of its senders"
NOBODY = "there is nobody in its group"
LOOK_AGAIN_SECONDS = 5.0
"""How often a schedule that has no sender is looked at."""


def decide(view: View) -> Decision:
    """Begin it, wait for a sender, or say why it cannot be sent."""
    if view.now - view.starts_at > view.max_lateness:
        return Fail(_too_late(view))
    if (reason := _hopeless(view)) is not None:
        return Fail(reason)
    if not view.able:
        until = min(view.now + LOOK_AGAIN_SECONDS, view.starts_at + view.max_lateness + 1.0)
        if view.unreachable:
            return Wait(until, f"{_SERVERS} do not answer: it begins as soon as one does")
        return Wait(until, f"{_nobody(view)} is connected: it begins as soon as one is")
    return Begin()


def _hopeless(view: View) -> str | None:
    """Why waiting would not help it; None if it would."""
    if view.expires_at is not None and view.expires_at <= view.now:
        return "its latest time was over before it could begin"
    if not view.has_content:
        return "its message or its group is not there any more"
    if not view.recipients:
        return NOBODY
    if view.recipients > view.most_recipients:
        most = f"at most {view.most_recipients} are possible (limits.recipients_per_campaign)"
        return f"its group has {view.recipients} recipients, {most}"
    return None


def _too_late(view: View) -> str:
    if view.waited and view.unreachable:
        return f"{_SERVERS} did not answer within {told(view.max_lateness)} of its time"
    if view.waited:
        return f"{_nobody(view)} was connected within {told(view.max_lateness)} of its time"
    late = told(view.now - view.starts_at)
    return f"it was {late} late, and may be at most {told(view.max_lateness)} (max_lateness)"


def _nobody(view: View) -> str:
    return "none of its senders" if view.named else "no sender of the account"

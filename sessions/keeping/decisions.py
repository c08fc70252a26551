"""What to do about one session, from what it is meant to be and what it is. Pure: no database, no clock, no network.

Each engine comes back in its own way, and most of what looks broken mends itself. So a session is left alone while its
engine, its server or its person is at work on it; then it is helped, after longer and longer pauses. Where help is in
vain, only its phone or a person can help, and that is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType

from gateway.waha.schemas import WahaStatus
from sessions.lifecycle import LOGIN_IS_GONE
from sessions.models import Desired, SessionState
from sessions.pairing.qr_codes import PAIRING_SECONDS

FAILED_SECONDS: Mapping[str, float] = MappingProxyType({"WEBJS": 15.0, "WPP": 15.0})
"""How long a failed session is left alone: these two start again by themselves after 2 s, the others never do."""
STARTING_SECONDS: Mapping[str, float] = MappingProxyType({"NOWEB": 180.0, "WEBJS": 300.0, "WPP": 300.0})
STARTING_SECONDS_ELSE = 600.0
"""GOWS connects again by itself, after longer and longer pauses."""
STOPPED_SECONDS = 5.0
"""A session that somebody restarts is STOPPED for up to 3 s."""
UNATTENDED_SECONDS = 10.0
"""An open pairing that nothing works on: whoever opened it has died before starting the session."""
OVERDUE_SECONDS = 30.0
"""A code that was scanned in its last second may still lead to a pairing for so long."""

PAUSES = (5.0, 15.0, 60.0, 300.0, 900.0, 1800.0)
"""After each attempt: seconds until the next one. The last holds for all that follow."""
ATTEMPTS = 12
"""After so many (some four hours) a person is asked."""
REJECTED_SECONDS = 20.0
"""Failed again so soon after an attempt: WhatsApp does not take the login. Out of reach, it takes minutes to fail."""
HEALTHY_SECONDS = 60.0
"""Connected for so long, its earlier troubles are forgotten."""
CONFIGURE_SECONDS = 86_400.0
RETARGET_SECONDS = 600.0
"""Configuring restarts a session: once a day at most, or once in ten minutes where its events go astray."""


class Step(StrEnum):
    """What is to be done."""

    REST = auto()
    FORGIVE = auto()
    FINISH_DELETE = auto()
    FINISH_MOVE = auto()
    STOP = auto()
    START = auto()
    RESTART = auto()
    CONFIGURE = auto()
    CLOSE_PAIRING = auto()
    EXPIRE = auto()
    GIVE_UP = auto()


class Drift(StrEnum):
    """What of our configuration a session lacks at WAHA."""

    NONE = auto()
    CONFIG = auto()
    WEBHOOK = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One session as it is meant to be and as it is. Times are epoch seconds of one clock.

    `waha` is WAHA's status, None where its server does not know the session, and `since` when that was first heard.
    `young`: its server may still be bringing its sessions back. `others_work`: some other session of the server works,
    or it has none; where nothing works, the trouble is not this session's.
    """

    desired: Desired = Desired.RUNNING
    state: SessionState = SessionState.CONNECTED
    state_at: float = 0.0
    waha: WahaStatus | None = WahaStatus.WORKING
    since: float = 0.0
    engine: str = "GOWS"
    paired: bool = True
    requires_auth: bool = False
    pairing_until: float | None = None
    moving: bool = False
    repairs: int = 0
    repair_at: float = 0.0
    repaired_at: float | None = None
    rejections: int = 0
    drift: Drift = Drift.NONE
    configured_at: float | None = None
    young: bool = False
    others_work: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why, for people. `rejections` is how often in a row WhatsApp has not taken the login by now."""

    step: Step
    reason: str = ""
    rejections: int = 0


REST = Decision(Step.REST)
_AT_REST = (None, WahaStatus.STOPPED)


def decide(view: View, now: float) -> Decision:
    """The next step for a session that nobody else is at work on."""
    if view.desired is Desired.DELETED:
        return _when_due(view, now, Decision(Step.FINISH_DELETE, "it was to be removed, which had not been finished"))
    if view.moving:
        return _when_due(view, now, Decision(Step.FINISH_MOVE, "it was to be moved, which had not been finished"))
    if view.desired is Desired.STOPPED:
        stop = Decision(Step.STOP, f"it is meant to be stopped, and WAHA says {view.waha}")
        return _forgive(view) if view.waha in _AT_REST else _when_due(view, now, stop)
    if view.pairing_until is not None and (now < view.pairing_until or not view.paired):
        return _decide_in_pairing(view, view.pairing_until, now)
    if view.requires_auth:
        return REST
    return _decide_working(view, now) if view.waha is WahaStatus.WORKING else _decide_broken(view, now)


def pause(attempts: int, jitter: float) -> float:
    """Seconds from an attempt to the next one, after so many; `jitter` from 0 to 1 lengthens it by up to a quarter."""
    return PAUSES[min(max(attempts, 1), len(PAUSES)) - 1] * (1.0 + jitter / 4)


def attempts_after(attempts: int, *, others_work: bool) -> int:
    """The number of attempts after one more; while nothing works they only lengthen the pause, and use nobody up."""
    return attempts + 1 if others_work else max(attempts, min(attempts + 1, len(PAUSES)))


def _decide_in_pairing(view: View, until: float, now: float) -> Decision:
    """An open pairing is its person's, unless nothing was ever started for it; one that has run out is closed."""
    opened_at = until - PAIRING_SECONDS
    if now >= until:
        ended = view.waha in (*_AT_REST, WahaStatus.FAILED, WahaStatus.STARTING)
        return Decision(Step.CLOSE_PAIRING) if ended and now >= until + OVERDUE_SECONDS else REST
    idle = view.waha in _AT_REST or (view.waha is WahaStatus.FAILED and view.since < opened_at)
    if not idle or view.young or now - max(opened_at, view.since) <= UNATTENDED_SECONDS:
        return REST
    return _when_due(view, now, Decision(Step.START, "a pairing was opened, and nothing shows its code"))


def _decide_working(view: View, now: float) -> Decision:
    if view.state is not SessionState.CONNECTED:
        return REST
    if now - view.state_at > HEALTHY_SECONDS and _forgive(view) is not REST:
        return _forgive(view)
    if view.drift is Drift.NONE or view.young:
        return REST
    rest = CONFIGURE_SECONDS if view.drift is Drift.CONFIG else RETARGET_SECONDS
    if view.configured_at is not None and now - view.configured_at < rest:
        return REST
    return _when_due(view, now, Decision(Step.CONFIGURE, "WAHA had lost or changed our part of its configuration"))


def _decide_broken(view: View, now: float) -> Decision:
    """Paired, meant to run, and not working."""
    trouble = _trouble_of(view, now)
    if trouble is None or view.young:
        return REST
    rejections = view.rejections + 1 if _was_rejected(view) else 0
    if rejections >= LOGIN_IS_GONE:
        tries = f"{rejections} attempts in a row failed at once"
        return Decision(Step.EXPIRE, f"WhatsApp does not take its login any more ({tries}); scan again", rejections)
    if view.repairs >= ATTEMPTS and view.others_work:
        advice = "start it again, or log it out and scan anew"
        return Decision(Step.GIVE_UP, f"{trouble.reason}, after {view.repairs} attempts in vain; {advice}")
    return _when_due(view, now, Decision(trouble.step, trouble.reason, rejections))


def _trouble_of(view: View, now: float) -> Decision | None:
    """What would help, once the engine has had its time; None while it has, or where only a person can tell."""
    waited = now - view.since
    match view.waha:
        case None:
            return Decision(Step.START, "its WAHA server does not know it any more")
        case WahaStatus.STOPPED if waited >= STOPPED_SECONDS:
            return Decision(Step.START, "it is meant to run, and WAHA says STOPPED")
        case WahaStatus.FAILED if waited >= FAILED_SECONDS.get(view.engine, 0.0):
            return Decision(Step.RESTART, "WAHA says FAILED")
        case WahaStatus.STARTING if waited >= STARTING_SECONDS.get(view.engine, STARTING_SECONDS_ELSE):
            return Decision(Step.RESTART, f"it has been STARTING for {waited / 60:.0f} minutes")
        case _:
            return None


def _was_rejected(view: View) -> bool:
    if view.waha is not WahaStatus.FAILED or view.repaired_at is None or not view.repairs:
        return False
    return 0.0 <= view.since - view.repaired_at <= REJECTED_SECONDS


def _forgive(view: View) -> Decision:
    return Decision(Step.FORGIVE) if view.repairs or view.rejections else REST


def _when_due(view: View, now: float, decision: Decision) -> Decision:
    return decision if now >= view.repair_at else REST

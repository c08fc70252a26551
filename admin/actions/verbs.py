"""What an operator can do to the state of a row, and in which states: nothing but what the services allow."""

from dataclasses import dataclass
from enum import StrEnum

from campaigns.sending.models import CampaignState, MessageState
from sessions.models import SessionState


class Subject(StrEnum):
    """The tables whose rows have states that an operator may change."""

    CAMPAIGN = "campaign"
    MESSAGE = "message"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do: its word for programs, its title and what it means for people, and the states it begins in."""

    subject: Subject
    name: str
    title: str
    meaning: str
    states: tuple[str, ...]


_C, _M, _S = CampaignState, MessageState, SessionState
_RUNS = (_S.STARTING, _S.WAITING_FOR_SCAN, _S.SCANNED, _S.CONNECTED)
VERBS = (
    Verb(
        Subject.CAMPAIGN,
        "pause",
        "Pause",
        "Nothing more is sent until it is resumed; what is in flight is finished.",
        (_C.QUEUED, _C.RUNNING),
    ),
    Verb(Subject.CAMPAIGN, "resume", "Resume", "It goes on.", (_C.PAUSED,)),
    Verb(
        Subject.CAMPAIGN,
        "retry",
        "Retry what has failed",
        "The failed messages are queued again, and the campaign goes on.",
        (_C.RUNNING, _C.PAUSED, _C.COMPLETED_WITH_ERRORS, _C.FAILED),
    ),
    Verb(
        Subject.CAMPAIGN,
        "cancel",
        "Cancel",
        "Nothing more of it is ever sent.",
        (_C.SCHEDULED, _C.QUEUED, _C.RUNNING, _C.PAUSED),
    ),
    Verb(
        Subject.MESSAGE,
        "resend",
        "Send again",
        "Nobody can tell whether it was sent. It may arrive twice.",
        (_M.UNCONFIRMED,),
    ),
    Verb(
        Subject.MESSAGE,
        "accept",
        "Take as sent",
        "Nobody can tell whether it was sent; you say that it was.",
        (_M.UNCONFIRMED,),
    ),
    Verb(Subject.MESSAGE, "retry", "Retry", "It is queued again, and its campaign goes on.", (_M.FAILED,)),
    Verb(Subject.MESSAGE, "cancel", "Cancel", "It is never sent; the others of its campaign are.", (_M.QUEUED,)),
    Verb(Subject.SESSION, "start", "Start", "It is started at its server.", (_S.STOPPED, _S.FAILED, _S.EXPIRED)),
    Verb(
        Subject.SESSION,
        "restart",
        "Restart",
        "It is stopped and started anew, and stays paired.",
        (*_RUNS, _S.FAILED, _S.EXPIRED),
    ),
    Verb(
        Subject.SESSION,
        "stop",
        "Stop",
        "It stays paired, and its messages wait.",
        (*_RUNS, _S.FAILED, _S.EXPIRED),
    ),
    Verb(
        Subject.SESSION,
        "logout",
        "Log out",
        "Its phone is unlinked. To send again it has to scan again.",
        (_S.STOPPED, _S.CONNECTED, _S.FAILED, _S.EXPIRED),
    ),
)


def verbs_for(table: str, state: str) -> list[Verb]:
    """What can be done to a row of a table that is in a state."""
    return [verb for verb in VERBS if verb.subject == table and state in verb.states]


def find_verb(subject: Subject, name: str) -> Verb | None:
    """A verb by its word."""
    return next((verb for verb in VERBS if (verb.subject, verb.name) == (subject, name)), None)

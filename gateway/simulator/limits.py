"""What WhatsApp allows an account: whether it may begin new chats, how many, and how often it may look numbers up.

They belong to the number, not to its session: neither a restart nor a new pairing lifts them. Times are seconds of the
simulator's clock; those that are told to others are seconds since the epoch.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gateway.simulator.clock import SimClock, Timer
from gateway.simulator.errors import EngineFault, JsonObject
from gateway.simulator.events import EventHub
from gateway.simulator.session import RunningSession
from gateway.simulator.stored import Status, StoredSession

MINUTE = 60.0
DEFAULT_ENFORCEMENT = "DEFAULT"
DEFAULT_LENGTHEN_SECONDS = 600.0
DEFAULT_CYCLE_SECONDS = 30 * 86_400.0
RESTRICTED = 463
PEOPLE = ("@c.us", "@lid")


@dataclass(slots=True)
class Timelock:
    """No new chats until `ends` (of the simulator's clock); `told` says whether the account hears of it."""

    ends: float
    told: bool
    enforcement: str = DEFAULT_ENFORCEMENT
    lengthen_seconds: float = DEFAULT_LENGTHEN_SECONDS
    reach_outs: int = 0
    """How many sends to new contacts were refused while it was in force."""


@dataclass(slots=True)
class Capping:
    """How many new chats may be begun in one cycle; a quota of -1 is none. `status` None follows the use."""

    total: int
    used: int
    starts: float
    seconds: float
    status: str | None = None

    def to_json(self, clock: SimClock) -> JsonObject:
        """As `me.messageCapping` tells it."""
        spent = 0 <= self.total <= self.used
        return {
            "cappingStatus": self.status or ("CAPPED" if spent else "NONE"),
            "totalQuota": self.total,
            "usedQuota": self.used,
            "cycleStart": moment(clock, self.starts),
            "cycleEnd": moment(clock, self.starts + self.seconds),
        }


@dataclass(slots=True)
class Account:
    """What WhatsApp keeps about one number."""

    contacts: set[str] = field(default_factory=set)
    asked: deque[float] = field(default_factory=deque)
    timelock: Timelock | None = None
    capping: Capping | None = None
    ending: Timer | None = None


class Limits:
    """The limits of all accounts; `check_limit` is how many look-ups each has per minute, None for any number."""

    def __init__(
        self,
        clock: SimClock,
        hub: EventHub,
        sessions: Callable[[], Collection[RunningSession]],
        check_limit: int | None,
    ) -> None:
        self.check_limit = check_limit
        self._clock = clock
        self._hub = hub
        self._sessions = sessions
        self._accounts: defaultdict[str | None, Account] = defaultdict(Account)

    def account(self, stored: StoredSession) -> Account:
        """The account that a session is paired with."""
        return self._accounts[stored.phone]

    def met(self, stored: StoredSession, chat_id: str) -> None:
        """A message went to this chat or came from it: from now on it is a known contact."""
        account = self.account(stored)
        if _is_new(account, chat_id):
            account.contacts.add(chat_id)

    def admits(self, stored: StoredSession, chat_id: str) -> str | None:
        """Judge a send, and count it against the quota if it begins a chat; a word says why it is refused."""
        account = self.account(stored)
        if not _is_new(account, chat_id):
            return None
        if account.timelock is not None:
            self._reached_out(account, account.timelock)
            return "timelock"
        capping = self._present_capping(account)
        if capping is None:
            return None
        if 0 <= capping.total <= capping.used:
            return "capped"
        capping.used += 1
        self._tell_me(stored)
        return None

    def ask(self, stored: StoredSession) -> None:
        """A session looks a number up: EngineFault when its account did so too often within the last minute."""
        if self.check_limit is None:
            return
        asked, now = self.account(stored).asked, self._clock.elapsed()
        while asked and asked[0] <= now - MINUTE:
            asked.popleft()
        if len(asked) >= self.check_limit:
            raise rate_overlimit()
        asked.append(now)

    def lock(self, stored: StoredSession, seconds: float, *, told: bool, enforcement: str, lengthen: float) -> None:
        """Allow no new chats for so long, in place of any lock before; 0 ends it now."""
        account = self.account(stored)
        if seconds > 0:
            account.timelock = Timelock(self._clock.elapsed() + seconds, told, enforcement, lengthen)
            self._watch(account, account.timelock)
        elif account.ending is not None:
            self._clock.cancel(account.ending)
            self._end(account)

    def cap(self, stored: StoredSession, capping: Capping | None) -> None:
        """Give the account a quota of new chats, or none."""
        self.account(stored).capping = capping
        self._tell_me(stored)

    def session_works(self, session: RunningSession) -> None:
        """A session has just become WORKING: it learns what its account may do, and tells of a lock in force."""
        self._tell_me(session.stored)
        timelock = self.account(session.stored).timelock
        if timelock is not None and timelock.told:
            self._tell_event(session)

    def timelock_json(self, stored: StoredSession) -> JsonObject:
        """What the control routes tell of the lock, seconds left included."""
        timelock = self.account(stored).timelock
        if timelock is None:
            return {"active": False, "seconds_left": 0.0, "reach_outs": 0}
        left = max(0.0, timelock.ends - self._clock.elapsed())
        return {"active": True, "seconds_left": left, "reach_outs": timelock.reach_outs}

    def capping_json(self, stored: StoredSession) -> JsonObject | None:
        """The quota as `me.messageCapping` tells it."""
        capping = self._present_capping(self.account(stored))
        return None if capping is None else capping.to_json(self._clock)

    def _reached_out(self, account: Account, timelock: Timelock) -> None:
        """The first refusal tells the sender of the lock; each one after it makes the lock longer."""
        timelock.reach_outs += 1
        if timelock.reach_outs > 1 and timelock.lengthen_seconds > 0:
            timelock.ends += timelock.lengthen_seconds
            self._watch(account, timelock)

    def _watch(self, account: Account, timelock: Timelock) -> None:
        """Tell that the lock has begun or has another end, and wait for that end with one timer."""
        if account.ending is not None:
            self._clock.cancel(account.ending)
        seconds = timelock.ends - self._clock.elapsed()
        account.ending = self._clock.call_later(max(0.0, seconds), lambda: self._end(account))
        if timelock.told:
            self._tell(account)

    def _end(self, account: Account) -> None:
        timelock, account.timelock, account.ending = account.timelock, None, None
        if timelock is not None and timelock.told:
            self._tell(account, over=timelock)

    def _tell(self, account: Account, over: Timelock | None = None) -> None:
        for session in self._sessions():
            if self._accounts[session.stored.phone] is account:
                self._tell_me(session.stored, over)
                if session.status is Status.WORKING:
                    self._tell_event(session)

    def _tell_event(self, session: RunningSession) -> None:
        """WORKING once more, though nothing changed but what `data` says."""
        data = {"reachoutTimelock": (session.stored.me or {}).get("reachoutTimelock")}
        payload = {
            "name": session.name,
            "status": session.status.value,
            "statuses": session.statuses,
            "data": data,
        }
        self._hub.emit(session, "session.status", lambda: payload)

    def _tell_me(self, stored: StoredSession, over: Timelock | None = None) -> None:
        """Write into `me` what the account hears of its limits."""
        account = self.account(stored)
        if stored.me is None:
            return
        me = {key: value for key, value in stored.me.items() if key not in ("messageCapping", "reachoutTimelock")}
        timelock = account.timelock or over
        if timelock is not None and timelock.told:
            me["reachoutTimelock"] = {
                "isActive": over is None,
                "enforcementType": timelock.enforcement,
                "timeEnforcementEnds": moment(self._clock, timelock.ends),
            }
        if (capping := self._present_capping(account)) is not None:
            me["messageCapping"] = capping.to_json(self._clock)
        stored.me = me

    def _present_capping(self, account: Account) -> Capping | None:
        """The quota as of now: a new cycle begins with nothing used."""
        capping = account.capping
        if capping is not None and (past := self._clock.elapsed() - capping.starts) >= capping.seconds:
            capping.starts += past // capping.seconds * capping.seconds
            capping.used = 0
        return capping


def rate_overlimit() -> EngineFault:
    """WhatsApp's word for too many look-ups."""
    return EngineFault("rate-overlimit", data=429)


def moment(clock: SimClock, elapsed: float) -> int:
    """A moment of the simulator's clock as seconds since the epoch, at its present speed."""
    return round(clock.now() + clock.real(elapsed - clock.elapsed()))


def _is_new(account: Account, chat_id: str) -> bool:
    return chat_id.endswith(PEOPLE) and chat_id not in account.contacts

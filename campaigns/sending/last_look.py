"""The last look before a message leaves: whether its recipient has opted out since it was claimed.

On SQLite one process writes everything, and what it stops it holds against each message itself (`stops.py`), but not
for ever: what was claimed some time ago, because its number was being checked, is asked for. On PostgreSQL another
replica may have stored it, so the database is asked once more, a moment before: so early that its answer is there when
a message leaves. Messages that leave within some milliseconds share one statement. Where the database does not answer,
nothing leaves. Of what has waited longer than messages are claimed ahead, it is asked, too, whether its campaign was
halted: the halt may be another replica's, which has told nobody.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Integer, String, exists, or_, select
from sqlalchemy.exc import SQLAlchemyError

from campaigns.audience.optouts.queries import suppressed
from campaigns.audience.optouts.stops import KEEP_SECONDS
from campaigns.sending.models import CampaignState
from campaigns.sending.outcomes import Claim
from campaigns.sending.tables import campaign
from gateway.batch import batch, pack
from gateway.clock import Clock
from gateway.db import ID, Database
from gateway.politeness import politely

log = structlog.get_logger()

GOOD_SECONDS = 0.05
"""A look that began longer ago is made again."""
TRIES = 5
AT_ONCE = 8
"""How many messages leave before others get their turn: the next claim waits for its database's answers meanwhile."""

LONG_SECONDS = 0.5
"""What was claimed so long ago has waited for more than its moment."""
AHEAD_SECONDS = 0.02
"""How long before a message leaves its look is made at the latest; and those that leave in twice that share it."""

_asked = batch("asked", place=Integer(), person=String(), account_id=String(), owner=String(), campaign_id=ID)
_is_halted = exists(
    select(campaign.c.id).where(
        campaign.c.id == _asked.c.campaign_id, campaign.c.state.in_((CampaignState.PAUSED, CampaignState.CANCELLED))
    )
)
_has_opted_out = suppressed(_asked.c.person, _asked.c.account_id, _asked.c.owner)
_LOOK = select(_asked.c.place).where(_has_opted_out)
_LONG_LOOK = select(_asked.c.place).where(or_(_has_opted_out, _is_halted))


@dataclass(slots=True, eq=False)
class _Look:
    """One claim that is asked for, which has waited `long`: the `answer` is whether it may leave, as of `began_at`."""

    claim: Claim
    answer: asyncio.Future[bool]
    long: bool = False
    began_at: float = 0.0


class LastLook:
    """Asks whether claimed messages may still leave.

    `armed` gives the claims that are to leave, and when, on this process's own clock.
    """

    def __init__(self, db: Database, clock: Clock, armed: Callable[[], Iterable[tuple[float, Claim]]]) -> None:
        self._db = db
        self._clock = clock
        self._armed = armed
        self._waiting: list[_Look] = []
        self._ahead: dict[int, _Look] = {}
        """By sender: those that were asked for before they left."""
        self._ask_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def expect(self, leaves_at: float) -> None:
        """A message is armed, and leaves then: have it asked for before."""
        if not self._db.is_sqlite and leaves_at - AHEAD_SECONDS < self._ask_at:
            self._ask_at = leaves_at - AHEAD_SECONDS
            self._set_timer()

    async def may_leave(self, claim: Claim, claimed_at: float) -> bool:
        """Whether what was claimed then (monotonic) may be sent now."""
        waited = self._clock.monotonic() - claimed_at
        long = waited > LONG_SECONDS
        if (self._db.is_sqlite and waited < KEEP_SECONDS / 2) or (not claim.person and not long):
            return True
        look = self._ahead.pop(claim.sender_id, None)
        if long or look is None or look.claim is not claim or not self._is_good(look):
            look = self._ask(claim, long=long)
        for _ in range(TRIES):
            if not await look.answer:
                return False
            if self._is_good(look):
                return True
            look = self._ask(claim, long=long)
        log.warning("last_look_too_slow", message_id=claim.message_id)
        return False

    def _is_good(self, look: _Look) -> bool:
        return self._clock.monotonic() - look.began_at <= GOOD_SECONDS

    def _ask(self, claim: Claim, *, long: bool) -> _Look:
        look = _new_look(claim, long=long)
        self._waiting.append(look)
        self._begin()
        return look

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer_all(), name="last look")

    def _set_timer(self) -> None:
        """Begin when the next messages are to be asked for, unless somebody does before."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ask_at < math.inf:
            self._timer = self._clock.call_later(max(0.0, self._ask_at - self._clock.monotonic()), self._begin)

    async def _answer_all(self) -> None:
        while True:  # at least once: a timer may be early
            began_at = self._clock.monotonic()
            looks, self._waiting = self._waiting + self._look_ahead(began_at + 2 * AHEAD_SECONDS), []
            for look in looks:
                look.began_at = began_at
            if looks:
                await self._answer(looks)
            if not self._waiting and self._ask_at > self._clock.monotonic():
                return

    async def _answer(self, looks: Sequence[_Look]) -> None:
        refused = set[int]()
        try:
            refused = await self._look([look.claim for look in looks], long=any(look.long for look in looks))
        except (SQLAlchemyError, OSError) as error:
            log.error("last_look_failed", error=str(error), messages=len(looks))
            refused = set(range(len(looks)))
        async for place, look in politely(enumerate(looks), AT_ONCE):
            if not look.answer.done():  # whoever asked may have been cancelled
                look.answer.set_result(place not in refused)

    def _look_ahead(self, until: float) -> list[_Look]:
        """Looks for those that leave until then, and were not asked for; the next are asked for when it is time."""
        if self._db.is_sqlite:
            return []
        armed = list(self._armed())
        looks = [_new_look(claim) for at, claim in armed if at <= until and self._is_to_be_asked_for(claim)]
        self._ahead.update((look.claim.sender_id, look) for look in looks)
        self._ask_at = min((at for at, _ in armed if at > until), default=math.inf) - AHEAD_SECONDS
        self._set_timer()
        return looks

    def _is_to_be_asked_for(self, claim: Claim) -> bool:
        known = self._ahead.get(claim.sender_id)
        return bool(claim.person) and (known is None or known.claim is not claim)

    async def _look(self, claims: Sequence[Claim], *, long: bool) -> set[int]:
        """The places of those that may not leave."""
        rows = [(place, claim.person, *_two(claim.accounts), claim.campaign_id) for place, claim in enumerate(claims)]
        async with self._db.ask() as connection:
            return set((await connection.execute(_LONG_LOOK if long else _LOOK, {"asked": pack(rows)})).scalars())


def _new_look(claim: Claim, *, long: bool = False) -> _Look:
    return _Look(claim, asyncio.get_running_loop().create_future(), long)


def _two(accounts: Sequence[str]) -> tuple[str, str]:
    """The campaign's account and the sender's, which mostly is the same one."""
    return accounts[0], accounts[-1]

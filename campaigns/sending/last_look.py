"""The last look before a message leaves: whether its recipient has opted out since it was claimed.

On SQLite one process writes everything, and what it stops it holds against each message itself (`stops.py`). On
PostgreSQL another replica may have stored the opt-out, so the database is asked once more. Messages that are fired at
about the same moment share one statement. Where the database does not answer, nothing leaves.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy import Integer, String, select
from sqlalchemy.exc import SQLAlchemyError

from campaigns.audience.optouts.queries import suppressed
from campaigns.sending.outcomes import Claim
from gateway.batch import batch, pack
from gateway.clock import Clock
from gateway.db import Database

log = structlog.get_logger()

GOOD_SECONDS = 0.05
"""A look that began longer ago is made again."""
TRIES = 5
AT_ONCE = 8
"""How many messages leave before others get their turn: the next claim waits for its database's answers meanwhile."""

_asked = batch("asked", place=Integer(), person=String(), account_id=String(), owner=String())
_LOOK = select(_asked.c.place).where(suppressed(_asked.c.person, _asked.c.account_id, _asked.c.owner))
_Question = tuple[Claim, asyncio.Future[float | None]]


class LastLook:
    """Asks whether claimed messages may still leave."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._waiting: list[_Question] = []
        self._task: asyncio.Task[None] | None = None

    async def may_leave(self, claim: Claim) -> bool:
        """Whether the recipient may be written to now; on SQLite nothing is asked."""
        if self._db.is_sqlite or not claim.person:
            return True
        for _ in range(TRIES):
            began_at = await self._ask(claim)
            if began_at is None:
                return False
            if self._clock.monotonic() - began_at <= GOOD_SECONDS:
                return True
        log.warning("last_look_too_slow", message_id=claim.message_id)
        return False

    async def _ask(self, claim: Claim) -> float | None:
        """When the look began that found nothing against it; None where it may not leave."""
        future: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer_all(), name="last look")
        return await future

    async def _answer_all(self) -> None:
        while self._waiting:
            questions, self._waiting = self._waiting, []
            began_at, refused = self._clock.monotonic(), set[int]()
            try:
                refused = await self._look([claim for claim, _ in questions])
            except (SQLAlchemyError, OSError) as error:
                log.error("last_look_failed", error=str(error), messages=len(questions))
                refused = set(range(len(questions)))
            for place, (_, future) in enumerate(questions):
                if place and place % AT_ONCE == 0:
                    await asyncio.sleep(0)
                if not future.done():  # whoever asked may have been cancelled
                    future.set_result(None if place in refused else began_at)

    async def _look(self, claims: Sequence[Claim]) -> set[int]:
        """The places of those that may not leave."""
        rows = [(place, claim.person, *_two(claim.accounts)) for place, claim in enumerate(claims)]
        async with self._db.ask() as connection:
            return set((await connection.execute(_LOOK, {"asked": pack(rows)})).scalars())


def _two(accounts: Sequence[str]) -> tuple[str, str]:
    """The campaign's account and the sender's, which mostly is the same one."""
    return accounts[0], accounts[-1]

"""A schedule of faults that follows from its seed alone, and whoever carries it out."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from campaigns.sending.models import OPEN_STATES
from campaigns.sending.tables import campaign
from gateway.simulator.stored import Status
from tests.faults.harness.replica import Replica
from tests.faults.harness.stage import Stage
from tests.faults.harness.waiting import last

TERMINATE = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
OPEN_CAMPAIGNS = 6
FED_MESSAGES = 60
_OPEN = select(func.count()).select_from(campaign).where(campaign.c.state.in_(OPEN_STATES))
WAHA_FAULTS = ("error_500", "error_500_after", "cut_before", "cut_after", "hang_then_deliver", "hang_before")


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: seconds after the one before it, its kind, and a number from 0 to 1 for whatever it needs."""

    pause: float
    kind: str
    chance: float

    def __str__(self) -> str:
        return f"{self.pause:.2f} s: {self.kind} ({self.chance:.3f})"


def plan(seed: int, seconds: float, kinds: Sequence[str]) -> list[Strike]:
    """All strikes of a run: the same for the same seed."""
    rng = random.Random(seed)
    strikes: list[Strike] = []
    while sum(strike.pause for strike in strikes) < seconds:
        strikes.append(Strike(rng.uniform(0.1, 1.5), rng.choice(kinds), rng.random()))
    return strikes


class Nemesis:
    """Carries a plan out on a stage with replicas on PostgreSQL."""

    def __init__(self, stage: Stage, lease_seconds: float) -> None:
        self._stage = stage
        self._lease = lease_seconds
        self._starts = 0
        self._healing: set[asyncio.Task[None]] = set()
        self.kinds: dict[str, Callable[[float], Awaitable[None]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "database": self._end_connections,
            "waha": self._waha,
            "answers": self._cut_answers,
            "delays": self._delays,
            "steer": self._steer,
            "cancel": self._cancel,
            "session": self._session,
        }

    async def run(self, strikes: Sequence[Strike]) -> None:
        """Strike as planned, then wait until all that was to heal has healed."""
        for strike in strikes:
            await last(strike.pause)
            await self.kinds[strike.kind](strike.chance)
            await self._feed()
        await asyncio.gather(*self._healing)
        for waha in self._stage.wahas:
            waha.faults()
            waha.proxy.answers_to_cut = 0
        while self._stage.owes_a_campaign:
            await last(0.1)
            await self._feed()
        for told in self._stage.submitted:
            await self._call(told.campaign_id, "resume")

    async def _feed(self) -> None:
        """Submit one more where few are left: cancelled campaigns send nothing, and the storm is to meet sends."""
        try:
            async with self._stage.db.read() as connection:
                left = (await connection.execute(_OPEN)).scalar_one()
        except SQLAlchemyError:
            return  # a former strike has ended our connection
        if self._stage.owes_a_campaign or left < OPEN_CAMPAIGNS:
            await self._stage.submit_anyhow(FED_MESSAGES)

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._healing.add(task)
        task.add_done_callback(self._healing.discard)

    def _one(self, chance: float) -> Replica | None:
        """A replica, unless it is the last one."""
        alive = [replica for replica in self._stage.replicas if replica.alive]
        return alive[int(chance * len(alive))] if len(alive) > 1 else None

    async def _kill(self, chance: float) -> None:
        victim = self._one(chance)
        if victim is not None:
            await victim.end(signal.SIGKILL)
            self._starts += 1
            await self._stage.launch(f"{self._starts} after {victim.name}"[:40])

    async def _freeze(self, chance: float) -> None:
        victim = self._one(chance)
        if victim is not None:
            victim.tell(signal.SIGSTOP)
            self._later(self._thaw(victim))

    async def _thaw(self, victim: Replica) -> None:
        await last(2 * self._lease)
        victim.tell(signal.SIGCONT)

    async def _end_connections(self, _: float) -> None:
        try:
            async with self._stage.db.read() as connection:
                await connection.execute(TERMINATE)
        except SQLAlchemyError:
            return  # a former strike has ended our own connection

    async def _waha(self, chance: float) -> None:
        fault = WAHA_FAULTS[int(chance * len(WAHA_FAULTS))]
        faults: dict[str, Any] = {fault: 0.3, "hang_seconds": 1.2}
        self._stage.wahas[0].faults(**faults)

    async def _cut_answers(self, chance: float) -> None:
        self._stage.wahas[0].proxy.cut_response(1 + int(chance * 4), only=b"POST /api/send")

    async def _delays(self, chance: float) -> None:
        await self._stage.delays_anyhow(round(0.05 + 0.2 * chance, 2))

    async def _steer(self, chance: float) -> None:
        told = self._stage.submitted[int(chance * len(self._stage.submitted))]
        await self._call(told.campaign_id, "pause")
        self._later(self._resume(told.campaign_id))

    async def _resume(self, campaign_id: str) -> None:
        await last(0.7)
        await self._call(campaign_id, "resume")

    async def _cancel(self, chance: float) -> None:
        told = self._stage.submitted[int(chance * len(self._stage.submitted))]
        await self._call(told.campaign_id, "cancel")

    async def _session(self, chance: float) -> None:
        name = self._stage.senders[int(chance * len(self._stage.senders))]
        await self._stage.wahas[0].server.lifecycle.running[name].force(Status.FAILED)
        self._later(self._rise(name))

    async def _rise(self, name: str) -> None:
        await last(1.0)
        session = self._stage.wahas[0].server.lifecycle.running.get(name)
        if session is not None:
            await session.force(Status.WORKING)

    async def _call(self, campaign_id: str, action: str) -> None:
        """One call through whichever replica answers; what is refused or lost is part of the game."""
        await self._stage.call_anyhow("POST", f"/api/campaigns/{campaign_id}/{action}")

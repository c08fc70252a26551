"""Thirty days of two hundred sessions on three servers, in virtual time: nothing is forgotten, nothing is done twice.

A server restarts every day, WhatsApp is out of reach for twenty minutes every week, and one phone in fifty removes its
device. The gateway looks at each server every ten minutes. What is judged is what happened at WAHA's door.
"""

import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.simulator.journal import LifecycleCall
from sessions.models import Desired, SessionState
from tests.harness.fleet import DAY, HOUR, FleetWorld, MakeFleet, Site, fleets

DAYS = 30
SESSIONS = 200
LOGGED_OUT = SESSIONS // 50
OUTAGE_SECONDS = 1200.0
LATEST_SECONDS = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Absence:
    """A time in which a server could not be asked, or its sessions did not reach WhatsApp."""

    server: str
    start: float
    end: float


class Month:
    """What happens to the fleet: planned by a seed, carried out hour by hour, and written down."""

    def __init__(self, fleet: FleetWorld) -> None:
        self.fleet = fleet
        self.absences: list[Absence] = []
        self.logged_out: set[str] = set()
        self._dice = random.Random(30)

    async def live(self) -> None:
        """Let thirty days pass; the last hours are quiet, so that all can settle."""
        leavers = self._dice.sample(
            [(site, number) for site in self.fleet.sites for number in site.numbers], LOGGED_OUT
        )
        for day in range(DAYS):
            await self.fleet.clock.sleep(6 * HOUR)
            await self._restart(self.fleet.sites[day % len(self.fleet.sites)])
            await self.fleet.clock.sleep(6 * HOUR)
            if day % 7 == 6:
                self._disconnect()
            if day % 7 == 3 and leavers:
                site, number = leavers.pop()
                self.fleet.log_out(site, number)
                self.logged_out.add(number)
            await self.fleet.clock.sleep(12 * HOUR)

    async def _restart(self, site: Site) -> None:
        down = self._dice.uniform(10.0, HOUR)
        now = self.fleet.clock.now()
        self.absences.append(Absence(site.name, now, now + down + len(site.numbers) * 2.0))
        await self.fleet.restart_server(site, down)

    def _disconnect(self) -> None:
        now = self.fleet.clock.now()
        for site in self.fleet.sites:
            site.waha.disconnect(OUTAGE_SECONDS, None)
            self.absences.append(Absence(site.name, now, now + 2 * HOUR))  # until the last failed one is mended


@pytest.fixture
async def make_fleet(tmp_path: Path, sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeFleet]:
    """A gateway with one simulated server for each engine that is named."""
    async with fleets(sqlite_folder, tmp_path, monkeypatch) as make:
        yield make


@pytest.mark.slow
@pytest.mark.virtual_time
@pytest.mark.timeout(900)
async def test_thirty_days_of_two_hundred_sessions_on_three_servers(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet("GOWS", "NOWEB", "WEBJS")
    for index, site in enumerate(fleet.sites):
        await fleet.connect(site, [f"4477009{number:05d}" for number in range(index, SESSIONS, len(fleet.sites))])
    born = fleet.clock.now()
    month = Month(fleet)
    worked = time.process_time()
    await month.live()
    worked = time.process_time() - worked

    rows = await fleet.rows()
    assert len(rows) == SESSIONS
    assert month.logged_out == {number for number, row in rows.items() if row.requires_auth}
    for site in fleet.sites:
        for number in site.numbers:
            row = rows[number]
            assert row.desired == Desired.RUNNING
            assert row.requires_auth or (row.state == SessionState.CONNECTED and site.works(number)), number

    pings = [ping for site in fleet.sites for ping in site.gate.pings]
    late = [told for site in fleet.sites for told in late_pings(site, month, born, fleet.clock.now())]
    calls = [call for site in fleet.sites for call in site.waha.lifecycle.journal.calls]
    assert late == []
    assert len(pings) >= 2 * (SESSIONS - LOGGED_OUT), "thirty days are two pings and a half"
    assert overlapping(calls) == []
    assert all(site.waha.lifecycle.journal.dropped == 0 for site in fleet.sites)
    sys.stdout.write(f"thirty days: {worked:.1f} s of work, {len(pings)} pings, {len(calls)} lifecycle calls\n")


def late_pings(site: Site, month: Month, born: float, end: float) -> list[str]:
    """Sessions that could be pinged for more than two hours after twelve days without activity, and were not."""
    answered: defaultdict[str, list[float]] = defaultdict(list)
    for ping in site.gate.pings:
        answered[ping.session].append(ping.at)
    absences = [absence for absence in month.absences if absence.server == site.name]
    late = []
    for number in set(site.numbers) - month.logged_out:
        times = [born, *answered[number], end]
        for before, after in pairwise(times):
            due = before + 12 * DAY
            if after - due - _away(absences, due, after) > LATEST_SECONDS:
                late.append(f"{number}: {(after - before) / DAY:.2f} days after its last activity")
    return late


def _away(absences: list[Absence], start: float, end: float) -> float:
    return sum(max(0.0, min(end, one.end) - max(start, one.start)) for one in absences)


def overlapping(calls: list[LifecycleCall]) -> list[str]:
    """Calls on one session that began before the one before it was over, those of the server itself included."""
    by_session: defaultdict[str, list[LifecycleCall]] = defaultdict(list)
    for call in calls:
        by_session[call.session].append(call)
    met = []
    for session, mine in by_session.items():
        mine.sort(key=lambda call: call.started_at)
        for first, second in pairwise(mine):
            over = first.ended_at if first.work_ended_at is None else first.work_ended_at
            if over is None or second.started_at < over:
                met.append(f"{session}: {first.verb} and {second.verb}")
    return met

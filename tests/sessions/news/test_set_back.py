"""The database's clock is set back: what is stored of a time to come leaves no session unseen until then."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from sessions.models import SessionState
from sessions.queries import change, server
from tests.harness.fleet import HOUR, FleetWorld, MakeFleet, fleets

pytestmark = pytest.mark.virtual_time

ANN = "447700900001"
SWEEP_SECONDS = 10.0


@pytest.fixture
async def fleet(tmp_path: Path, sqlite_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FleetWorld]:
    """A server with a connected session, of which no events are heard: it is swept."""
    make: MakeFleet
    async with fleets(sqlite_folder, tmp_path, monkeypatch) as make:
        fleet = await make("GOWS", sweep_seconds=SWEEP_SECONDS)
        await fleet.connect(fleet.sites[0], [ANN])
        yield fleet


async def put(fleet: FleetWorld, **values: Any) -> None:
    """Store something of the session."""
    row = await fleet.row(ANN)
    async with fleet.gateway.db.write() as tx:
        await change(tx, row.sender_id, **values)


async def test_a_session_that_was_heard_of_in_the_future_is_seen_by_the_next_sweep(fleet: FleetWorld) -> None:
    """It was starting while the clock was an hour ahead; nobody could send with it for that hour."""
    future = fleet.clock.now() + HOUR
    await put(fleet, state=SessionState.STARTING, waha_status="STARTING", status_at=future, event_at=future)
    await fleet.rest(2 * SWEEP_SECONDS)
    assert (await fleet.row(ANN)).state == SessionState.CONNECTED


@pytest.mark.parametrize(("ahead", "watched"), [(24 * HOUR, True), (120.0, False)])
async def test_a_watch_that_was_taken_in_the_future_is_nobodys(
    fleet: FleetWorld, ahead: float, *, watched: bool
) -> None:
    """A process died, and the clock was set back: its lease would keep others away for as long."""
    await fleet.stop()
    async with fleet.gateway.db.write() as tx:
        until = fleet.clock.now() + ahead
        await tx.execute(update(server).values(listener="a dead replica", listener_until=until))
    await fleet.restart()
    await put(fleet, state=SessionState.STARTING, waha_status="STARTING")
    await fleet.rest(3 * SWEEP_SECONDS)
    assert ((await fleet.row(ANN)).state == SessionState.CONNECTED) is watched

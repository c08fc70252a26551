"""Pings and warnings of a whole gateway in front of simulated servers, over hours of virtual time.

The days before are passed over: what is stored of a session is made so much older. Thirty whole days are lived
through in `tests/acceptance/test_thirty_days.py`.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from sqlalchemy import Engine, event

from gateway.events import SessionNoted
from sessions.models import SessionState
from sessions.queries import change, note_activities
from tests.harness.fleet import DAY, HOUR, FleetWorld, MakeFleet, Site

pytestmark = pytest.mark.virtual_time

ANN, BEN, CAT = "447700900001", "447700900002", "447700900003"


async def one_site(make_fleet: MakeFleet, *numbers: str, sweep_seconds: float = 600.0) -> tuple[FleetWorld, Site]:
    """A gateway and one server on which these numbers are connected."""
    fleet = await make_fleet("GOWS", sweep_seconds=sweep_seconds)
    await fleet.connect(fleet.sites[0], numbers or (ANN,))
    return fleet, fleet.sites[0]


def ping_times(site: Site, number: str = ANN) -> list[float]:
    """When WhatsApp was asked about a session's own number."""
    return [ping.at for ping in site.gate.pings if ping.session == number]


# --- pings


async def test_an_idle_session_is_pinged_about_its_own_number_within_two_hours_of_twelve_days(
    make_fleet: MakeFleet,
) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=11.9)
    born = (await fleet.row(ANN)).last_active
    await fleet.rest(0.1 * DAY - 60)
    assert site.gate.pings == []
    await fleet.rest(2 * HOUR)
    assert [(ping.session, ping.phone, ping.status) for ping in site.gate.pings] == [(ANN, ANN, 200)]
    row = await fleet.row(ANN)
    assert row.last_active == row.pinged_at == pytest.approx(ping_times(site)[0], abs=1)
    assert 12 * DAY <= row.last_active - born <= 12 * DAY + 2 * HOUR
    assert (row.ping_at, row.ping_failures) == (None, 0)
    assert (await fleet.history(ANN)).count("keepalive.pinged") == 1


async def test_an_answered_ping_counts_as_activity_and_is_enough(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=13)
    await fleet.rest(8 * HOUR)
    assert len(ping_times(site)) == 1
    assert (await fleet.row(ANN)).last_active == pytest.approx(ping_times(site)[0], abs=1)


async def test_a_session_that_was_pinged_in_time_is_never_announced_as_expiring(make_fleet: MakeFleet) -> None:
    fleet, _ = await one_site(make_fleet)
    await fleet.age(ANN, last_active=12)
    await fleet.rest(6 * HOUR)
    assert "keepalive.pinged" in await fleet.history(ANN)
    assert "session.expiring" not in await fleet.history(ANN)


async def test_pings_of_one_server_are_spread_and_those_of_two_servers_go_side_by_side(make_fleet: MakeFleet) -> None:
    fleet = await make_fleet("GOWS", "NOWEB")
    numbers = [f"4477009001{index:02d}" for index in range(20)]
    await fleet.connect(fleet.sites[0], numbers[:10])
    await fleet.connect(fleet.sites[1], numbers[10:])
    for number in numbers:
        await fleet.age(number, last_active=12)
    await fleet.rest(2 * HOUR)
    for site in fleet.sites:
        times = sorted(ping.at for ping in site.gate.pings)
        assert len(times) == 10
        assert min(after - before for before, after in pairwise(times)) > 260
    assert abs(fleet.sites[0].gate.pings[0].at - fleet.sites[1].gate.pings[0].at) < 60


async def test_many_sweeps_at_once_plan_one_ping(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=12.5)
    await asyncio.gather(*(fleet.sweep() for _ in range(5)))
    planned = (await fleet.row(ANN)).ping_at
    await fleet.rest(60)
    await fleet.sweep()
    assert (await fleet.row(ANN)).ping_at in (planned, None)
    await fleet.rest(2 * HOUR)
    assert len(site.gate.pings) == 1


async def test_a_ping_that_fell_into_the_absence_of_its_server_is_done_when_it_is_back(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=11.9)
    await fleet.restart_server(site, down_seconds=0.3 * DAY)
    await fleet.rest(0.3 * DAY)
    assert site.gate.pings == []
    back_at = fleet.clock.now()
    await fleet.rest(2 * HOUR)
    assert [ping.status for ping in site.gate.pings] == [200]
    assert ping_times(site)[0] - back_at <= HOUR + 600
    assert (await fleet.row(ANN)).ping_failures == 0


async def test_a_planned_ping_survives_restarts_of_the_gateway(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet, ANN, BEN, CAT)
    for number in (ANN, BEN, CAT):
        await fleet.age(number, last_active=12 - 600 / DAY)
    for _ in range(3):
        await fleet.rest(50 * 60)  # never long enough for an hourly sweep
        await fleet.restart()
    await fleet.rest(10 * 60)
    assert {ping.session for ping in site.gate.pings} == {ANN, BEN, CAT}


async def test_a_stopped_session_is_not_pinged(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.gateway.sessions.stop(ANN)
    await fleet.age(ANN, last_active=15)
    await fleet.rest(3 * HOUR)
    assert site.gate.pings == []
    assert (await fleet.row(ANN)).state == SessionState.STOPPED


async def test_a_reconnect_is_no_activity(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet, sweep_seconds=60.0)
    await fleet.age(ANN, last_active=6)
    before = (await fleet.row(ANN)).last_active
    site.waha.disconnect(HOUR, None)
    await fleet.rest(30 * 60)
    assert (await fleet.row(ANN)).state == SessionState.STARTING
    await fleet.rest(2 * HOUR)
    row = await fleet.row(ANN)
    assert (row.state, row.last_active) == (SessionState.CONNECTED, before)


# --- pings that fail


async def test_a_ping_that_fails_is_repeated_hourly_and_announced_once(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    heard: list[SessionNoted] = []
    fleet.gateway.bus.subscribe(SessionNoted, heard.append)
    site.gate.broken = {ANN}
    await fleet.age(ANN, last_active=12)
    await fleet.rest(6.5 * HOUR)
    times = ping_times(site)
    assert len(times) in (6, 7)
    assert all(after - before <= HOUR + 600 for before, after in pairwise(times))
    row = await fleet.row(ANN)
    assert (row.state, row.ping_failures) == (SessionState.CONNECTED, len(times))
    told = [line for line in heard if line.kind == "session.expiring"]
    assert len(told) == 1
    assert "WhatsApp does not answer its pings" in told[0].reason


async def test_past_fourteen_days_a_session_that_does_not_answer_is_expired_and_an_answer_brings_it_back(
    make_fleet: MakeFleet,
) -> None:
    fleet, site = await one_site(make_fleet)
    site.gate.broken = {ANN}
    await fleet.age(ANN, last_active=14 - 3 * HOUR / DAY)
    await fleet.rest(2.5 * HOUR)
    assert (await fleet.row(ANN)).state == SessionState.CONNECTED
    await fleet.rest(3 * HOUR)
    row = await fleet.row(ANN)
    assert (row.state, row.waha_status, row.requires_auth) == (SessionState.EXPIRED, "WORKING", True)
    assert (await fleet.history(ANN)).count("session.expired") == 1
    await fleet.rest(6 * HOUR)
    assert (await fleet.row(ANN)).state == SessionState.EXPIRED
    site.gate.broken = set()
    await fleet.rest(2 * HOUR)
    row = await fleet.row(ANN)
    assert (row.state, row.requires_auth, row.reason) == (SessionState.CONNECTED, False, "")
    assert row.last_active == pytest.approx(ping_times(site)[-1], abs=1)


async def test_the_calendar_alone_expires_nothing(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=20)
    await fleet.sweep()
    assert (await fleet.row(ANN)).state == SessionState.CONNECTED
    await fleet.rest(HOUR)
    assert (await fleet.row(ANN)).state == SessionState.CONNECTED
    assert [ping.status for ping in site.gate.pings] == [200]


async def test_a_failed_ping_is_not_taken_for_activity_although_waha_counts_it(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=12)
    born = (await fleet.row(ANN)).last_active
    await fleet.sweep()
    site.waha.lifecycle.running[ANN].touch()
    site.gate.broken = {ANN}
    await fleet.rest(HOUR)
    site.waha.lifecycle.running[ANN].touch()
    await fleet.rest(HOUR)
    row = await fleet.row(ANN)
    assert row.ping_failures > 0
    assert row.last_active == born


async def test_whatsapps_asking_for_patience_is_no_failure_and_it_is_asked_again(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=12.1)
    site.waha.limits.check_limit = 0
    await fleet.sweep()
    await fleet.rest(HOUR)
    assert len(site.gate.pings) >= 2
    row = await fleet.row(ANN)
    assert (row.ping_failures, row.ping_at is None) == (0, False)
    site.waha.limits.check_limit = None
    await fleet.rest(HOUR)
    row = await fleet.row(ANN)
    assert (row.ping_at, row.ping_failures) == (None, 0)
    assert row.pinged_at is not None


# --- activity


async def test_what_waha_tells_of_an_activity_puts_the_ping_off(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=11.99)
    site.waha.lifecycle.running[ANN].touch()
    touched_at = fleet.clock.now()
    await fleet.rest(3 * HOUR)
    assert site.gate.pings == []
    assert (await fleet.row(ANN)).last_active == pytest.approx(touched_at, abs=1)


async def test_activities_of_many_sessions_are_written_together(make_fleet: MakeFleet) -> None:
    numbers = (ANN, BEN, CAT)
    fleet, site = await one_site(make_fleet, *numbers)
    await fleet.rest(1000)
    for times in (3, 1):  # at first WAHA tells their names, too
        for number in numbers:
            site.waha.lifecycle.running[number].touch()
        touched_at = fleet.clock.now()
        with _changes_of_sessions() as changes:
            await fleet.rest(1000)
        assert len(changes) == times
    for row in (await fleet.rows()).values():
        assert row.last_active == pytest.approx(touched_at, abs=1)


async def test_an_activity_that_comes_with_other_news_is_written_with_them(make_fleet: MakeFleet) -> None:
    fleet, site = await one_site(make_fleet)
    await fleet.age(ANN, last_active=1)
    row = await fleet.row(ANN)
    async with fleet.gateway.db.write() as tx:
        await change(tx, row.sender_id, reason="about to be taken away")
    site.waha.lifecycle.running[ANN].touch()
    await fleet.rest(1000)
    after = await fleet.row(ANN)
    assert after.reason == ""
    assert after.last_active > row.last_active


async def test_an_activity_of_a_session_that_was_heard_of_meanwhile_is_not_written(make_fleet: MakeFleet) -> None:
    fleet, _ = await one_site(make_fleet, ANN, BEN)
    before = await fleet.rows()
    async with fleet.gateway.db.write() as tx:
        await change(tx, before[ANN].sender_id, status_at=before[ANN].status_at + 1)
        at = fleet.clock.now() + HOUR
        await note_activities(tx, [(before[ANN], at), (before[BEN], at)])
    after = await fleet.rows()
    assert after[ANN].last_active == before[ANN].last_active
    assert after[BEN].last_active == at


@contextmanager
def _changes_of_sessions() -> Iterator[list[str]]:
    """The statements that change sessions in this block."""
    changes: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE session"):
            changes.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield changes
    finally:
        event.remove(Engine, "before_cursor_execute", note)


# --- warnings


async def test_a_session_that_cannot_be_pinged_is_announced_once_in_a_period(make_fleet: MakeFleet) -> None:
    fleet, _ = await one_site(make_fleet)
    await fleet.gateway.sessions.stop(ANN)
    await fleet.age(ANN, last_active=12 - 2 * HOUR / DAY)
    await fleet.rest(HOUR)
    assert "session.expiring" not in await fleet.history(ANN)
    await fleet.rest(6 * HOUR)
    assert (await fleet.history(ANN)).count("session.expiring") == 1


async def test_a_phone_that_is_not_seen_for_twelve_days_is_told_once(make_fleet: MakeFleet) -> None:
    fleet, _ = await one_site(make_fleet)
    await fleet.age(ANN, phone_last_seen=12 - 2 * HOUR / DAY)
    await fleet.rest(HOUR)
    assert "session.phone_unseen" not in await fleet.history(ANN)
    await fleet.rest(6 * HOUR)
    assert (await fleet.history(ANN)).count("session.phone_unseen") == 1
    assert "session.expiring" not in await fleet.history(ANN)

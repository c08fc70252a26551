"""Statuses that WAHA tells of its sessions: which are late, and which are believed."""

from typing import Any

import orjson
import pytest
from sqlalchemy import select

from campaigns.sending.tables import session
from gateway.db import AnyRow
from gateway.waha.schemas import Event, WahaStatus, parse_event
from sessions.models import SessionState
from sessions.news.state_writer import LATE_SECONDS, Told
from sessions.queries import change, find_session
from tests.api.world import ALICE, World
from tests.sessions.news.conftest import Hooked, status

STRANGER = "+447700900999"

pytestmark = pytest.mark.timeout(60)


async def session_of(world: World) -> AnyRow:
    """Alice's session as it is stored."""
    async with world.db.read() as connection:
        return (await connection.execute(select(session))).one()


async def test_a_late_status_is_not_believed_but_looked_into(at_rest: tuple[Hooked, AnyRow]) -> None:
    """It would say of a session that works that nobody is paired, and its messages would wait for a scan."""
    hooked, _ = at_rest
    gateway = hooked.world.gateway
    (member,) = gateway.fleet.members
    before = await session_of(hooked.world)
    for seconds in (LATE_SECONDS + 1, 900.0):
        late = parse_event(orjson.dumps(status(ALICE, "SCAN_QR_CODE", at=before.event_at - seconds)))
        assert late is not None
        assert not await gateway.intake.accept(member, late)
    assert await session_of(hooked.world) == before


async def test_a_status_from_before_a_sweep_is_late_although_no_later_event_was_heard(
    at_rest: tuple[Hooked, AnyRow],
) -> None:
    hooked, _ = at_rest
    gateway = hooked.world.gateway
    (member,) = gateway.fleet.members
    async with hooked.world.db.write() as tx:
        await change(tx, (await session_of(hooked.world)).sender_id, event_at=0.0)
    newest = gateway.clock.now() + 3600.0  # its clock is ahead, as we know from the first one
    assert await gateway.intake.accept(member, parse(status(STRANGER, "WORKING", at=newest)))
    assert not await gateway.intake.accept(member, parse(status(ALICE, "FAILED", at=newest - LATE_SECONDS - 1)))
    assert (await session_of(hooked.world)).state == SessionState.CONNECTED
    assert await gateway.intake.accept(member, parse(status(ALICE, "FAILED", at=newest - 1)))
    assert (await session_of(hooked.world)).state == SessionState.FAILED


async def test_of_two_statuses_that_overtake_each_other_the_later_one_stays(at_rest: tuple[Hooked, AnyRow]) -> None:
    hooked, _ = at_rest
    gateway = hooked.world.gateway
    (member,) = gateway.fleet.members
    at = (await session_of(hooked.world)).event_at
    assert await gateway.intake.accept(member, parse(status(ALICE, "WORKING", at=at + 2, me=ALICE)))
    assert not await gateway.intake.accept(member, parse(status(ALICE, "STARTING", at=at + 1)))
    row = await session_of(hooked.world)
    assert (row.waha_status, row.event_at) == ("WORKING", at + 2)


async def test_an_overtaken_status_that_was_read_before_the_later_one_was_written_changes_nothing(
    at_rest: tuple[Hooked, AnyRow],
) -> None:
    """The later one says what is known already: only its time tells that it came."""
    hooked, _ = at_rest
    gateway = hooked.world.gateway
    (member,) = gateway.fleet.members
    row = await session_of(hooked.world)
    assert await gateway.intake.accept(member, parse(status(ALICE, "WORKING", at=row.event_at + 2, me=ALICE)))
    overtaken = Told(WahaStatus.STARTING, event_at=row.event_at + 1)
    assert not await gateway.intake._writer.take(member, row, overtaken)
    assert (await session_of(hooked.world)).waha_status == "WORKING"


async def test_a_status_from_before_an_answer_is_not_believed(at_rest: tuple[Hooked, AnyRow]) -> None:
    """A sweep may see that a phone has scanned while the news that a code is shown still waits to be heard."""
    hooked, _ = at_rest
    gateway = hooked.world.gateway
    (member,) = gateway.fleet.members
    at = gateway.clock.now()
    assert await gateway.intake.accept(member, parse(status(ALICE, "STARTING", at=at)))
    info = await member.client.get_session(ALICE[1:])
    await gateway.intake._writer.on_answer(member, await joined(hooked.world), info)
    answered = await session_of(hooked.world)
    assert answered.state == SessionState.CONNECTED

    assert not await gateway.intake.accept(member, parse(status(ALICE, "SCAN_QR_CODE", at=at + 0.001)))
    assert await gateway.intake.accept(member, parse(status(ALICE, "WORKING", at=at + 0.002, me=ALICE)))
    assert await session_of(hooked.world) == answered
    assert await gateway.intake.accept(member, parse(status(ALICE, "FAILED", at=gateway.clock.now() + 1)))
    assert (await session_of(hooked.world)).state == SessionState.FAILED


async def joined(world: World) -> AnyRow:
    """Alice's session with its sender."""
    async with world.db.read() as connection:
        row = await find_session(connection, ALICE[1:])
    assert row is not None
    return row


def parse(told: dict[str, Any]) -> Event:
    """An event as the intake gets it."""
    parsed = parse_event(orjson.dumps(told))
    assert parsed is not None
    return parsed

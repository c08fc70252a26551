"""What the API tells of a session's two clocks, of its limits, and of what to do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import update

from gateway.web import create_app
from sessions.queries import change, sender
from tests.harness.fleet import DAY, FleetWorld, MakeFleet

pytestmark = pytest.mark.virtual_time

ANN = "447700900001"


@asynccontextmanager
async def caller(fleet: FleetWorld) -> AsyncIterator[httpx.AsyncClient]:
    """A caller on this machine."""
    transport = httpx.ASGITransport(create_app(fleet.gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def told(fleet: FleetWorld, path: str = f"/api/sessions/+{ANN}") -> Any:
    """The JSON of a GET that must succeed."""
    async with caller(fleet) as client:
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def a_session(make_fleet: MakeFleet) -> FleetWorld:
    """A gateway and one connected session."""
    fleet = await make_fleet("GOWS")
    await fleet.connect(fleet.sites[0], [ANN])
    return fleet


async def test_a_session_tells_both_clocks_in_times_and_seconds(make_fleet: MakeFleet) -> None:
    fleet = await a_session(make_fleet)
    await fleet.age(ANN, last_active=3, phone_last_seen=5)
    session = await told(fleet)
    times = {name: datetime.fromisoformat(session[name]) for name in ("last_active", "expires_at")}
    assert times["expires_at"] - times["last_active"] == timedelta(days=14)
    seen, ends = (datetime.fromisoformat(session[name]) for name in ("phone_last_seen", "phone_expires_at"))
    assert ends - seen == timedelta(days=14)
    assert session["expires_in_seconds"] == pytest.approx(11 * DAY, abs=2)
    assert (session["requires_auth"], session["message"]) == (False, "Connected and fine.")
    assert (session["new_contacts_from"], session["limits"], session["capping"]) == (None, None, None)


async def test_a_list_tells_the_same(make_fleet: MakeFleet) -> None:
    fleet = await a_session(make_fleet)
    await fleet.age(ANN, last_active=3, phone_last_seen=13)
    listed = (await told(fleet, f"/api/sessions?sender_number=%2B{ANN}"))["items"]
    assert listed == [await told(fleet)]
    assert listed[0]["message"] == "Connected, but its phone was not seen for 13 days: open WhatsApp on it."


async def test_a_lock_on_new_contacts_is_told_until_it_is_over(make_fleet: MakeFleet) -> None:
    fleet = await a_session(make_fleet)
    row = await fleet.row(ANN)
    lock = {"locked_until": fleet.clock.now() + 600, "lock_reason": "WhatsApp lets this number write to nobody new"}
    async with fleet.gateway.db.write() as tx:
        await tx.execute(update(sender).where(sender.c.id == row.sender_id).values(**lock))
    session = await told(fleet)
    assert datetime.fromisoformat(session["new_contacts_from"]).timestamp() == pytest.approx(
        lock["locked_until"], abs=0.001
    )
    assert session["limits"] == lock["lock_reason"]
    assert session["message"].startswith("Connected; WhatsApp lets it write to nobody new until ")
    await fleet.rest(601)
    session = await told(fleet)
    assert (session["new_contacts_from"], session["limits"], session["message"]) == (None, None, "Connected and fine.")


async def test_whatsapps_quota_of_new_chats_is_passed_on(make_fleet: MakeFleet) -> None:
    fleet = await a_session(make_fleet)
    quota = {"cappingStatus": "NONE", "totalQuota": 250, "usedQuota": 12}
    async with fleet.gateway.db.write() as tx:
        await change(tx, (await fleet.row(ANN)).sender_id, capping=orjson.dumps(quota).decode())
    assert (await told(fleet))["capping"] == quota


async def test_a_session_that_was_logged_out_has_no_clocks(make_fleet: MakeFleet) -> None:
    fleet = await a_session(make_fleet)
    async with fleet.gateway.db.write() as tx:
        await change(tx, (await fleet.row(ANN)).sender_id, paired_at=None, requires_auth=True, state="EXPIRED")
    session = await told(fleet)
    clocks = ("expires_at", "expires_in_seconds", "phone_last_seen", "phone_expires_at")
    assert [session[name] for name in clocks] == [None] * 4
    assert session["requires_auth"] is True

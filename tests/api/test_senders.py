"""The list of senders, a restart, and what delays would do before they are set."""

from datetime import datetime

import pytest

from sessions.models import SessionState
from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, BERT, World, recipients

EFFECT = "/api/admin/delays/effect"


def seconds_of(time: str) -> float:
    """A time of an answer as epoch seconds."""
    return datetime.fromisoformat(time).timestamp()


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway with one WAHA server, no delays, on each kind of database."""
    return await make_world(database_url=database_url)


async def test_a_sender_is_told_with_what_it_has_sent_and_may_send(world: World) -> None:
    await world.pair(ALICE)
    await world.admin("PATCH", f"/api/admin/senders/{ALICE}", {"daily_cap": 5, "MESSAGE_DELAY": 0.25}, status=200)
    await world.finished(await world.send(recipients=recipients(2)))
    (one,) = (await world.get("/api/senders", sender_number=ALICE))["items"]
    assert (one["phone_number"], one["status"], one["server"]) == (ALICE, "CONNECTED", "waha1")
    assert (one["sent_today"], one["effective_daily_cap"], one["effective_message_delay"]) == (2, 5, 0.25)
    limits = (await world.admin("GET", f"/api/admin/senders/{ALICE}", status=200)).json()
    assert (one["effective_timezone"], one["day_ends_at"]) == (limits["effective_timezone"], limits["day_ends_at"])
    assert one["day_ends_at"] is not None


async def test_a_sender_that_never_sent_has_the_general_limits(world: World) -> None:
    await world.pair(ALICE)
    (one,) = (await world.get("/api/senders", sender_number=ALICE))["items"]
    assert (one["sent_today"], one["effective_daily_cap"], one["day_ends_at"]) == (0, 0, None)


async def test_an_operator_finds_senders_by_a_part_of_the_number_and_pages_through_them(world: World) -> None:
    await world.pair(ALICE, BERT)

    async def found(**query: str | int) -> list[str]:
        answer = await world.admin("GET", "/api/senders", params=query, status=200)
        return [one["phone_number"] for one in answer.json()["items"]]

    assert await found() == [ALICE, BERT]
    assert await found(search="07700 900002") == []  # at home in no country that is known here
    assert await found(search="7700 900002") == [BERT]
    assert await found(search="0044 7700-900001") == [ALICE]
    assert await found(search="_") == []
    assert await found(per_page=1, page=2) == [BERT]
    assert await found(status="CONNECTED", server="waha1") == [ALICE, BERT]
    assert await found(status="FAILED") == []
    assert await found(server="waha2") == []


async def test_a_restart_starts_anew_what_runs_and_what_is_stopped(world: World) -> None:
    await world.pair(ALICE)
    await world.post(f"/api/sessions/{ALICE}/restart")
    await world.state(ALICE, SessionState.CONNECTED)
    await world.post(f"/api/sessions/{ALICE}/stop")
    await world.post(f"/api/sessions/{ALICE}/restart")
    await world.state(ALICE, SessionState.CONNECTED)
    assert (await world.get(f"/api/sessions/{ALICE}"))["requires_auth"] is False


async def test_a_restart_makes_a_session_anew_that_waha_has_lost(world: World) -> None:
    await world.pair(ALICE)
    del world.waha.server.lifecycle.running[ALICE[1:]]
    del world.waha.server.lifecycle.stored[ALICE[1:]]
    await world.post(f"/api/sessions/{ALICE}/restart")
    assert world.waha.sessions() == [ALICE]


async def test_the_effect_of_delays_is_the_same_as_when_they_are_set(world: World) -> None:
    await world.pair(ALICE)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600, "SENDER_SWITCH_DELAY": 0}, status=200)
    campaign = await world.send(name="Spring sale", recipients=recipients(11))
    before = (await world.admin("GET", EFFECT, status=200)).json()
    assert (before["MESSAGE_DELAY"], before["SENDER_SWITCH_DELAY"], before["total"]) == (3600, 0, 1)
    (one,) = before["campaigns"]
    assert (one["campaign_id"], one["name"]) == (campaign["campaign_id"], "Spring sale")
    assert one["finish_then"] == one["finish_now"]
    asked = (await world.admin("GET", EFFECT, params={"MESSAGE_DELAY": 60}, status=200)).json()
    (one,) = asked["campaigns"]
    assert one["finish_then"] < one["finish_now"]
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 60}, status=200)
    status = await world.get(f"/api/status/{campaign['campaign_id']}")
    assert abs(seconds_of(status["estimated_finish"]) - seconds_of(one["finish_then"])) < 60


async def test_delays_that_cannot_be_have_no_effect_to_tell(world: World) -> None:
    for wrong in (-1, 86_401, "nan", "soon"):
        refused = await world.admin("GET", EFFECT, params={"MESSAGE_DELAY": wrong}, status=422)
        assert [error["field"] for error in refused.json()["errors"]] == ["MESSAGE_DELAY"]
    assert (await world.admin("GET", EFFECT, status=200)).json()["campaigns"] == []


async def test_the_settings_that_hold_are_told_to_operators_without_any_secret(world: World) -> None:
    held = (await world.admin("GET", "/api/admin/settings", status=200)).json()
    assert "STOP" in held["stop_words"]
    assert held["expiry_days"] == 14
    words, caps = {"stop_words", "start_words", "confirmation"}, {"daily_cap", "hourly_cap", "default_region"}
    assert set(held) == words | caps | {"keepalive_days", "expiry_days", "pair_link_hours"}

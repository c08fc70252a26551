"""The operator's endpoints, and the delays of single senders; on SQLite and on PostgreSQL."""

from typing import Any

import pytest

from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, BERT, CARA, World, recipients, until

pytestmark = pytest.mark.timeout(60)


async def look(world: World, path: str, **params: Any) -> Any:
    """The JSON of an operator's GET."""
    return (await world.admin("GET", f"/api/admin/{path}", params=params, status=200)).json()


async def set_delays(world: World, path: str = "delays", body: Any = None, **params: Any) -> Any:
    """The JSON of an operator's POST."""
    return (await world.admin("POST", f"/api/admin/{path}", body, params=params, status=200)).json()


async def test_metrics_tell_sessions_messages_queue_servers_and_uptime(any_world: World) -> None:
    world = any_world
    await world.pair(ALICE)
    await world.post("/api/sessions", {"phone_number": BERT})
    await world.finished(await world.send(recipients=recipients(3)))
    await world.send(sender_number=BERT, recipients=recipients(2), queue_if_offline=True)
    metrics = await look(world, "metrics")
    assert metrics["active_sessions"] == 1
    assert metrics["sessions"]["CONNECTED"] == 1
    assert sum(metrics["sessions"].values()) == 2
    assert metrics["messages_sent_today"] == 3
    assert metrics["queue_size"] == metrics["messages"]["queued"] == 2
    assert sum(metrics["messages"].values()) == 5
    assert metrics["campaigns"]["completed"] == 1
    assert (metrics["servers_up"], metrics["servers_total"]) == (1, 1)
    assert metrics["in_flight"] == 0
    assert metrics["uptime_seconds"] > 0
    assert metrics["version"]


async def test_users_are_all_sender_numbers_with_what_they_did(any_world: World) -> None:
    world = any_world
    await world.pair(BERT)
    await world.finished(await world.send(sender_number=BERT, recipients=recipients(2)))
    await world.send(sender_number=ALICE, queue_if_offline=True)
    users = await look(world, "users")
    told = [
        (user["sender_number"], user["session_status"], user["campaigns"], user["messages_sent"])
        for user in users["items"]
    ]
    assert told == [(ALICE, None, 1, 0), (BERT, "CONNECTED", 1, 2)]
    assert users["total"] == 2
    second = await look(world, "users", page=2, per_page=1)
    assert [user["sender_number"] for user in second["items"]] == [BERT]


async def test_all_campaigns_are_listed_and_filtered(any_world: World) -> None:
    world = any_world
    await world.send(name="Alices", queue_if_offline=True)
    second = await world.send(name="Berts", sender_number=BERT, queue_if_offline=True)
    await world.post(f"/api/campaigns/{second['campaign_id']}/pause")

    async def names(**params: Any) -> list[str]:
        return [item["name"] for item in (await look(world, "campaigns", **params))["items"]]

    assert await names() == ["Berts", "Alices"]
    assert await names(sender_number=ALICE) == ["Alices"]
    assert await names(status="paused") == ["Berts"]
    assert await names(search="lice") == ["Alices"]


async def test_all_sessions_are_listed_by_state(world: World) -> None:
    await world.pair(ALICE)
    await world.post("/api/sessions", {"phone_number": BERT})
    assert [item["phone_number"] for item in (await look(world, "sessions"))["items"]] == [ALICE, BERT]
    connected = await look(world, "sessions", status="CONNECTED")
    assert [item["phone_number"] for item in connected["items"]] == [ALICE]
    assert connected["total"] == 1


# --- delays


async def test_delays_come_from_the_settings_at_first_and_from_the_operator_afterwards(
    make_world: MakeWorld,
) -> None:
    world = await make_world(dispatch={"message_delay": 3, "sender_switch_delay": 4.5})
    seeded = await world.admin("GET", "/api/admin/delays")
    assert seeded.text == '{"MESSAGE_DELAY":3,"SENDER_SWITCH_DELAY":4.5}'
    assert await set_delays(world, body={"MESSAGE_DELAY": 1, "SENDER_SWITCH_DELAY": 2}) == {
        "MESSAGE_DELAY": 1,
        "SENDER_SWITCH_DELAY": 2,
    }
    await world.gateway.delays.seed(await world.gateway.delays.get())
    assert await look(world, "delays") == {"MESSAGE_DELAY": 1, "SENDER_SWITCH_DELAY": 2}


async def test_a_delay_that_is_left_out_stays(world: World) -> None:
    steps: list[tuple[dict[str, float], dict[str, float]]] = [
        ({"MESSAGE_DELAY": 0.25}, {"MESSAGE_DELAY": 0.25, "SENDER_SWITCH_DELAY": 0}),
        ({"SENDER_SWITCH_DELAY": 86_400}, {"MESSAGE_DELAY": 0.25, "SENDER_SWITCH_DELAY": 86_400}),
        ({"MESSAGE_DELAY": 0, "SENDER_SWITCH_DELAY": 1}, {"MESSAGE_DELAY": 0, "SENDER_SWITCH_DELAY": 1}),
    ]
    for body, after in steps:
        assert await set_delays(world, body=body) == after
        assert await look(world, "delays") == after


async def test_shorter_delays_are_felt_by_a_sender_that_waits_already(make_world: MakeWorld) -> None:
    world = await make_world(dispatch={"message_delay": 3600})
    await world.pair(ALICE)
    campaign = await world.send(recipients=recipients(3))

    async def it_waits() -> bool:
        status = await world.get(f"/api/status/{campaign['campaign_id']}")
        return bool(status["sent"] == 1 and status["waiting"])

    await until(it_waits)
    [wait] = (await world.get(f"/api/status/{campaign['campaign_id']}"))["waiting"]
    assert (wait["reason"], wait["sender_number"]) == ("message_delay", ALICE)
    assert wait["until"].endswith("Z")
    await set_delays(world, body={"MESSAGE_DELAY": 0})
    assert (await world.finished(campaign))["sent"] == 3


async def test_one_sender_has_its_own_delay_by_json_and_by_query_until_it_is_taken_back(any_world: World) -> None:
    world = any_world
    await set_delays(world, body={"MESSAGE_DELAY": 2})
    await world.send(queue_if_offline=True)
    general = {"sender_number": ALICE, "MESSAGE_DELAY": None, "effective_message_delay": 2}
    own = {"sender_number": ALICE, "MESSAGE_DELAY": 10, "effective_message_delay": 10}
    assert await look(world, "user-delays", sender_number=ALICE) == general
    assert await set_delays(world, "user-delays", {"sender_number": ALICE, "MESSAGE_DELAY": 10}) == own
    assert await look(world, "user-delays", sender_number="00447700900001") == own
    assert await set_delays(world, "user-delays", sender_number=ALICE, MESSAGE_DELAY=0.5) == own | {
        "MESSAGE_DELAY": 0.5,
        "effective_message_delay": 0.5,
    }
    assert await set_delays(world, "user-delays", {"MESSAGE_DELAY": 7}, sender_number=ALICE) == own | {
        "MESSAGE_DELAY": 7,
        "effective_message_delay": 7,
    }
    assert (await look(world, "users"))["items"][0]["MESSAGE_DELAY"] == 7
    assert await set_delays(world, "user-delays", {"sender_number": ALICE, "MESSAGE_DELAY": None}) == general
    assert await look(world, "delays") == {"MESSAGE_DELAY": 2, "SENDER_SWITCH_DELAY": 0}


async def test_a_sender_may_get_its_delay_before_its_first_campaign(world: World) -> None:
    await world.pair(ALICE)
    body = {"sender_number": ALICE, "MESSAGE_DELAY": 10}
    assert (await set_delays(world, "user-delays", body))["MESSAGE_DELAY"] == 10
    assert (await look(world, "users"))["items"][0]["messages_sent"] == 0


async def test_the_delay_of_a_number_that_is_no_sender_is_404(world: World) -> None:
    for method in ("GET", "POST"):
        params = {"sender_number": CARA} | ({"MESSAGE_DELAY": 1} if method == "POST" else {})
        await world.admin(method, "/api/admin/user-delays", params=params, status=404)


async def test_a_senders_delay_without_its_parts_or_with_two_of_one_is_422(world: World) -> None:
    await world.send(queue_if_offline=True)
    cases: list[tuple[dict[str, Any], Any, str]] = [
        ({}, None, "sender_number"),
        ({"sender_number": ALICE}, None, "MESSAGE_DELAY"),
        ({"MESSAGE_DELAY": 1}, None, "sender_number"),
        ({}, {"MESSAGE_DELAY": 1}, "sender_number"),
        ({}, {"sender_number": ALICE}, "MESSAGE_DELAY"),
        ({"sender_number": "letters", "MESSAGE_DELAY": 1}, None, "sender_number"),
        ({"sender_number": BERT}, {"sender_number": ALICE, "MESSAGE_DELAY": 1}, "sender_number"),
        ({"MESSAGE_DELAY": 2}, {"sender_number": ALICE, "MESSAGE_DELAY": 1}, "MESSAGE_DELAY"),
    ]
    for params, body, field in cases:
        refused = (await world.admin("POST", "/api/admin/user-delays", body, params=params, status=422)).json()
        assert [error["field"] for error in refused["errors"]] == [field], (params, body)
    assert (await look(world, "user-delays", sender_number=ALICE))["MESSAGE_DELAY"] is None


# --- limits of a sender


async def test_one_sender_has_its_own_cap_and_zone_until_they_are_taken_back(make_world: MakeWorld) -> None:
    world = await make_world(dispatch={"daily_cap": 200, "message_delay": 2})
    await world.send(queue_if_offline=True)
    path = f"/api/admin/senders/{ALICE}"
    general = {
        "sender_number": ALICE,
        "MESSAGE_DELAY": None,
        "effective_message_delay": 2,
        "daily_cap": None,
        "effective_daily_cap": 200,
        "timezone": None,
        "effective_timezone": "Europe/Guernsey",
        "sent_today": 0,
        "day_ends_at": None,
    }
    assert (await world.admin("GET", path, status=200)).json() == general
    own = {"daily_cap": 50, "timezone": "Asia/Kolkata", "MESSAGE_DELAY": 1.5}
    changed = (await world.admin("PATCH", path, own, status=200)).json()
    assert changed == general | own | {
        "effective_daily_cap": 50,
        "effective_timezone": "Asia/Kolkata",
        "effective_message_delay": 1.5,
    }
    one = (await world.admin("PATCH", path, {"daily_cap": 0}, status=200)).json()
    assert one == changed | {"daily_cap": 0, "effective_daily_cap": 0}
    back = (await world.admin("PATCH", path, dict.fromkeys(own), status=200)).json()
    assert back == general


async def test_a_wrong_limit_is_named_and_an_unknown_sender_is_404(world: World) -> None:
    await world.send(queue_if_offline=True)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "MESSAGE_DELAY"),
        ({"daily_cap": -1}, "daily_cap"),
        ({"daily_cap": 1.5}, "daily_cap"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"MESSAGE_DELAY": -1}, "MESSAGE_DELAY"),
        ({"cap": 1}, "cap"),
    ]
    for body, field in cases:
        refused = (await world.admin("PATCH", f"/api/admin/senders/{ALICE}", body, status=422)).json()
        assert [error["field"] for error in refused["errors"]] == [field], body
    await world.admin("GET", f"/api/admin/senders/{CARA}", status=404)
    await world.admin("PATCH", f"/api/admin/senders/{CARA}", {"daily_cap": 1}, status=404)

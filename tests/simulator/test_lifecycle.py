"""The runtime map: what start, stop, restart, logout, delete and PUT do, and to whom they do nothing."""

import asyncio

import pytest

from tests.simulator.conftest import CHAT, FAST, SENDER, Simulate, Simulated


async def statuses(waha: Simulated, until: str) -> list[str]:
    """The statuses told from now on, up to and with `until`."""
    told: list[str] = []
    while until not in told:
        told.append((await waha.watch.next("session.status"))["payload"]["status"])
    return told


async def act(waha: Simulated, verb: str, name: str = SENDER) -> int:
    """One lifecycle call; its HTTP status."""
    return (await waha.call("POST", f"/api/sessions/{name}/{verb}")).status_code


async def test_a_new_session_starts_and_answers_201_while_starting(simulate: Simulate) -> None:
    waha = await simulate()
    answer = await waha.call("POST", "/api/sessions", {"name": SENDER})
    assert (answer.status_code, answer.json()["status"]) == (201, "STARTING")


async def test_a_session_created_without_start_is_stopped(simulate: Simulate) -> None:
    waha = await simulate()
    answer = await waha.call("POST", "/api/sessions", {"name": SENDER, "start": False})
    assert answer.json()["status"] == "STOPPED"
    assert (await waha.call("GET", "/api/sessions")).json() == []
    assert [one["name"] for one in (await waha.call("GET", "/api/sessions?all=true")).json()] == [SENDER]


async def test_a_session_without_a_name_gets_one(simulate: Simulate) -> None:
    waha = await simulate()
    name = (await waha.call("POST", "/api/sessions", {})).json()["name"]
    assert name.startswith("session_")
    assert name == name.lower()


async def test_creating_a_session_twice_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create()
    answer = await waha.call("POST", "/api/sessions", {"name": SENDER})
    assert answer.status_code == 422
    assert answer.json()["message"] == f"Session '{SENDER}' already exists. Use PUT to update it."


async def test_first_pairing_goes_from_starting_over_the_qr_to_working(simulate: Simulate) -> None:
    waha = await simulate(auto_scan_seconds=1)
    await waha.create()
    assert await statuses(waha, "WORKING") == ["STARTING", "SCAN_QR_CODE", "WORKING"]


async def test_noweb_starts_once_more_after_pairing(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB", auto_scan_seconds=1)
    await waha.create()
    assert await statuses(waha, "WORKING") == ["STARTING", "SCAN_QR_CODE", "STARTING", "WORKING"]


async def test_working_tells_who_is_paired(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    me = (await waha.call("GET", f"/api/sessions/{SENDER}/me")).json()
    assert me["id"] == f"{SENDER}@c.us"
    assert me["pushName"]
    assert (await waha.call("GET", f"/api/sessions/{SENDER}")).json()["me"] == me


async def test_me_is_null_before_pairing_and_404_when_not_running(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    unpaired = await waha.call("GET", f"/api/sessions/{SENDER}/me")
    assert (unpaired.status_code, unpaired.json()) == (200, None)
    await act(waha, "stop")
    stopped = await waha.call("GET", f"/api/sessions/{SENDER}/me")
    assert stopped.status_code == 404
    assert stopped.json()["message"].startswith(f"We didn't find a session with name '{SENDER}'.\nPlease")


async def test_start_on_a_failed_session_answers_201_and_does_nothing(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    assert await act(waha, "start") == 201
    assert await waha.status() == "FAILED"


async def test_restart_brings_a_failed_session_back(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    waha.watch.heard()
    assert await act(waha, "restart") == 201
    assert await statuses(waha, "WORKING") == ["STOPPED", "STARTING", "WORKING"]


async def test_restart_starts_a_stopped_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await act(waha, "stop")
    await act(waha, "restart")
    await waha.watch.next("session.status", status="WORKING")


async def test_a_failed_session_is_listed_as_running(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    assert [one["status"] for one in (await waha.call("GET", "/api/sessions")).json()] == ["FAILED"]


async def test_start_on_a_working_session_changes_nothing(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    waha.watch.heard()
    assert await act(waha, "start") == 201
    assert waha.watch.heard() == []


async def test_a_stopped_session_shows_its_last_me_and_no_worker(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await act(waha, "stop")
    info = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (info["status"], info["me"]["id"]) == ("STOPPED", f"{SENDER}@c.us")
    assert "assignedWorker" not in info


async def test_stop_and_delete_of_an_unknown_session_are_no_error(simulate: Simulate) -> None:
    waha = await simulate()
    stopped = await waha.call("POST", "/api/sessions/nobody/stop")
    assert (stopped.status_code, stopped.content) == (201, b"")
    deleted = await waha.call("DELETE", "/api/sessions/nobody")
    assert (deleted.status_code, deleted.content) == (200, b"")


@pytest.mark.parametrize("verb", ["start", "restart", "logout"])
async def test_other_calls_on_an_unknown_session_are_404(simulate: Simulate, verb: str) -> None:
    waha = await simulate()
    answer = await waha.call("POST", f"/api/sessions/nobody/{verb}")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Session not found", "error": "Not Found", "statusCode": 404}


async def test_get_and_put_of_an_unknown_session_are_404(simulate: Simulate) -> None:
    waha = await simulate()
    assert (await waha.call("GET", "/api/sessions/nobody")).status_code == 404
    assert (await waha.call("PUT", "/api/sessions/nobody", {"config": {}})).status_code == 404


async def test_put_replaces_the_whole_config_and_restarts_a_running_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(metadata={"tenant": "a"})
    waha.watch.heard()
    answer = await waha.call("PUT", f"/api/sessions/{SENDER}", {"config": {"debug": True}})
    assert answer.json()["config"] == {"debug": True}
    assert await statuses(waha, "WORKING") == ["STOPPED", "STARTING", "WORKING"]


async def test_put_leaves_a_stopped_session_stopped(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.call("POST", "/api/sessions", {"name": SENDER, "start": False})
    await waha.call("PUT", f"/api/sessions/{SENDER}", {"config": {}})
    assert await waha.status() == "STOPPED"


async def test_logout_wipes_the_login_keeps_the_config_and_shows_a_qr(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair(metadata={"tenant": "a"})
    waha.watch.heard()
    assert await act(waha, "logout") == 201
    assert await statuses(waha, "SCAN_QR_CODE") == ["STOPPED", "STARTING", "SCAN_QR_CODE"]
    info = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (info["me"], info["config"]) == (None, {"metadata": {"tenant": "a"}})


async def test_logout_of_a_stopped_session_does_not_start_it(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await act(waha, "stop")
    await act(waha, "logout")
    info = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (info["status"], info["me"]) == ("STOPPED", None)


async def test_delete_forgets_the_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.call("DELETE", f"/api/sessions/{SENDER}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await waha.call("GET", "/api/sessions?all=true")).json() == []


@pytest.mark.parametrize(("engine", "seconds"), [("GOWS", 0.01), ("NOWEB", 1.0), ("WEBJS", 3.0)])
async def test_stopping_takes_as_long_as_the_engine_needs(simulate: Simulate, engine: str, seconds: float) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    before = waha.server.clock.elapsed()
    await act(waha, "stop")
    assert waha.server.clock.elapsed() - before >= seconds


async def test_the_phone_removing_the_device_fails_the_session_and_a_gows_restart_shows_a_qr(
    simulate: Simulate,
) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/logout")
    assert await waha.status() == "FAILED"
    await act(waha, "restart")
    await waha.watch.next("session.status", status="SCAN_QR_CODE")


async def test_noweb_needs_a_logout_after_the_phone_removed_the_device(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    await waha.call("POST", f"/sim/sessions/{SENDER}/logout")
    waha.watch.heard()
    await act(waha, "restart")
    assert await statuses(waha, "FAILED") == ["STOPPED", "STARTING", "FAILED"]
    await act(waha, "logout")
    assert (await statuses(waha, "SCAN_QR_CODE"))[-1] == "SCAN_QR_CODE"


async def test_waiting_longer_than_5_s_for_the_lifecycle_lock_is_a_500(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    await waha.create()
    await waha.faults(lifecycle_slow=20)
    first = asyncio.create_task(waha.call("POST", f"/api/sessions/{SENDER}/restart"))
    second = asyncio.create_task(waha.call("POST", f"/api/sessions/{SENDER}/stop"))
    refused = await second
    assert refused.status_code == 500
    assert refused.json()["exception"]["message"] == f"async-lock timed out in queue {SENDER}"
    assert (await first).status_code == 201


async def test_holding_the_lifecycle_lock_longer_than_30_s_is_a_500_and_the_work_goes_on(
    simulate: Simulate,
) -> None:
    waha = await simulate(speed=100)
    await waha.pair()
    await waha.faults(lifecycle_slow=40)
    answer = await waha.call("POST", f"/api/sessions/{SENDER}/stop")
    assert answer.status_code == 500
    assert answer.json()["exception"]["message"].startswith("Maximum execution time is exceeded")
    assert await waha.status() == "WORKING"
    await waha.watch.next("session.status", status="STOPPED")


async def test_lifecycle_calls_of_different_sessions_do_not_wait_for_each_other(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    await waha.create("one")
    await waha.create("two")
    await waha.faults(lifecycle_slow=4)
    before = waha.server.clock.elapsed()
    codes = await asyncio.gather(act(waha, "restart", "one"), act(waha, "restart", "two"))
    assert tuple(codes) == (201, 201)
    assert waha.server.clock.elapsed() - before < 8


async def test_a_client_that_hangs_up_does_not_stop_a_lifecycle_call(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(lifecycle_slow=20)
    waha.server.clock.set_speed(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waha.call("POST", f"/api/sessions/{SENDER}/stop"), timeout=0.01)
    waha.server.clock.set_speed(FAST)
    await waha.watch.next("session.status", status="STOPPED")


async def test_the_deprecated_start_refuses_a_running_session_even_a_failed_one(simulate: Simulate) -> None:
    waha = await simulate()
    assert (await waha.call("POST", "/api/sessions/start", {"name": SENDER})).status_code == 201
    await waha.call("POST", f"/sim/sessions/{SENDER}/status", {"status": "FAILED"})
    answer = await waha.call("POST", "/api/sessions/start", {"name": SENDER})
    assert answer.status_code == 422
    assert answer.json()["message"] == f"Session '{SENDER}' is already started."


async def test_the_deprecated_stop_with_logout_forgets_the_session(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.create()
    await waha.call("POST", "/api/sessions/stop", {"name": SENDER})
    assert await waha.status() == "STOPPED"
    await waha.call("POST", "/api/sessions/stop", {"name": SENDER, "logout": True})
    assert (await waha.call("GET", f"/api/sessions/{SENDER}")).status_code == 404


async def test_an_activity_sets_presence_and_its_time(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    waha.server.clock.set_speed(1)
    before = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert (before["presence"], before["timestamps"]) == (None, {"activity": None})
    await waha.call("POST", "/api/startTyping", {"session": SENDER, "chatId": CHAT})
    after = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()
    assert after["presence"] == "online"
    assert abs(after["timestamps"]["activity"] - waha.server.clock.now_ms()) < 10_000


async def test_presence_goes_offline_25_s_after_the_last_activity(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.call("POST", "/api/startTyping", {"session": SENDER, "chatId": CHAT})
    await waha.server.clock.sleep(26)
    assert (await waha.call("GET", f"/api/sessions/{SENDER}")).json()["presence"] == "offline"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"name": "not a name"}, "name must match /^[a-zA-Z0-9_-]*$/ regular expression"),
        ({"name": "x" * 55}, "name must be shorter than or equal to 54 characters"),
        ({"name": 7}, "name must be a string"),
        ({"start": "yes"}, "start must be a boolean value"),
        ({"config": []}, "config must be an object"),
        (
            {"config": {"webhooks": [{"url": "nowhere", "events": []}]}},
            "config.webhooks.0.url must be a URL address",
        ),
        (
            {"config": {"webhooks": [{"url": "http://a.test"}]}},
            "config.webhooks.0.events must be an array",
        ),
    ],
)
async def test_a_bad_session_body_is_400_with_every_complaint(
    simulate: Simulate, body: dict[str, object], complaint: str
) -> None:
    waha = await simulate()
    answer = await waha.call("POST", "/api/sessions", body)
    assert answer.status_code == 400
    assert answer.json() == {"statusCode": 400, "message": [complaint], "error": "Bad Request"}


async def test_a_body_that_is_not_json_is_400(simulate: Simulate) -> None:
    waha = await simulate()
    headers = {"content-type": "application/json"}
    answer = await waha.client.post("/api/sessions", content=b"{not json", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Bad Request"

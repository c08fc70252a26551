"""Pairing and sessions over the API: the session endpoints and their words, and what can go wrong with a phone."""

import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from sessions.models import Session, SessionState
from sessions.pairing.qr_codes import draw_png
from tests.api.conftest import SPEED, MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, CARA, World, png_bytes, recipients, until

pytestmark = pytest.mark.timeout(60)

# --- creating and pairing


async def test_creating_a_session_answers_its_state_and_a_token_that_is_shown_this_once(world: World) -> None:
    created = await world.post("/api/sessions", {"phone_number": "+44 7700 900001"})
    assert created["phone_number"] == ALICE
    assert created["status"] in ("STARTING", "WAITING_FOR_SCAN")
    assert created["server"] == "waha1"
    assert created["requires_auth"] is True
    assert created["sender_token"].startswith("wgs_")
    assert "sender_token" not in await world.get(f"/api/sessions/{ALICE}")


async def test_the_qr_is_a_png_of_what_waha_shows_with_the_time_it_is_replaced(world: World) -> None:
    await world.post("/api/sessions", {"phone_number": ALICE})
    shown = await world.get(f"/api/sessions/{ALICE}/qr")
    assert set(shown) == {"status", "qr_code", "expires_at"}
    assert shown["status"] == "WAITING_FOR_SCAN"
    assert shown["qr_code"] == draw_png(world.waha.qr_value(ALICE))
    picture = Image.open(io.BytesIO(png_bytes(shown)))
    assert picture.format == "PNG"
    assert picture.width == picture.height >= 200
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert 0 < left.total_seconds() <= 60
    assert shown["expires_at"].endswith("Z")


async def test_the_qr_changes_as_whatsapp_replaces_it(make_world: MakeWorld) -> None:
    world = await make_world(simulator={"speed": 200.0})
    await world.post("/api/sessions", {"phone_number": ALICE})
    first = await world.get(f"/api/sessions/{ALICE}/qr")

    async def another() -> bool:
        shown = await world.get(f"/api/sessions/{ALICE}/qr")
        return bool(shown.get("qr_code")) and shown["qr_code"] != first["qr_code"]

    await until(another)


async def test_a_scan_by_the_right_phone_connects_and_makes_the_token_valid(world: World) -> None:
    token = (await world.show_qr(ALICE))["sender_token"]
    await world.call("GET", "/api/campaigns", headers={"X-Sender-Token": token}, status=401)
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)
    await world.call("GET", "/api/campaigns", headers={"X-Sender-Token": token}, status=200)
    assert await world.get(f"/api/sessions/{ALICE}/qr") == {"status": "CONNECTED"}
    session = await world.get(f"/api/sessions/{ALICE}")
    assert (session["status"], session["waha_status"], session["requires_auth"]) == ("CONNECTED", "WORKING", False)
    active, expires = (datetime.fromisoformat(session[name]) for name in ("last_active", "expires_at"))
    assert (expires - active).days == 14


async def test_a_scan_by_another_phone_is_logged_out_and_told_and_nothing_is_sent(world: World) -> None:
    token = (await world.show_qr(ALICE))["sender_token"]
    campaign = await world.send(queue_if_offline=True)
    await world.waha.scan(ALICE, phone=BERT)
    await world.state(ALICE, SessionState.STARTING)

    async def shows_a_new_code() -> bool:
        session = await world.get(f"/api/sessions/{ALICE}")
        assert session["status"] != "CONNECTED"
        assert "another number scanned" in session["reason"]
        return bool(session["status"] == "WAITING_FOR_SCAN")

    await until(shows_a_new_code)
    shown = await world.get(f"/api/sessions/{ALICE}/qr")
    assert "another number scanned" in shown["reason"]
    assert shown["qr_code"] == draw_png(world.waha.qr_value(ALICE))
    await world.call("GET", "/api/campaigns", headers={"X-Sender-Token": token}, status=401)
    assert await world.waha.ledger() == []
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)
    assert (await world.get(f"/api/sessions/{ALICE}"))["reason"] == ""
    await world.finished(campaign)
    assert {one["session"] for one in await world.waha.ledger()} == {ALICE[1:]}


async def test_another_phone_is_found_by_the_sweep_when_events_were_lost(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.show_qr(ALICE)
    world.waha.lose_events(monkeypatch)
    await world.waha.scan(ALICE, phone=BERT)
    await world.state(ALICE, SessionState.STARTING)
    assert "another number scanned" in (await world.get(f"/api/sessions/{ALICE}"))["reason"]


@pytest.mark.parametrize(
    ("asked", "scanned"), [("+5511961234567", "+551161234567"), ("+551161234567", "+5511961234567")]
)
async def test_a_brazilian_number_is_the_same_with_and_without_its_ninth_digit(
    world: World, asked: str, scanned: str
) -> None:
    await world.show_qr(asked)
    await world.waha.scan(asked, phone=scanned)
    await world.state(asked, SessionState.CONNECTED)
    assert (await world.get(f"/api/sessions/{asked}/me"))["phone_number"] == scanned


async def test_a_second_pairing_is_refused_while_one_is_open(world: World) -> None:
    await world.show_qr(ALICE)
    refused = (await world.call("POST", "/api/sessions", {"phone_number": ALICE}, status=409)).json()
    assert refused["error_code"] == "CONFLICT"
    assert f"GET /api/sessions/{ALICE}/qr" in refused["detail"]


async def test_a_connected_number_is_not_paired_again(world: World) -> None:
    await world.pair(ALICE)
    refused = (await world.call("POST", "/api/sessions", {"phone_number": ALICE}, status=409)).json()
    assert "connected already" in refused["detail"]
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"


async def test_a_pairing_that_ran_out_is_told_and_starts_again_when_its_code_is_asked_for(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    await world.show_qr(ALICE)
    await world.waha.tell("PUT", "/clock", {"speed": 400.0})
    await world.state(ALICE, SessionState.FAILED)
    failed = await world.get(f"/api/sessions/{ALICE}")
    assert failed["reason"] == "the QR codes ran out; ask for a new one"
    assert failed["requires_auth"] is True
    await world.waha.tell("PUT", "/clock", {"speed": SPEED})

    async def waits_for_a_scan() -> bool:
        return bool((await world.get(f"/api/sessions/{ALICE}/qr"))["status"] == "WAITING_FOR_SCAN")

    await until(waits_for_a_scan)
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)


async def test_a_pairing_that_ran_out_may_be_created_again_and_only_its_new_token_counts(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    old = (await world.show_qr(ALICE))["sender_token"]
    await world.waha.tell("PUT", "/clock", {"speed": 400.0})
    await world.state(ALICE, SessionState.FAILED)
    await world.waha.tell("PUT", "/clock", {"speed": SPEED})
    new = (await world.show_qr(ALICE))["sender_token"]
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)
    await world.call("GET", f"/api/sessions/{ALICE}", headers={"X-Sender-Token": new}, status=200)
    await world.call("GET", f"/api/sessions/{ALICE}", headers={"X-Sender-Token": old}, status=401)


# --- the words of the API


async def test_the_status_route_says_where_a_session_is(world: World) -> None:
    unknown = await world.get(f"/api/sessions/{ALICE}/status")
    assert (unknown["status"], unknown["state"]) == ("not found", "NOT_FOUND")
    assert (unknown["last_active"], unknown["expires_at"], unknown["requires_auth"]) == (None, None, True)
    await world.pair(ALICE)
    active = await world.get(f"/api/sessions/{ALICE}/status")
    assert (active["status"], active["state"]) == ("active in memory", "CONNECTED")
    assert active["requires_auth"] is False
    await world.post(f"/api/sessions/{ALICE}/stop")
    stopped = await world.get(f"/api/sessions/{ALICE}/status")
    assert (stopped["status"], stopped["state"]) == ("saved in DB", "STOPPED")


async def test_a_session_that_nobody_created_is_404(world: World) -> None:
    for path in ("", "/qr", "/me"):
        answer = (await world.call("GET", f"/api/sessions/{ALICE}{path}", status=404)).json()
        assert answer["error_code"] == "RESOURCE_NOT_FOUND"
        assert "POST /api/sessions" in answer["detail"]


async def test_a_list_shows_the_sessions_of_one_number_and_all_to_the_operator(world: World) -> None:
    await world.pair(ALICE)
    await world.post("/api/sessions", {"phone_number": BERT})
    mine = await world.get("/api/sessions", sender_number=ALICE)
    assert [item["phone_number"] for item in mine["items"]] == [ALICE]
    everybody = (await world.admin("GET", "/api/sessions", status=200)).json()
    assert [item["phone_number"] for item in everybody["items"]] == [ALICE, BERT]
    assert (everybody["total"], everybody["page"], everybody["pages"], everybody["per_page"]) == (2, 1, 1, 100)
    connected = (await world.admin("GET", "/api/sessions?status=CONNECTED", status=200)).json()
    assert [item["phone_number"] for item in connected["items"]] == [ALICE]
    second = (await world.admin("GET", "/api/sessions?per_page=1&page=2", status=200)).json()
    assert ([item["phone_number"] for item in second["items"]], second["pages"]) == ([BERT], 2)


# --- stopping, starting, logging out, removing


async def test_a_stopped_session_stays_paired_and_is_connected_again_by_start(world: World) -> None:
    await world.pair(ALICE)
    stopped = await world.post(f"/api/sessions/{ALICE}/stop")
    assert (stopped["status"], stopped["requires_auth"]) == ("STOPPED", False)
    assert stopped["reason"] == "stopped on request"
    await world.post(f"/api/sessions/{ALICE}/start")
    await world.state(ALICE, SessionState.CONNECTED)
    assert (await world.get(f"/api/sessions/{ALICE}"))["reason"] == ""


async def test_start_leaves_a_session_alone_that_runs(world: World) -> None:
    await world.pair(ALICE)
    assert (await world.post(f"/api/sessions/{ALICE}/start"))["status"] == "CONNECTED"
    assert world.news.states_of(ALICE) == []


async def test_a_failed_session_is_restarted_because_waha_starts_none_of_those(world: World) -> None:
    await world.pair(ALICE)
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "FAILED"})
    await world.state(ALICE, SessionState.FAILED)
    assert (await world.get(f"/api/sessions/{ALICE}"))["requires_auth"] is False
    await world.post(f"/api/sessions/{ALICE}/start")
    await world.state(ALICE, SessionState.CONNECTED)


async def test_logging_out_unpairs_the_phone_and_ends_the_tokens(world: World) -> None:
    token = (await world.pair(ALICE))[ALICE]
    mine = {"X-Sender-Token": token}
    answer = (await world.call("POST", f"/api/sessions/{ALICE}/logout", headers=mine, status=200)).json()
    assert (answer["status"], answer["paired_at"], answer["requires_auth"]) == ("STOPPED", None, True)
    await world.call("GET", f"/api/sessions/{ALICE}", headers=mine, status=401)
    assert world.waha.server.lifecycle.stored[ALICE[1:]].phone is None
    await world.pair(ALICE)


async def test_a_logout_that_waha_refuses_changes_nothing(world: World) -> None:
    token = (await world.pair(ALICE))[ALICE]
    await world.waha.faults(down=True)
    mine = {"X-Sender-Token": token}
    answer = await world.call("POST", f"/api/sessions/{ALICE}/logout", headers=mine)
    assert answer.status_code == 503
    await world.waha.faults()
    session = (await world.call("GET", f"/api/sessions/{ALICE}", headers=mine, status=200)).json()
    assert session["status"] == "CONNECTED"
    assert session["paired_at"] is not None


async def test_the_paired_account_is_told_once_connected(world: World) -> None:
    await world.show_qr(ALICE)
    refused = (await world.call("GET", f"/api/sessions/{ALICE}/me", status=409)).json()
    assert refused["error_code"] == "SESSION_NOT_CONNECTED"
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)
    me = await world.get(f"/api/sessions/{ALICE}/me")
    assert (me["id"], me["phone_number"]) == (f"{ALICE[1:]}@c.us", ALICE)
    await world.post(f"/api/sessions/{ALICE}/stop")
    await world.call("GET", f"/api/sessions/{ALICE}/me", status=409)


async def test_the_operator_removes_a_session_here_and_at_waha_and_its_campaigns_stay(world: World) -> None:
    await world.pair(ALICE)
    campaign = await world.send()
    await world.finished(campaign)
    await world.call("DELETE", f"/api/sessions/{ALICE}", status=401)
    removed = (await world.admin("DELETE", f"/api/sessions/{ALICE}", status=200)).json()
    assert (removed["phone_number"], removed["status"]) == (ALICE, "removed")
    assert world.waha.sessions() == []
    assert await world.count(Session) == 0
    assert (await world.get(f"/api/sessions/{ALICE}/status"))["status"] == "not found"
    await world.admin("DELETE", f"/api/sessions/{ALICE}", status=404)
    assert (await world.get(f"/api/status/{campaign['campaign_id']}"))["sent"] == 3
    await world.pair(ALICE)


# --- what happens to it from outside


async def test_a_phone_that_logs_out_is_told_and_its_messages_wait(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.servers.fleet.YOUNG_SECONDS", 0.0)
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.pair(ALICE)
    await world.waha.phone_logs_out(ALICE)
    await world.state(ALICE, SessionState.FAILED)
    await world.state(ALICE, SessionState.EXPIRED)  # the keeper has restarted it, and WAHA shows a code
    session = await world.get(f"/api/sessions/{ALICE}")
    assert (session["requires_auth"], session["reason"]) == (True, "logged out by the phone; scan again")
    campaign = await world.send(queue_if_offline=True)
    waiting = (await world.get(f"/api/status/{campaign['campaign_id']}"))["waiting"]
    assert [wait["reason"] for wait in waiting] == ["session_not_connected"]

    async def shown() -> bool:
        return "qr_code" in await world.get(f"/api/sessions/{ALICE}/qr")

    await until(shown)
    await world.waha.scan(ALICE)
    await world.finished(campaign)


async def test_a_paired_session_at_a_code_that_nobody_asked_for_has_expired(world: World) -> None:
    await world.pair(ALICE)
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "SCAN_QR_CODE"})
    await world.state(ALICE, SessionState.EXPIRED)
    session = await world.get(f"/api/sessions/{ALICE}")
    assert (session["requires_auth"], session["reason"]) == (True, "logged out by the phone; scan again")
    assert (await world.get(f"/api/sessions/{ALICE}/status"))["status"] == "saved in DB"
    assert (await world.get(f"/api/sessions/{ALICE}/qr"))["status"] == "WAITING_FOR_SCAN"
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)


async def test_a_server_that_is_down_leaves_the_last_known_state_with_its_age(make_world: MakeWorld) -> None:
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.pair(ALICE)
    await world.waha.faults(down=True)

    async def is_down() -> bool:
        return not (await world.get(f"/api/sessions/{ALICE}"))["server_up"]

    await until(is_down)
    before = await world.get(f"/api/sessions/{ALICE}")
    assert before["status"] == "CONNECTED"
    assert before["server_seen_at"] is not None
    assert (await world.get(f"/api/sessions/{ALICE}/status"))["status"] == "saved in DB"
    answer = (await world.call("GET", f"/api/sessions/{ALICE}/qr")).json()
    assert (answer["status_code"], answer["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    await world.waha.faults()

    async def is_back() -> bool:
        return bool((await world.get(f"/api/sessions/{ALICE}"))["server_up"])

    await until(is_back)
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"


async def test_the_sweep_brings_the_truth_after_events_were_lost(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.pair(ALICE)
    world.waha.lose_events(monkeypatch)
    await world.waha.tell("POST", f"/sessions/{ALICE[1:]}/status", {"status": "FAILED"})
    await world.state(ALICE, SessionState.FAILED)


async def test_a_session_that_its_server_has_forgotten_is_told_and_created_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.news.watch.MISSING_GRACE_SECONDS", 0.0)
    monkeypatch.setattr("sessions.servers.fleet.YOUNG_SECONDS", 0.0)
    world = await make_world(waha={"sweep_seconds": 0.05})
    await world.pair(ALICE)
    server = world.waha.server
    server.store.logins[ALICE[1:]] = server.lifecycle.stored.pop(ALICE[1:])
    await world.state(ALICE, SessionState.FAILED)
    await world.state(ALICE, SessionState.CONNECTED)
    assert world.waha.sessions() == [ALICE]

    async def recreated() -> bool:  # told once the call has returned, which may be after its first events
        history = (await world.get(f"/api/sessions/{ALICE}/history"))["items"]
        told = [(line["kind"], line["reason"]) for line in reversed(history)]
        failed = told.index(("session.failed", "its WAHA server does not know this session"))
        return ("keeper.recreated", "its WAHA server does not know it any more") in told[failed:]

    await until(recreated)


async def test_the_history_of_a_session_is_told_newest_first_and_in_pages(world: World) -> None:
    await world.pair(ALICE)
    await world.post(f"/api/sessions/{ALICE}/stop")
    history = await world.get(f"/api/sessions/{ALICE}/history")
    kinds = [line["kind"] for line in history["items"]]
    assert (kinds[0], kinds[-1]) == ("session.stopped", "session.created")
    assert history["items"][0]["reason"] == "stopped on request"
    assert history["items"][0]["at"] >= history["items"][-1]["at"]
    second = await world.get(f"/api/sessions/{ALICE}/history", per_page=1, page=2)
    assert ([line["kind"] for line in second["items"]], second["total"]) == ([kinds[1]], len(kinds))


async def test_the_history_is_shown_to_nobody_before_the_phone_has_scanned(world: World) -> None:
    token = (await world.show_qr(ALICE))["sender_token"]
    path = f"/api/sessions/{ALICE}/history"
    await world.call("GET", path, headers={"X-Sender-Token": token}, status=401)
    await world.call("GET", f"/api/sessions/{BERT}/history", status=404)


# --- where a session lives


async def test_new_sessions_go_to_the_server_with_the_most_free_capacity(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(1, 3))
    numbers = [ALICE, BERT, CARA]
    placed = [(await world.post("/api/sessions", {"phone_number": number}))["server"] for number in numbers]
    assert placed == ["waha2", "waha2", "waha1"]


async def test_no_room_on_any_server_is_said_and_nothing_is_stored(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(1,))
    await world.post("/api/sessions", {"phone_number": ALICE})
    answer = (await world.call("POST", "/api/sessions", {"phone_number": BERT}, status=503)).json()
    assert answer["error_code"] == "NO_CAPACITY"
    assert await world.count(Session) == 1


async def test_a_server_that_is_gone_gets_no_session(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(100, 1))
    await world.waha.close()
    assert (await world.post("/api/sessions", {"phone_number": ALICE}))["server"] == "waha2"
    answer = (await world.call("POST", "/api/sessions", {"phone_number": BERT}, status=503)).json()
    assert answer["error_code"] == "NO_CAPACITY"


async def test_messages_of_a_session_go_to_its_server(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(1, 1))
    await world.pair(ALICE)
    await world.pair(BERT, waha=world.wahas[1])
    await world.finished(await world.send(sender_number=BERT, recipients=recipients(2)))
    assert [len(await waha.ledger()) for waha in world.wahas] == [0, 2]


# --- who may pair


async def test_in_token_mode_a_stranger_pairs_and_owns_the_number_once_its_phone_has_scanned(
    make_world: MakeWorld,
) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    created = (await world.call("POST", "/api/sessions", {"phone_number": ALICE}, status=201)).json()
    own = {"X-Sender-Token": created["sender_token"]}
    await world.call("POST", "/api/sessions", {"phone_number": ALICE}, status=409)  # one pairing at a time
    await world.call("GET", f"/api/sessions/{ALICE}/qr", status=401)
    shown = (await world.call("GET", f"/api/sessions/{ALICE}/qr", headers=own, status=200)).json()
    assert shown["status"] == "WAITING_FOR_SCAN"
    await world.call("GET", "/api/campaigns", headers=own, status=401)
    await world.call("GET", f"/api/sessions/{BERT}", headers=own, status=404)
    await world.waha.scan(ALICE)
    await world.state(ALICE, SessionState.CONNECTED)
    await world.call("GET", "/api/campaigns", headers=own, status=200)


async def test_a_session_that_only_starts_again_gives_nobody_a_valid_token(make_world: MakeWorld) -> None:
    world = await make_world(auth={"admin_token": ADMIN_TOKEN, "user_access": "token"})
    world.client.headers["X-Admin-Token"] = ADMIN_TOKEN
    token = (await world.pair(ALICE))[ALICE]
    await world.post(f"/api/sessions/{ALICE}/stop")
    del world.client.headers["X-Admin-Token"]
    refused = (await world.call("POST", "/api/sessions", {"phone_number": ALICE}, status=409)).json()
    assert "paired already" in refused["detail"]
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    again = (await world.call("POST", "/api/sessions", {"phone_number": ALICE}, headers=operator, status=201)).json()
    await world.state(ALICE, SessionState.CONNECTED)
    await world.call("GET", "/api/campaigns", headers={"X-Sender-Token": again["sender_token"]}, status=401)
    await world.call("GET", "/api/campaigns", headers={"X-Sender-Token": token}, status=200)

"""What WhatsApp allows an account: new chats for now or not, so many of them, so many look-ups per minute."""

from typing import Any

import pytest

from tests.simulator.conftest import CHAT, RECIPIENT, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time

STRANGER = "12125550102@c.us"
ERROR_463 = "2 UNKNOWN: server returned error 463"


async def lock(waha: Simulated, session: str = SENDER, **fields: Any) -> dict[str, Any]:
    """Lock the account, for an hour unless told."""
    answer = await waha.call("PUT", f"/sim/sessions/{session}/timelock", {"seconds": 3600, **fields})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def me(waha: Simulated) -> dict[str, Any]:
    """Who is paired, as the session's info tells it."""
    told: dict[str, Any] = (await waha.call("GET", f"/api/sessions/{SENDER}")).json()["me"]
    return told


async def fault_of(waha: Simulated, **fields: Any) -> str:
    """The message of the exception that a send is refused with."""
    answer = await waha.send(**{"chatId": STRANGER, "id": None, **fields})
    assert answer.status_code == 500
    return str(answer.json()["exception"]["message"])


async def seconds_left(waha: Simulated) -> float:
    """How long the lock lasts from now on."""
    return float((await waha.call("GET", f"/sim/sessions/{SENDER}/timelock")).json()["seconds_left"])


async def test_a_locked_account_cannot_write_to_new_contacts_until_the_lock_ends(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, seconds=3600)
    assert await fault_of(waha) == ERROR_463
    await waha.server.clock.sleep(3599)
    assert await fault_of(waha, chatId="12125550103@c.us") == ERROR_463
    await lock(waha, seconds=1)
    await waha.server.clock.sleep(1)
    assert (await waha.send(chatId=STRANGER)).status_code == 201


async def test_a_locked_account_writes_to_whom_it_wrote_before_and_who_wrote_to_it(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    await lock(waha)
    assert (await waha.send(id=None)).status_code == 201
    await fault_of(waha)
    await waha.call("POST", f"/sim/sessions/{SENDER}/incoming", {"from": "12125550102", "text": "hello"})
    assert (await waha.send(chatId=STRANGER, id=None)).status_code == 201
    assert (await waha.send(chatId="120363000000000000@g.us", id=None)).status_code == 201


async def test_a_contact_under_its_hidden_id_is_the_same_contact(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    lid = (await waha.call("GET", f"/api/{SENDER}/lids/pn/{RECIPIENT}")).json()["lid"]
    await lock(waha)
    assert (await waha.send(chatId=lid, id=None)).status_code == 201


async def test_a_refused_reach_out_does_not_make_a_known_contact(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    await lock(waha)
    for _ in range(2):
        assert (await waha.send(chatId=STRANGER, id=None)).status_code == 201
        await waha.watch.next("message.ack", ack=-1)
    assert await waha.refusals() == ["timelock", "timelock"]
    assert await waha.ledger() == []


async def test_noweb_says_why_in_its_raw_events_only(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await waha.pair()
    raw = type(waha.watch)(waha.server, "engine.event")
    await lock(waha)
    await waha.send(chatId=STRANGER)
    payload = (await raw.next("engine.event"))["payload"]
    assert payload["event"] == "messages.update"
    assert payload["data"][0]["update"] == {"status": 0, "messageStubParameters": ["463"]}
    assert [event for event in waha.watch.heard() if event["event"] == "engine.event"] == []


async def test_the_first_refusal_is_free_and_each_retry_makes_the_lock_longer(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, seconds=3600)
    left = []
    for _ in range(3):
        await fault_of(waha)
        left.append(round(await seconds_left(waha)))
    assert left == [3600, 4200, 4800]
    told = (await waha.call("GET", f"/sim/sessions/{SENDER}/timelock")).json()
    assert (told["active"], told["reach_outs"]) == (True, 3)
    assert await waha.refusals() == ["timelock"] * 3


async def test_how_much_a_retry_costs_can_be_told(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, seconds=60, lengthen_seconds=30)
    await fault_of(waha)
    await fault_of(waha)
    assert round(await seconds_left(waha)) == 90
    await waha.server.clock.sleep(89)
    assert await fault_of(waha, chatId="12125550104@c.us") == ERROR_463
    await waha.server.clock.sleep(31)
    assert (await waha.send(chatId=STRANGER)).status_code == 201


async def test_a_number_that_is_not_on_whatsapp_is_no_reach_out(simulate: Simulate) -> None:
    waha = await simulate(unregistered=frozenset({"12125550199"}))
    await waha.pair()
    await lock(waha)
    assert "no LID found" in await fault_of(waha, chatId="12125550199@c.us")
    assert (await waha.call("GET", f"/sim/sessions/{SENDER}/timelock")).json()["reach_outs"] == 0


async def test_an_account_that_is_told_hears_when_the_lock_begins_and_when_it_ends(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    ends = round(waha.server.clock.now() + 3600)
    await lock(waha, told=True, enforcement="WEB_COMPANION_ONLY")
    expected = {"isActive": True, "enforcementType": "WEB_COMPANION_ONLY", "timeEnforcementEnds": ends}
    began = await waha.watch.next("session.status", status="WORKING")
    assert began["payload"]["data"] == {"reachoutTimelock": expected}
    assert (await me(waha))["reachoutTimelock"] == began["me"]["reachoutTimelock"] == expected
    ended = await waha.watch.next("session.status", status="WORKING")
    assert ended["payload"]["data"] == {"reachoutTimelock": {**expected, "isActive": False}}
    assert ended["timestamp"] == pytest.approx(ends * 1000, abs=1000)
    assert (await me(waha))["reachoutTimelock"]["isActive"] is False


async def test_an_account_that_is_told_hears_of_each_lengthening(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, told=True)
    before = (await waha.watch.next("session.status"))["payload"]["data"]["reachoutTimelock"]
    await fault_of(waha)
    await fault_of(waha)
    after = (await waha.watch.next("session.status"))["payload"]["data"]["reachoutTimelock"]
    assert after["timeEnforcementEnds"] - before["timeEnforcementEnds"] == 600


async def test_an_account_that_is_not_told_hears_nothing(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, told=False)
    await fault_of(waha)
    await waha.server.clock.sleep(7200)
    assert "reachoutTimelock" not in await me(waha)
    assert waha.watch.heard() == []


async def test_a_lock_outlives_a_restart_which_tells_of_it_again(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, told=True)
    await waha.watch.next("session.status", status="WORKING")
    await waha.call("POST", f"/api/sessions/{SENDER}/restart")
    plain = await waha.watch.next("session.status", status="WORKING")
    again = await waha.watch.next("session.status", status="WORKING")
    assert plain["payload"]["data"] is None
    assert again["payload"]["data"]["reachoutTimelock"]["isActive"] is True
    assert await fault_of(waha) == ERROR_463


async def test_a_lock_outlives_a_logout_for_it_belongs_to_the_number(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    await lock(waha, told=True)
    await waha.call("POST", f"/api/sessions/{SENDER}/logout")
    await waha.watch.next("session.status", status="SCAN_QR_CODE")
    await waha.scan()
    await waha.watch.next("session.status", status="WORKING")
    assert await fault_of(waha) == ERROR_463
    assert (await waha.send(id=None)).status_code == 201, "whom it wrote to before is still known"
    assert (await me(waha))["reachoutTimelock"]["isActive"] is True


async def test_zero_seconds_end_a_lock(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha, told=True)
    assert await lock(waha, seconds=0) == {"active": False, "seconds_left": 0.0, "reach_outs": 0}
    assert (await waha.send(chatId=STRANGER)).status_code == 201
    told = [event["payload"]["data"] for event in waha.watch.heard() if event["event"] == "session.status"]
    assert [data["reachoutTimelock"]["isActive"] for data in told] == [True, False]


async def test_a_lock_is_one_accounts_alone(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.pair("other", "447700900124")
    await lock(waha)
    assert (await waha.send(session="other", chatId=STRANGER)).status_code == 201


@pytest.mark.parametrize(
    "body", [{}, {"seconds": -1}, {"seconds": "x"}, {"seconds": 1, "told": "yes"}, {"seconds": 1, "enforcement": 3}]
)
async def test_a_wrong_lock_is_422(simulate: Simulate, body: dict[str, Any]) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.call("PUT", f"/sim/sessions/{SENDER}/timelock", body)).status_code == 422
    assert (await waha.send()).status_code == 201


async def test_a_session_that_is_not_paired_has_no_limits(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    answer = await waha.call("PUT", f"/sim/sessions/{SENDER}/timelock", {"seconds": 1})
    assert (answer.status_code, "not paired" in answer.json()["message"]) == (422, True)


@pytest.mark.parametrize("route", ["timelock", "capping"])
async def test_this_version_of_waha_has_no_routes_for_limits(simulate: Simulate, route: str) -> None:
    waha = await simulate()
    await waha.pair()
    await lock(waha)
    answer = await waha.call("GET", f"/api/sessions/{SENDER}/{route}")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"Cannot GET /api/sessions/{SENDER}/{route}"


async def test_a_quota_of_new_chats_is_counted_down_and_then_refuses(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    now = round(waha.server.clock.now())
    body = {"totalQuota": 10, "usedQuota": 8, "cycle_seconds": 86_400}
    assert (await waha.call("PUT", f"/sim/sessions/{SENDER}/capping", body)).status_code == 200
    fresh = {"cappingStatus": "NONE", "totalQuota": 10, "cycleStart": now, "cycleEnd": now + 86_400}
    assert (await me(waha))["messageCapping"] == {**fresh, "usedQuota": 8}
    for phone in ("12125550101", "12125550102"):
        assert (await waha.send(chatId=f"{phone}@c.us", id=None)).status_code == 201
    assert (await me(waha))["messageCapping"] == {**fresh, "usedQuota": 10, "cappingStatus": "CAPPED"}
    assert await fault_of(waha, chatId="12125550103@c.us") == ERROR_463
    assert (await waha.send(id=None)).status_code == 201, "chats that have begun go on"
    assert await waha.refusals() == ["capped"]


async def test_a_new_cycle_begins_with_nothing_used(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    body = {"totalQuota": 1, "usedQuota": 1, "cycle_seconds": 100}
    first = (await waha.call("PUT", f"/sim/sessions/{SENDER}/capping", body)).json()
    await waha.server.clock.sleep(250)
    assert (await waha.send()).status_code == 201
    capping = (await me(waha))["messageCapping"]
    assert (capping["usedQuota"], capping["cycleStart"]) == (1, first["cycleStart"] + 200)


async def test_a_quota_of_minus_one_is_none_and_a_quota_can_be_taken_away(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    body = {"totalQuota": -1, "usedQuota": 5, "cappingStatus": "FIRST_WARNING"}
    told = (await waha.call("PUT", f"/sim/sessions/{SENDER}/capping", body)).json()
    assert (told["cappingStatus"], told["usedQuota"]) == ("FIRST_WARNING", 5)
    assert (await waha.send()).status_code == 201
    assert (await me(waha))["messageCapping"]["usedQuota"] == 6
    assert (await waha.call("DELETE", f"/sim/sessions/{SENDER}/capping")).status_code == 204
    assert "messageCapping" not in await me(waha)
    assert (await waha.call("GET", f"/sim/sessions/{SENDER}/capping")).json() is None


@pytest.mark.parametrize("body", [{}, {"totalQuota": 1.5}, {"totalQuota": -2}, {"totalQuota": 1, "cycle_seconds": 0}])
async def test_a_wrong_quota_is_422(simulate: Simulate, body: dict[str, Any]) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.call("PUT", f"/sim/sessions/{SENDER}/capping", body)).status_code == 422


def asking(route: str) -> str:
    """A question about a number."""
    return f"/api/contacts/{route}?session={SENDER}&phone={RECIPIENT}&contactId={CHAT}"


@pytest.mark.parametrize("route", ["check-exists", "about", "profile-picture"])
async def test_more_look_ups_per_minute_than_allowed_are_a_rate_overlimit(simulate: Simulate, route: str) -> None:
    waha = await simulate(check_limit=3)
    await waha.pair()
    assert [(await waha.call("GET", asking("check-exists"))).status_code for _ in range(3)] == [200, 200, 200]
    refused = await waha.call("GET", asking(route))
    assert refused.status_code == 500
    exception = refused.json()["exception"]
    assert (exception["message"], exception["data"]) == ("rate-overlimit", 429)
    await waha.server.clock.sleep(60)
    assert (await waha.call("GET", asking(route))).status_code == 200


async def test_the_limit_of_look_ups_is_per_account_and_can_be_changed(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.pair("other", "447700900124")
    assert (await waha.call("GET", "/sim/limits")).json() == {"check_limit": None}
    assert (await waha.call("PUT", "/sim/limits", {"check_limit": 1})).json() == {"check_limit": 1}
    assert (await waha.call("GET", asking("check-exists"))).status_code == 200
    assert (await waha.call("GET", asking("check-exists"))).status_code == 500
    others = asking("check-exists").replace(f"session={SENDER}", "session=other")
    assert (await waha.call("GET", others)).status_code == 200
    await waha.call("PUT", "/sim/limits", {"check_limit": None})
    assert (await waha.call("GET", asking("check-exists"))).status_code == 200
    assert (await waha.call("PUT", "/sim/limits", {"check_limit": -1})).status_code == 422


async def test_look_ups_can_be_refused_by_chance_while_sends_go_well(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.faults(rate_overlimit=0.5)
    codes = [(await waha.call("GET", asking("check-exists"))).status_code for _ in range(40)]
    assert {200, 500} == set(codes)
    assert (await waha.send()).status_code == 201
    assert (await waha.call("PUT", "/sim/faults", {"rate_overlimit": 1.5})).status_code == 422


async def test_a_sick_session_refuses_every_send_until_it_is_restarted(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.send()
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/sick", {"code": 400})).status_code == 200
    assert await fault_of(waha, chatId=CHAT) == "2 UNKNOWN: server returned error 400"
    assert await fault_of(waha) == "2 UNKNOWN: server returned error 400"
    assert await waha.status() == "WORKING", "and nothing shows it"
    await waha.call("POST", f"/api/sessions/{SENDER}/start")
    assert await fault_of(waha) == "2 UNKNOWN: server returned error 400"
    await waha.call("POST", f"/api/sessions/{SENDER}/restart")
    assert (await waha.send(id=None)).status_code == 201
    assert await waha.refusals() == ["sick"] * 3


async def test_a_code_that_is_no_error_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/sick", {"code": 200})).status_code == 422
    assert (await waha.send()).status_code == 201

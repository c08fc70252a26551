"""Passkeys: what GOWS asks for after the scan, and what it answers when nothing is asked for."""

from typing import Any

import pytest

from tests.simulator.conftest import SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time
PASSKEY = f"/api/{SENDER}/auth/passkey"
ASSERTION = {
    "id": "Y3JlZGVudGlhbA",
    "rawId": "Y3JlZGVudGlhbA",
    "type": "public-key",
    "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"},
}
NO_CHALLENGE = "No passkey challenge is pending for the session"
NO_CONFIRMATION = "No passkey confirmation is pending for the session"


async def scan_until_asked(waha: Simulated) -> dict[str, Any]:
    """Let a phone scan the code; the event that asks for the passkey."""
    await waha.show_qr()
    await waha.scan()
    return await waha.watch.next("session.status", status="PASSKEY_REQUIRED")


async def test_a_scan_is_not_enough_where_a_passkey_is_asked_for(simulate: Simulate) -> None:
    waha = await simulate(passkey=True)
    event = await scan_until_asked(waha)
    challenge = event["payload"]["data"]
    assert challenge["rpId"] == "web.whatsapp.com"
    assert challenge["timeout"] == 60_000
    assert (await waha.call("GET", f"{PASSKEY}/challenge")).json() == challenge
    assert (await waha.call("GET", f"/api/sessions/{SENDER}/me")).json() is None


async def test_the_signed_challenge_and_the_compared_code_pair_the_number(simulate: Simulate) -> None:
    waha = await simulate(passkey=True)
    await scan_until_asked(waha)
    signed = await waha.call("POST", PASSKEY, ASSERTION)
    assert (signed.status_code, signed.content) == (201, b"")
    asked = await waha.watch.next("session.status", status="PASSKEY_CONFIRMATION_REQUIRED")
    shown = (await waha.call("GET", f"{PASSKEY}/confirmation")).json()
    assert asked["payload"]["data"] == shown
    assert len(shown["code"]) == 4
    assert (await waha.call("POST", f"{PASSKEY}/confirm")).status_code == 201
    event = await waha.watch.next("session.status", status="WORKING")
    assert (event["me"]["id"], event["payload"]["data"]) == (f"{SENDER}@c.us", None)


async def test_most_pairings_need_no_code_to_be_compared(simulate: Simulate) -> None:
    waha = await simulate(passkey=True, passkey_confirmation=False)
    await scan_until_asked(waha)
    await waha.call("POST", PASSKEY, ASSERTION)
    assert await waha.statuses("WORKING") == ["WORKING"]


async def test_a_challenge_that_nobody_signs_runs_out_after_60_s(simulate: Simulate) -> None:
    waha = await simulate(passkey=True)
    asked = await scan_until_asked(waha)
    failed = await waha.watch.next("session.status")
    assert failed["payload"]["status"] == "FAILED"
    assert failed["timestamp"] - asked["timestamp"] == 60_000
    assert (await waha.call("POST", PASSKEY, ASSERTION)).json()["message"] == NO_CHALLENGE


async def test_a_code_that_nobody_compares_runs_out_after_60_s(simulate: Simulate) -> None:
    waha = await simulate(passkey=True)
    await scan_until_asked(waha)
    await waha.call("POST", PASSKEY, ASSERTION)
    assert await waha.statuses("FAILED") == ["PASSKEY_CONFIRMATION_REQUIRED", "FAILED"]
    assert (await waha.call("POST", f"{PASSKEY}/confirm")).json()["message"] == NO_CONFIRMATION


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/challenge", NO_CHALLENGE),
        ("POST", "", NO_CHALLENGE),
        ("GET", "/confirmation", NO_CONFIRMATION),
        ("POST", "/confirm", NO_CONFIRMATION),
    ],
)
async def test_where_nothing_is_asked_for_it_is_422(simulate: Simulate, method: str, path: str, message: str) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.call(method, f"{PASSKEY}{path}", ASSERTION if method == "POST" else None)
    assert (answer.status_code, answer.json()["message"]) == (422, message)


async def test_a_session_that_does_not_run_has_no_passkey(simulate: Simulate) -> None:
    waha = await simulate()
    assert (await waha.call("GET", f"{PASSKEY}/challenge")).status_code == 404


@pytest.mark.parametrize("engine", ["NOWEB", "WEBJS"])
async def test_other_engines_know_no_passkeys(simulate: Simulate, engine: str) -> None:
    waha = await simulate(engine=engine, passkey=True)
    await waha.pair()
    assert (await waha.call("GET", f"{PASSKEY}/challenge")).status_code == 501
    told = await waha.call("POST", f"/sim/sessions/{SENDER}/passkey", {"passkey": True})
    assert told.status_code == 422


@pytest.mark.parametrize("body", [{}, {**ASSERTION, "id": ""}, {**ASSERTION, "response": {}}])
async def test_an_incomplete_signature_is_500_and_the_challenge_stays(simulate: Simulate, body: dict[str, Any]) -> None:
    waha = await simulate(passkey=True)
    await scan_until_asked(waha)
    assert (await waha.call("POST", PASSKEY, body)).status_code == 500
    assert (await waha.call("GET", f"{PASSKEY}/challenge")).status_code == 200


async def test_one_session_can_be_told_to_ask_and_another_not(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    told = await waha.tell(f"sessions/{SENDER}/passkey", {"passkey": True, "confirmation": False})
    assert told == {"name": SENDER, "passkey": True, "confirmation": False}
    await waha.act("restart")
    await waha.statuses("SCAN_QR_CODE")
    await waha.scan()
    await waha.watch.next("session.status", status="PASSKEY_REQUIRED")
    await waha.pair("447700900124", "447700900124")


async def test_a_session_that_lost_whatsapp_asks_no_more(simulate: Simulate) -> None:
    waha = await simulate(passkey=True)
    await scan_until_asked(waha)
    await waha.tell("disconnect", {"seconds": 1})
    assert await waha.status() == "FAILED"
    assert (await waha.call("GET", f"{PASSKEY}/challenge")).status_code == 422

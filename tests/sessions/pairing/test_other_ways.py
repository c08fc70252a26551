"""A code that is typed on the phone, and the passkey that WhatsApp may ask for."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.simulator.stored import PasskeyWish, Status
from sessions.models import SessionState
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import ALICE, BERT, PATH, PairingWorld

pytestmark = pytest.mark.virtual_time

REQUEST = f"POST /api/{ALICE}/auth/request-code"
ASSERTION: dict[str, Any] = {
    "id": "AbCd",
    "rawId": "AbCd",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ9", "authenticatorData": "SZYN", "signature": "MEUC"},
    "clientExtensionResults": {},
}


# --- codes to type


async def test_a_code_that_is_typed_on_the_phone_connects_it(world: PairingWorld) -> None:
    await world.api.create()
    answer = await world.api.call("POST", f"{PATH}/code", status=200)
    assert set(answer) == {"code", "expires_at", "message"}
    assert f"GET {PATH}/qr" in answer["message"]
    left = datetime.fromisoformat(answer["expires_at"]) - datetime.fromtimestamp(world.clock.now(), UTC)
    assert 100 < left.total_seconds() <= 160
    assert world.session.pairing is not None
    assert not world.session.pairing.enter_code(BERT, answer["code"])
    assert world.session.pairing.enter_code(ALICE, answer["code"])
    await world.state(SessionState.CONNECTED)


async def test_a_code_starts_what_has_to_be_started(world: PairingWorld) -> None:
    await world.api.create()
    await world.run_out()
    answer = await world.api.call("POST", f"{PATH}/code", status=200)
    assert len(answer["code"]) == 9


async def test_those_who_ask_at_once_get_one_code_that_is_not_void(world: PairingWorld) -> None:
    await world.api.create()
    await world.shows_code()
    answers = await asyncio.gather(*(world.api.call("POST", f"{PATH}/code", status=200) for _ in range(5)))
    assert world.eye.count(REQUEST) == 1
    (code,) = {answer["code"] for answer in answers}
    assert world.session.pairing is not None
    assert world.session.pairing.enter_code(ALICE, code)


async def test_a_connected_session_needs_no_code(world: PairingWorld) -> None:
    await world.pair()
    refused = await world.api.call("POST", f"{PATH}/code", status=409)
    assert (refused["error_code"], f"GET {PATH}/qr" in refused["detail"]) == ("CONFLICT", True)
    assert world.eye.count(REQUEST) == 0


@pytest.mark.parametrize(
    ("refusal", "status", "error_code"),
    [
        (
            httpx.Response(501, json={"message": "not implemented by 'WEBJS' engine", "statusCode": 501}),
            501,
            "NOT_IMPLEMENTED",
        ),
        (
            httpx.Response(
                422,
                json={"message": "Can request code only in SCAN_QR_CODE status. The current status is STARTING"},
            ),
            409,
            "CONFLICT",
        ),
        (
            httpx.Response(404, json={"message": "We didn't find a session with name 'x'.\nPlease start it"}),
            409,
            "CONFLICT",
        ),
        (httpx.Response(500, json={"exception": {"message": "bad"}}), 502, "WHATSAPP_API_ERROR"),
    ],
    ids=["501", "422", "404", "500"],
)
async def test_a_refusal_says_that_the_qr_code_is_the_other_way(
    world: PairingWorld, refusal: httpx.Response, status: int, error_code: str
) -> None:
    await world.api.create()
    await world.shows_code()
    world.eye.refusals["/request-code"] = refusal
    refused = await world.api.call("POST", f"{PATH}/code", status=status)
    assert refused["error_code"] == error_code
    assert f"GET {PATH}/qr" in refused["detail"]


async def test_a_session_that_is_still_starting_is_to_be_asked_again(make_pairing_world: MakePairingWorld) -> None:
    world = await make_pairing_world(start_seconds=30.0)
    await world.api.create()
    before = world.clock.monotonic()
    refused = await world.api.call("POST", f"{PATH}/code", status=503)
    assert f"GET {PATH}/qr" in refused["detail"]
    assert world.clock.monotonic() - before <= 6.0


# --- passkeys


@pytest.fixture
async def passkey_world(make_pairing_world: MakePairingWorld) -> PairingWorld:
    """WhatsApp asks for a passkey after Alice's scan, and to compare a code after that."""
    world = await make_pairing_world(passkey=True)
    await world.api.create()
    await world.shows_code()
    world.scan()
    await world.state(SessionState.SCANNED)
    return world


async def test_a_passkey_is_asked_for_in_a_sentence_and_its_steps_are_passed_through(
    passkey_world: PairingWorld,
) -> None:
    world = passkey_world
    shown = await world.api.qr()
    session = await world.api.call("GET", PATH, status=200)
    assert shown["status"] == session["status"] == "SCANNED"
    assert f"GET {PATH}/passkey" in shown["reason"]
    assert shown["reason"] == session["reason"]
    step = await world.api.call("GET", f"{PATH}/passkey", status=200)
    assert set(step) == {"step", "challenge", "expires_at", "message"}
    assert world.session.pairing is not None
    assert step["challenge"] == world.session.pairing.challenge
    left = datetime.fromisoformat(step["expires_at"]) - datetime.fromtimestamp(world.clock.now(), UTC)
    assert 55 < left.total_seconds() <= 60
    done = await world.api.call("POST", f"{PATH}/passkey", ASSERTION, status=200)
    assert done["status"] == "SCANNED"
    confirmation = await world.api.call("GET", f"{PATH}/passkey", status=200)
    assert confirmation["step"] == "confirmation"
    assert confirmation["code"] == (world.session.pairing.confirmation or {})["code"]
    assert "passkey/confirm" in (await world.api.qr())["reason"]
    await world.api.call("POST", f"{PATH}/passkey/confirm", status=200)
    await world.state(SessionState.CONNECTED)


async def test_a_passkey_that_nobody_gives_in_time_ends_the_pairing(passkey_world: PairingWorld) -> None:
    await passkey_world.waha_is(Status.FAILED)
    await passkey_world.state(SessionState.FAILED)
    await passkey_world.api.call("GET", f"{PATH}/passkey", status=409)
    passkey_world.waha.lifecycle.stored[ALICE].passkey = PasskeyWish(False, False)
    assert "qr_code" in await passkey_world.shows_code()


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_without_a_pending_step_every_passkey_route_is_a_conflict(
    make_pairing_world: MakePairingWorld, engine: str
) -> None:
    world = await make_pairing_world(engine=engine)
    await world.api.create()
    await world.shows_code()
    for method, path, body in (
        ("GET", "/passkey", None),
        ("POST", "/passkey", ASSERTION),
        ("POST", "/passkey/confirm", None),
    ):
        assert (await world.api.call(method, f"{PATH}{path}", body, status=409))["error_code"] == "CONFLICT"


async def test_an_answer_that_lacks_a_part_is_refused_with_its_name(passkey_world: PairingWorld) -> None:
    body = ASSERTION | {"response": {"clientDataJSON": "eyJ9", "authenticatorData": "SZYN"}}
    refused = await passkey_world.api.call("POST", f"{PATH}/passkey", body, status=422)
    assert [error["field"] for error in refused["errors"]] == ["response.signature"]
    assert passkey_world.session.status is Status.PASSKEY_REQUIRED

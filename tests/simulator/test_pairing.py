"""QR codes, their clock and their three forms, and pairing codes."""

import asyncio
import base64
import io
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from PIL import Image

from tests.simulator.conftest import FAST, SENDER, Simulate, Simulated

QR = f"/api/{SENDER}/auth/qr"


async def raw_qr(waha: Simulated) -> str:
    """The value of the QR that is shown now."""
    return str((await waha.call("GET", f"{QR}?format=raw")).json()["value"])


async def test_six_codes_are_shown_for_60_and_five_times_20_s_then_the_session_fails(
    simulate: Simulate,
) -> None:
    waha = await simulate()
    await waha.create()
    shown = [await waha.watch.next("session.status", status="SCAN_QR_CODE") for _ in range(6)]
    failed = await waha.watch.next("session.status", status="FAILED")
    moments = [event["timestamp"] / 1000 * FAST for event in [*shown, failed]]
    lifetimes = [later - earlier for earlier, later in pairwise(moments)]
    rounding = 2 * FAST / 1000
    assert all(seconds >= least - rounding for seconds, least in zip(lifetimes, [60, *[20] * 5], strict=True)), (
        lifetimes
    )


async def test_each_code_has_another_value_of_four_comma_separated_parts(simulate: Simulate) -> None:
    waha = await simulate(speed=100)
    await waha.show_qr()
    first = await raw_qr(waha)
    await waha.watch.next("session.status", status="SCAN_QR_CODE")
    second = await raw_qr(waha)
    assert first != second
    for value in (first, second):
        assert len(value.split(",")) == 4
        assert 200 <= len(value) <= 260


async def test_the_image_is_a_png_unless_accept_is_exactly_json(simulate: Simulate) -> None:
    waha = await simulate(speed=10)
    await waha.show_qr()
    for accept in ("*/*", "application/json, text/plain, */*"):
        answer = await waha.client.get(QR, headers={"Accept": accept})
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).format == "PNG"
    answer = await waha.client.get(QR, headers={"Accept": "application/json"})
    assert answer.json()["mimetype"] == "image/png"
    assert base64.b64decode(answer.json()["data"]).startswith(b"\x89PNG")


async def test_asking_a_working_session_for_a_qr_blocks_10_s_and_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    before = waha.server.clock.elapsed()
    answer = await waha.call("GET", QR)
    assert waha.server.clock.elapsed() - before >= 10
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": SENDER,
        "status": "WORKING",
        "expected": ["SCAN_QR_CODE"],
    }


async def test_a_qr_asked_for_while_starting_comes_when_it_is_there(simulate: Simulate) -> None:
    waha = await simulate(start_seconds=3)
    await waha.create()
    assert (await waha.call("GET", f"{QR}?format=raw")).status_code == 200


async def test_a_scan_pairs_the_number_that_scanned_whatever_the_session_is_called(
    simulate: Simulate,
) -> None:
    waha = await simulate()
    await waha.pair(phone="447700900999")
    assert (await waha.call("GET", f"/api/sessions/{SENDER}/me")).json()["id"] == "447700900999@c.us"


async def test_scanning_without_a_qr_is_422(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    assert (await waha.scan()).status_code == 422


async def test_auto_scan_pairs_the_number_that_the_name_spells(simulate: Simulate) -> None:
    waha = await simulate(auto_scan_seconds=2)
    await waha.create()
    event = await waha.watch.next("session.status", status="WORKING")
    assert event["me"]["id"] == f"{SENDER}@c.us"


async def test_auto_scan_gives_other_names_different_numbers_reserved_for_fiction(
    simulate: Simulate,
) -> None:
    waha = await simulate(auto_scan_seconds=2)
    paired = []
    for name in ("sales", "support"):
        await waha.create(name)
        event = await waha.watch.next("session.status", name=name, status="WORKING")
        paired.append(event["me"]["id"])
    assert len(set(paired)) == 2
    assert all(re.fullmatch(r"447700900\d{3}@c\.us", one) for one in paired)


async def test_a_pairing_code_is_four_and_four_characters(simulate: Simulate) -> None:
    waha = await simulate(speed=10)
    await waha.show_qr()
    answer = await waha.call("POST", f"/api/{SENDER}/auth/request-code", {"phoneNumber": SENDER})
    assert answer.status_code == 201
    assert re.fullmatch(r"[1-9A-Z]{4}-[1-9A-Z]{4}", answer.json()["code"])


async def test_a_pairing_code_in_another_status_is_422_at_once(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    answer = await waha.call("POST", f"/api/{SENDER}/auth/request-code", {"phoneNumber": SENDER})
    assert answer.status_code == 422
    message = "Can request code only in SCAN_QR_CODE status. The current status is WORKING"
    assert answer.json()["message"] == message


async def test_gows_waits_a_moment_for_a_starting_session_before_refusing_a_code(simulate: Simulate) -> None:
    waha = await simulate(start_seconds=1)
    await waha.create()
    answer = await waha.call("POST", f"/api/{SENDER}/auth/request-code", {"phoneNumber": SENDER})
    assert answer.status_code == 201


async def test_noweb_refuses_a_method_for_pairing_codes(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB", speed=10)
    await waha.show_qr()
    body = {"phoneNumber": SENDER, "method": "sms"}
    assert (await waha.call("POST", f"/api/{SENDER}/auth/request-code", body)).status_code == 422


async def test_a_pairing_code_for_a_session_that_does_not_run_is_404(simulate: Simulate) -> None:
    waha = await simulate()
    answer = await waha.call("POST", "/api/nobody/auth/request-code", {"phoneNumber": SENDER})
    assert answer.status_code == 404


@pytest.mark.parametrize("phone", ["", "+447700900123", "abc", None])
async def test_a_scan_needs_digits(simulate: Simulate, phone: str | None) -> None:
    waha = await simulate(speed=10)
    await waha.show_qr()
    answer = await waha.call("POST", f"/sim/sessions/{SENDER}/scan", {"phone": phone})
    assert answer.status_code == 422


async def test_the_qr_clock_runs_at_the_speed_that_is_set_while_it_runs(simulate: Simulate) -> None:
    waha = await simulate(speed=1)
    await waha.create()
    assert (await waha.call("PUT", "/sim/clock", {"speed": 10_000})).json() == {"speed": 10_000}
    await asyncio.wait_for(waha.watch.next("session.status", status="FAILED"), timeout=20)


async def code_of(waha: Simulated, phone: str = SENDER) -> str:
    """A pairing code for a number."""
    answer = await waha.call("POST", f"/api/{SENDER}/auth/request-code", {"phoneNumber": phone})
    return str(answer.json()["code"])


@pytest.mark.parametrize("typed", [str, lambda code: code.replace("-", "").lower()])
@pytest.mark.virtual_time
async def test_a_typed_pairing_code_pairs_the_number_that_typed_it(
    simulate: Simulate, typed: Callable[[str], str]
) -> None:
    waha = await simulate()
    await waha.show_qr()
    code = typed(await code_of(waha, "+44 7700 900 123"))
    await waha.tell(f"sessions/{SENDER}/enter-code", {"phone": SENDER, "code": code})
    event = await waha.watch.next("session.status", status="WORKING")
    assert event["me"]["id"] == f"{SENDER}@c.us"


@pytest.mark.virtual_time
async def test_a_code_is_for_one_number_and_until_the_next_one_only(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    first, second = await code_of(waha), await code_of(waha)
    path = f"/sim/sessions/{SENDER}/enter-code"
    for phone, code in [(SENDER, first), ("447700900999", second), (SENDER, "")]:
        assert (await waha.call("POST", path, {"phone": phone, "code": code})).status_code == 422
    assert await waha.status() == "SCAN_QR_CODE"
    assert (await waha.call("POST", path, {"phone": SENDER, "code": second})).status_code == 200


@pytest.mark.virtual_time
async def test_a_code_is_void_when_the_qr_codes_ran_out(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    code = await code_of(waha)
    assert (await waha.statuses("FAILED"))[-1] == "FAILED"
    body = {"phone": SENDER, "code": code}
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/enter-code", body)).status_code == 422


@pytest.mark.virtual_time
async def test_two_sessions_that_scan_by_themselves_at_once_get_different_numbers(simulate: Simulate) -> None:
    waha = await simulate(auto_scan_seconds=2)
    await asyncio.gather(waha.create("sales"), waha.create("support"))
    paired = [(await waha.watch.next("session.status", status="WORKING"))["me"]["id"] for _ in range(2)]
    assert len(set(paired)) == 2

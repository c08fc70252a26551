"""Phones that remove a device, and phones that nobody uses any more."""

import pytest

from gateway.simulator.phones import DAY
from tests.simulator.conftest import RECIPIENT, SENDER, Simulate, Simulated

pytestmark = pytest.mark.virtual_time


async def logout_by_phone(waha: Simulated) -> None:
    """Pair a session, and let the phone remove it."""
    await waha.pair()
    told = await waha.tell(f"sessions/{SENDER}/logout")
    assert told == {"name": SENDER, "status": "FAILED"}
    waha.watch.heard()


async def test_webjs_does_not_start_by_itself_after_a_logout_and_a_restart_shows_a_qr(simulate: Simulate) -> None:
    waha = await simulate(engine="WEBJS")
    await logout_by_phone(waha)
    await waha.server.clock.sleep(3600)
    assert (waha.watch.heard(), await waha.status()) == ([], "FAILED")
    await waha.act("restart")
    assert await waha.statuses("SCAN_QR_CODE") == ["STOPPED", "STARTING", "SCAN_QR_CODE"]


async def test_noweb_fails_after_each_restart_until_it_is_logged_out(simulate: Simulate) -> None:
    waha = await simulate(engine="NOWEB")
    await logout_by_phone(waha)
    for _ in range(3):
        await waha.act("restart")
        assert await waha.statuses("FAILED") == ["STOPPED", "STARTING", "FAILED"]
    await waha.act("logout")
    await waha.watch.next("session.status", status="SCAN_QR_CODE")
    await waha.scan()
    await waha.watch.next("session.status", status="WORKING")


@pytest.mark.parametrize(("engine", "after"), [("GOWS", "SCAN_QR_CODE"), ("NOWEB", "FAILED")])
async def test_a_stopped_session_hears_of_the_logout_when_it_starts(
    simulate: Simulate, engine: str, after: str
) -> None:
    waha = await simulate(engine=engine)
    await waha.pair()
    await waha.act("stop")
    assert (await waha.tell(f"sessions/{SENDER}/logout"))["status"] == "STOPPED"
    waha.watch.heard()
    await waha.act("start")
    assert await waha.statuses("FAILED") == ["STARTING", "FAILED"]
    await waha.act("restart")
    assert await waha.statuses(after) == ["STOPPED", "STARTING", after]


async def test_a_session_in_an_outage_hears_of_the_logout_when_whatsapp_is_back(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.tell("disconnect", {"seconds": 60})
    await waha.tell(f"sessions/{SENDER}/logout")
    waha.watch.heard()
    assert await waha.statuses("FAILED") == ["FAILED"]


async def test_an_unpaired_session_cannot_be_removed(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.show_qr()
    assert (await waha.call("POST", f"/sim/sessions/{SENDER}/logout")).status_code == 422


async def test_a_phone_that_is_not_used_for_14_days_loses_its_session(simulate: Simulate) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    paired = waha.server.clock.elapsed()
    await waha.watch.next("session.status", status="FAILED")
    assert waha.server.clock.elapsed() - paired == pytest.approx(14 * DAY, abs=60.0)


@pytest.mark.parametrize(
    ("sign", "body"), [("phone-online", None), ("phone-message", {"to": RECIPIENT, "text": "hello"})]
)
async def test_a_sign_of_life_of_the_phone_begins_the_14_days_anew(
    simulate: Simulate, sign: str, body: dict[str, str] | None
) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    for _ in range(5):
        await waha.server.clock.sleep(10 * DAY)
        await waha.tell(f"sessions/{SENDER}/{sign}", body)
    seen = waha.server.clock.elapsed()
    assert await waha.status() == "WORKING"
    await waha.watch.next("session.status", status="FAILED")
    assert waha.server.clock.elapsed() - seen == pytest.approx(14 * DAY, abs=60.0)


async def test_what_we_send_and_receive_is_no_sign_of_life(simulate: Simulate) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    for _ in range(3):
        await waha.server.clock.sleep(4 * DAY)
        await waha.send()
        await waha.tell(f"sessions/{SENDER}/incoming", {"from": RECIPIENT, "text": "hello"})
    await waha.server.clock.sleep(3 * DAY)
    assert await waha.status() == "FAILED"


async def test_a_stopped_session_expires_too_and_hears_of_it_when_it_starts(simulate: Simulate) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    await waha.act("stop")
    await waha.server.clock.sleep(15 * DAY)
    waha.watch.heard()
    await waha.act("start")
    assert await waha.statuses("FAILED") == ["STARTING", "FAILED"]


async def test_a_phone_that_pairs_anew_has_14_days_again(simulate: Simulate) -> None:
    waha = await simulate(phone_expiry_days=14)
    await waha.pair()
    await waha.server.clock.sleep(10 * DAY)
    await waha.act("logout")
    await waha.watch.next("session.status", status="SCAN_QR_CODE")
    await waha.scan()
    await waha.watch.next("session.status", status="WORKING")
    await waha.server.clock.sleep(13 * DAY)
    assert await waha.status() == "WORKING"


async def test_no_phone_expires_unless_told(simulate: Simulate) -> None:
    waha = await simulate()
    await waha.pair()
    await waha.server.clock.sleep(90 * DAY)
    assert await waha.status() == "WORKING"

"""The first run, by clicks: the gateway's address, the number, the code on the screen, and the phone that scans it."""

from playwright.async_api import expect

from tests.api.world import ALICE
from tests.extension.desk import Desk


async def test_a_number_is_linked_by_clicks(desk: Desk) -> None:
    popup = await desk.open()
    await expect(popup.get_by_role("heading", name="Where is your gateway?")).to_be_visible()
    await desk.shoot(popup, "1-gateway")
    await desk.set_up(popup, ALICE)
    await expect(popup.get_by_text("Point the camera at this code")).to_be_visible()
    await desk.shoot(popup, "3-scan")
    await desk.shows_the_code(popup, ALICE)
    await desk.world.waha.scan(ALICE)
    await expect(popup.get_by_role("heading", name="Connected")).to_be_visible()
    await desk.shoot(popup, "4-connected")
    settings = await desk.stored("settings")
    assert (settings["number"], settings["token"][:4], settings["paired"]) == (ALICE, "wgs_", True)
    await popup.get_by_role("button", name="Overview").click()
    await expect(popup.get_by_text("Nothing is being sent.")).to_be_visible()
    await desk.shoot(popup, "5-overview")

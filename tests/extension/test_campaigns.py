"""A campaign from a contact file, by clicks: chosen, written, forecast, sent, watched, steered."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.api.world import ALICE, recipients
from tests.extension.desk import Desk

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "contacts.csv"
ROWS = 150
"""As many as are sent within seconds."""
OWN = (
    "\ufeffname;phone;city\n"
    'Ana "Nina" Silva;+44 7700 900101;Lisbon\n'
    '"Berg; Ltd";+447700900102;Oslo\n'
    "Chloé;tel:+447700900103;\n"
    "Again;00447700900101;Lisbon\n"
    "Nobody;12;Nowhere\n"
)


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    """The beginning of a contact list as people have it, or a small one with the same habits."""
    lines = SHARED.read_text(encoding="utf-8").splitlines(keepends=True)[:ROWS] if SHARED.exists() else [OWN]
    own = tmp_path / "contacts.csv"
    own.write_text("".join(lines), encoding="utf-8")
    return own


async def test_a_campaign_from_a_file_is_forecast_sent_and_watched_to_its_end(desk: Desk, contacts: Path) -> None:
    tab = await desk.open("app.html")
    await desk.link(tab, ALICE)
    await tab.get_by_role("button", name="Write a campaign").click()
    await tab.locator("#file").set_input_files(contacts)
    await expect(tab.get_by_label("The numbers are in")).to_have_value("1")
    await tab.get_by_label("Text", exact=True).fill("Hello ")
    await tab.get_by_role("button", name="name", exact=True).click()
    await tab.get_by_label("Text", exact=True).press_sequentially(", how is {{city|it}}?")
    await expect(tab.locator(".bubble")).to_contain_text(", how is ")
    await tab.get_by_role("button", name="Check before sending").click()
    await expect(tab.get_by_role("heading", name="Forecast")).to_be_visible()
    send = tab.get_by_role("button", name="Send ", exact=False)
    await expect(send).to_be_disabled()
    await tab.get_by_text("Which rows?").click()
    await desk.shoot(tab, "6-forecast")
    await tab.get_by_label("Send without the").check()
    await send.click()
    await expect(tab.get_by_role("heading", name="The gateway has it")).to_be_visible()
    await desk.shoot(tab, "7-sent")
    await tab.get_by_role("button", name="Watch it").click()
    await expect(tab.get_by_text("Finished", exact=True)).to_be_visible(timeout=60_000)
    await desk.shoot(tab, "8-finished")
    ledger = await desk.world.waha.ledger()
    chats = [one["chat_id"] for one in ledger]
    assert len(chats) == len(set(chats)) > 2
    assert await desk.stored("draft") is None


async def test_what_runs_is_on_the_badge_and_is_paused_resumed_and_cancelled(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.link(popup, ALICE)
    await desk.world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 600, "SENDER_SWITCH_DELAY": 0})
    await desk.write(popup, "Hello", recipients(40))
    await desk.shoot(popup, "6-forecast-popup")
    await popup.get_by_role("button", name="Send 40 messages").click()
    await popup.get_by_role("button", name="Watch it").click()
    await expect(popup.get_by_text("1 of 40 messages")).to_be_visible()
    await desk.until(lambda: _is(desk, "39"))
    await desk.shoot(popup, "9-running")
    await popup.get_by_role("button", name="Pause").click()
    await expect(popup.get_by_text("Paused", exact=True)).to_be_visible()
    await popup.get_by_role("button", name="Resume").click()
    await expect(popup.get_by_role("button", name="Pause")).to_be_visible()
    await popup.get_by_role("button", name="Cancel").click()
    await popup.get_by_role("button", name="Cancel 39 messages?").click()
    await expect(popup.get_by_text("Cancelled", exact=True)).to_be_visible()
    await desk.until(lambda: _is(desk, ""))


async def _is(desk: Desk, badge: str) -> bool:
    return await desk.badge() == badge

"""The whole main job by clicks: a phone is paired, a campaign is made of a real list, and it is watched to its end."""

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from gateway.simulator.stored import Status
from tests.api.world import ALICE, until
from tests.browser.console.operator import Operator
from tests.browser.qr import decode_qr

pytestmark = pytest.mark.timeout(240)

CONTACTS = Path(__file__).parents[4] / "shared" / "data" / "contacts.csv"
ROWS = 200
SENT_MS = 90_000


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    """The beginning of a list as people really have them."""
    if not CONTACTS.exists():
        pytest.skip("the list of contacts is not beside this project")
    lines = CONTACTS.read_bytes().splitlines(keepends=True)
    path = tmp_path / "contacts.csv"
    path.write_bytes(b"".join(lines[: ROWS + 1]))
    return path


async def pair_by_camera(operator: Operator, page: Page) -> None:
    """Scan what the screen shows: the code in the picture is the one that WAHA shows now."""
    await expect(page.locator('[data-panel="code"] svg').first).to_be_visible()

    async def is_shown() -> bool:
        return decode_qr(await page.screenshot()) == operator.world.waha.qr_value(ALICE)

    await until(is_shown)
    await operator.world.waha.scan(ALICE)
    await expect(page.locator('[data-panel="connected"]')).to_be_visible()


async def test_a_phone_is_paired_and_a_list_is_sent_by_clicks(operator: Operator, contacts: Path) -> None:
    page = operator.page
    await operator.log_in()
    await page.get_by_role("link", name="Add sender").first.click()
    await page.get_by_label("Phone number").fill(ALICE)
    await page.get_by_role("button", name="Go on to the QR code").click()
    async with operator.context.expect_page() as opened:
        await page.get_by_role("link", name="Open the QR page here").click()
    pairing = await opened.value
    await pair_by_camera(operator, pairing)
    await pairing.close()
    assert operator.world.waha.server.lifecycle.running[ALICE[1:]].status == Status.WORKING

    await operator.open("/console/campaigns/new")
    await page.locator("#contacts_file").set_input_files(contacts)
    await expect(page.locator("#contacts-read[data-read]")).to_be_visible()
    await page.locator("#text").fill("Hello {{name}}, your order {{order}} is ready in {{city}}.")
    await expect(page.locator(".bubble").first).to_be_visible()
    await page.locator("#name").fill("Orders of today")
    await page.locator("#look").click()
    await expect(page.locator("#send")).to_be_enabled()
    assert await operator.shoot("forecast") == []
    sendable = int(re.findall(r"[\d,]+", await page.locator("#send").inner_text())[0].replace(",", ""))
    await page.locator("#send").click()
    await page.wait_for_url(re.compile("/console/campaigns/[0-9a-f-]{36}$"))
    await expect(page.locator("#campaign-head .pill").first).to_have_text("Completed", timeout=SENT_MS)
    assert await operator.shoot("finished") == []

    sent = Counter(one["chat_id"] for one in await operator.world.waha.ledger())
    assert (len(sent), set(sent.values())) == (sendable, {1})


async def test_two_clicks_on_send_send_once(operator: Operator) -> None:
    page = operator.page
    await operator.world.pair(ALICE)
    await operator.log_in()
    await operator.open("/console/campaigns/new")
    await page.locator("#contacts_text").fill("+447700900101\n+447700900102")
    await page.locator("#text").fill("Hello")
    await page.locator("#look").click()
    await expect(page.locator("#send")).to_be_enabled()
    await page.locator("#send").dblclick()
    await page.wait_for_url(re.compile("/console/campaigns/[0-9a-f-]{36}$"))
    await expect(page.locator("#campaign-head .pill").first).to_have_text("Completed", timeout=SENT_MS)
    assert len(await operator.world.waha.ledger()) == 2
    assert (await operator.world.get("/api/campaigns", sender_number=ALICE))["total"] == 1

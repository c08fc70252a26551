"""A number that has to be scanned again, and what people hear of while no page is open."""

import re
from typing import Any

from playwright.async_api import Page, expect

from tests.api.world import ALICE, recipients
from tests.extension.desk import Desk


async def test_a_number_that_the_phone_has_logged_out_is_scanned_again(desk: Desk) -> None:
    popup = await desk.open()
    await desk.link(popup, ALICE)
    await popup.get_by_role("button", name="Overview").click()
    await desk.log_out(ALICE)
    again = popup.get_by_role("button", name="Scan again")
    await expect(again).to_be_visible()

    async def is_marked() -> bool:
        return await desk.badge() == "!"

    await desk.until(is_marked)
    await desk.shoot(popup, "13-scan-again")
    await again.click()
    await expect(popup.get_by_alt_text("QR code to link the phone")).to_be_visible()
    await desk.shows_the_code(popup, ALICE)
    await desk.world.waha.scan(ALICE)
    await expect(popup.get_by_role("heading", name="Connected")).to_be_visible()
    await popup.get_by_role("button", name="Overview").click()
    await expect(popup.get_by_text("Connected", exact=True)).to_be_visible()


async def test_the_end_of_a_campaign_and_of_a_login_are_notified_while_no_page_is_open(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.link(popup, ALICE)
    for page in desk.context.pages[1:]:
        await page.close()
    campaign = await desk.world.send(recipients=recipients(3))

    async def has_ended() -> bool:
        return f"campaign:{campaign['campaign_id']}" in await desk.notifications()

    await desk.until(has_ended)
    await desk.log_out(ALICE)

    async def has_expired() -> bool:
        return "session" in await desk.notifications()

    await desk.until(has_expired)
    async with desk.context.expect_page() as opened:
        await desk.run("() => chrome.notifications.onButtonClicked.dispatch('session', 0)")
    page = await opened.value
    assert page.url.endswith("app.html#pair")
    await expect(page.get_by_alt_text("QR code to link the phone")).to_be_visible()


EVENTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"event": "session.expiring", "data": {"sender_number": ALICE}}, ["session"]),
    ({"event": "session.expired", "data": {"sender_number": ALICE}}, ["session"]),
    ({"event": "message.sent", "data": {"sender_number": ALICE}}, []),
    ({"event": "message.completed", "data": {"schedule_id": "c1", "stats": {"state": "cancelled"}}}, []),
    (
        {"event": "message.completed", "data": {"schedule_id": "c1", "stats": {"state": "failed", "total": 2}}},
        ["campaign:c1"],
    ),
]


async def test_only_what_people_want_to_hear_is_notified(extension_page: Page) -> None:
    call = """async (event) => {
        const { tell } = await import("/src/telling.js");
        for (const id in await chrome.notifications.getAll()) await chrome.notifications.clear(id);
        await tell(event, async () => null);
        return Object.keys(await chrome.notifications.getAll());
    }"""
    for event, shown in EVENTS:
        assert await extension_page.evaluate(call, event) == shown, event


async def test_a_pairing_code_is_the_other_way(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    desk.world.waha.server.clock.set_speed(1.0)  # or the code is another one before it has been typed
    popup = await desk.open()
    await desk.set_up(popup, ALICE)
    await popup.get_by_role("button", name="Type a code instead").click()
    code = popup.locator(".code")
    await expect(code).to_have_text(re.compile(r"^[A-Z0-9-]{8,9}$"))
    await desk.shoot(popup, "14-pairing-code")
    await desk.world.waha.tell(
        "POST", f"/sessions/{ALICE[1:]}/enter-code", {"phone": ALICE[1:], "code": await code.inner_text()}
    )
    await expect(popup.get_by_role("heading", name="Connected")).to_be_visible()


async def test_a_phone_that_is_not_the_number_is_told(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.set_up(popup, ALICE)
    await desk.world.waha.scan(ALICE, phone="+447700900002")
    await expect(popup.locator(".lead")).to_contain_text("Another number scanned the code")
    await desk.shoot(popup, "15-wrong-phone")


async def test_who_has_written_is_counted_and_marked_as_read(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    popup = await desk.open()
    await desk.link(popup, ALICE)
    message = {"from": "447700900101", "text": "When do you open?", "author": "Ana"}
    await desk.world.waha.tell("POST", f"/sessions/{ALICE[1:]}/incoming", message)
    await popup.get_by_role("link", name="Inbox 1 unread").click()
    await expect(popup.get_by_text("When do you open?")).to_be_visible()
    await desk.shoot(popup, "16-inbox")
    await popup.get_by_role("button", name="Mark as read: Ana").click()
    await expect(popup.get_by_text("Nobody waits for an answer.")).to_be_visible()
    await expect(popup.get_by_role("link", name="Inbox", exact=True)).to_be_visible()


async def test_the_settings_forget_everything(open_mode_desk: Desk) -> None:
    desk = open_mode_desk
    await desk.link(await desk.open(), ALICE)
    options = await desk.open("options.html")
    await options.get_by_role("button", name="Test the connection").click()
    await expect(options.get_by_text("The gateway answers: healthy")).to_be_visible()
    await options.get_by_role("button", name="Show the token").click()
    await expect(options.get_by_text("wgs_")).to_be_visible()
    await desk.shoot(options, "17-settings")
    await options.get_by_role("button", name="Forget everything").click()
    await options.get_by_role("button", name="Forget the token and the draft?").click()
    await expect(options.get_by_text("This browser knows nothing of the gateway any more.")).to_be_visible()
    assert await desk.stored("settings") is None

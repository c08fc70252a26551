"""The pairing page in a real browser: what somebody with a phone sees, in each state, language, width and scheme."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from gateway.simulator.stored import PasskeyWish, Status
from sessions.pairing.page.drawing import draw_path
from sessions.pairing.page.languages import NAMES, read_language
from tests.browser.axe import serious_violations
from tests.browser.qr import decode_qr
from tests.browser.screenshots import shoot
from tests.browser.watch import Watch
from tests.sessions.pairing.site import Site, open_site
from tests.sessions.pairing.world import ALICE, BERT, OPERATOR, PATH

pytestmark = pytest.mark.timeout(120)

AREA = "pair"
WIDTHS = (1280, 390)
SLOW_MS = 20_000
LOOKS = 5
"""How often a camera looks before it gives up: a picture may be taken while the code is drawn anew."""


class Visitor:
    """Somebody who was sent the link of Alice's number."""

    def __init__(self, page: Page, site: Site, url: str) -> None:
        self.page = page
        self.site = site
        self.url = url

    async def open(self, **query: str) -> None:
        """Follow the link."""
        await self.page.goto(str(httpx.URL(self.url).copy_merge_params(query)))

    async def sees(self, panel: str) -> None:
        """Wait until this panel is shown, and no other."""
        await expect(self.page.locator(f'[data-panel="{panel}"]')).to_be_visible(timeout=SLOW_MS)
        await expect(self.page.locator("[data-panel]:visible")).to_have_count(1)

    async def sees_code(self) -> str:
        """Wait for a QR code; what a phone reads that is held before it."""
        await self.sees("code")
        await expect(self.page.locator("[data-qr] path")).to_have_attribute("d", re.compile("M"))
        read = ""
        for _ in range(LOOKS):
            read = read or decode_qr(await self.page.screenshot(full_page=True, animations="disabled"))
        return read

    async def press(self, what: str) -> None:
        """Press the visible button that does this."""
        await self.page.locator(f'[data-do="{what}"]:visible').click()

    async def shoot(self, name: str) -> None:
        """Pictures at both widths; neither scrolls sideways, and nothing keeps anybody from using the page."""
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 900})
            wide = await self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide at {width}"
            await shoot(self.page, AREA, f"{name}-{width}")
            assert await serious_violations(self.page) == []
        await self.page.set_viewport_size({"width": 1280, "height": 900})

    def scan(self, phone: str = ALICE) -> None:
        """A phone scans what is shown."""
        assert self.waha.scan(phone)

    @property
    def waha(self) -> Any:
        """WAHA's engine object of Alice's session."""
        return self.site.waha.lifecycle.running[ALICE]


@pytest.fixture
async def site(tmp_path: Path, sqlite_folder: Path) -> AsyncIterator[Site]:
    """A gateway in token mode on a loopback port, where Alice's pairing was opened and has been stopped since."""
    async with open_site(tmp_path, sqlite_folder, limits={"pair_page_per_minute": 0}) as opened:
        (await opened.client.post("/api/sessions", json={"phone_number": ALICE}, headers=OPERATOR)).raise_for_status()
        (await opened.client.post(f"{PATH}/stop", headers=OPERATOR)).raise_for_status()
        yield opened


@pytest.fixture
async def visitor(site: Site, page: Page, watch: Watch) -> Visitor:
    """Somebody with a link, who has not followed it yet."""
    watch.allow(str(site.client.base_url))
    answer = await site.client.post(f"{PATH}/pair-link", headers=OPERATOR)
    assert answer.status_code == 201, answer.text
    return Visitor(page, site, answer.json()["url"])


async def test_the_code_on_the_screen_is_the_one_that_whatsapp_shows(visitor: Visitor) -> None:
    await visitor.open()
    assert await visitor.sees_code() == visitor.waha.qr
    await expect(visitor.page.locator('[data-pill="live"]')).to_be_visible()
    left = int(await visitor.page.locator('[data-panel="code"] [data-seconds]').inner_text())
    assert 0 < left <= 60
    await visitor.shoot("code")


async def test_the_code_is_read_on_a_small_dark_screen_too(visitor: Visitor) -> None:
    await visitor.page.set_viewport_size({"width": 390, "height": 800})
    await visitor.page.emulate_media(color_scheme="dark")
    await visitor.open()
    assert await visitor.sees_code() == visitor.waha.qr


async def test_the_code_changes_by_itself(visitor: Visitor) -> None:
    await visitor.open()
    first = await visitor.sees_code()
    path = visitor.page.locator("[data-qr] path")
    drawn = await path.get_attribute("d") or ""
    visitor.site.waha.clock.set_speed(30.0)
    await expect(path).not_to_have_attribute("d", drawn, timeout=SLOW_MS)
    visitor.site.waha.clock.set_speed(1.0)
    await expect(path).to_have_attribute("d", draw_path(visitor.waha.qr).path, timeout=SLOW_MS)
    assert await visitor.sees_code() == visitor.waha.qr != first


async def test_a_scan_ends_in_success_with_number_and_name(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.sees("code")
    visitor.scan()
    await visitor.sees("connected")
    await expect(visitor.page.locator('[data-panel="connected"] .number')).to_have_text(f"+{ALICE}")
    await expect(visitor.page.locator('[data-panel="connected"] [data-name]')).to_have_text(visitor.waha.me["pushName"])
    await expect(visitor.page.locator("[data-pill]:visible")).to_have_count(0)
    await visitor.shoot("connected")
    await visitor.page.reload()
    await visitor.sees("already")
    await visitor.shoot("already")


async def test_a_scan_by_another_phone_is_explained_beside_a_new_code(visitor: Visitor) -> None:
    await visitor.open()
    first = await visitor.sees_code()
    visitor.scan(BERT)
    await expect(visitor.page.locator("[data-alert]")).to_be_visible(timeout=SLOW_MS)
    assert await visitor.sees_code() == visitor.waha.qr != first
    await expect(visitor.page.locator("[data-alert]")).to_contain_text(f"+{ALICE}")
    await visitor.shoot("wrong-phone")
    visitor.scan()
    await visitor.sees("connected")
    await expect(visitor.page.locator("[data-alert]")).to_be_hidden()


async def test_a_code_is_typed_instead_of_scanned(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.sees("code")
    await visitor.press("code")
    await visitor.sees("typed")
    groups = await visitor.page.locator("[data-typed] span").all_inner_texts()
    assert [len(group) for group in groups] == [4, 4]
    await expect(visitor.page.locator('[data-panel="typed"] h2')).to_be_focused()
    await visitor.shoot("typed")
    await visitor.press("qr")
    assert await visitor.sees_code() == visitor.waha.qr
    await visitor.press("code")
    await visitor.sees("typed")
    code = "".join(await visitor.page.locator("[data-typed] span").all_inner_texts())
    assert visitor.waha.pairing.enter_code(ALICE, code)
    await visitor.sees("connected")


async def test_a_code_that_cannot_be_had_is_told_and_the_qr_stays(visitor: Visitor, watch: Watch) -> None:
    await visitor.open()
    await visitor.sees("code")
    watch.expect("503")
    await visitor.page.route("**/code?*", lambda route: route.fulfill(status=503, body="{}"))
    await visitor.press("code")
    await expect(visitor.page.locator('[data-trouble="later"]')).to_be_visible()
    await visitor.sees("code")
    await visitor.shoot("no-code")


async def test_a_passkey_is_explained_and_then_the_code_to_compare(visitor: Visitor) -> None:
    visitor.site.waha.lifecycle.stored[ALICE].passkey = PasskeyWish(wanted=True, confirmation=True)
    await visitor.open()
    await visitor.sees("code")
    visitor.scan()
    await visitor.sees("passkey")
    await visitor.shoot("passkey")
    assert visitor.waha.pairing.prove()
    await visitor.sees("confirm")
    await expect(visitor.page.locator("[data-compare]")).to_have_text(visitor.waha.pairing.confirmation["code"])
    await visitor.shoot("confirm")
    assert visitor.waha.pairing.confirm()
    await visitor.sees("connected")


async def test_codes_that_ran_out_are_told_and_come_again_by_a_button(visitor: Visitor) -> None:
    await visitor.open()
    first = await visitor.sees_code()
    await visitor.waha.force(Status.FAILED)
    await visitor.sees("ended")
    await visitor.shoot("ended")
    await visitor.press("begin")
    assert await visitor.sees_code() == visitor.waha.qr != first


async def test_a_server_that_is_away_is_told_and_the_page_goes_on_by_itself(visitor: Visitor, watch: Watch) -> None:
    watch.expect("503")
    await visitor.site.client.get("/health")
    await visitor.page.route("**/begin?*", lambda route: route.fulfill(status=503, body="{}"))
    await visitor.open()
    await visitor.sees("away")
    await visitor.shoot("away")
    await visitor.page.unroute("**/begin?*")
    await visitor.sees("code")


async def test_a_stream_that_breaks_is_told_and_taken_up_again(visitor: Visitor, watch: Watch) -> None:
    watch.expect("ERR_")
    watch.expect("429")
    await visitor.page.route("**/events?*", lambda route: route.fulfill(status=429, body="{}"))
    await visitor.open()
    await expect(visitor.page.locator('[data-pill="reconnecting"]')).to_be_visible(timeout=SLOW_MS)
    await visitor.sees("code")
    await visitor.shoot("reconnecting")
    await visitor.page.unroute("**/events?*")
    await expect(visitor.page.locator('[data-pill="live"]')).to_be_visible(timeout=SLOW_MS)


async def test_a_session_that_is_removed_ends_the_page(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.sees("code")
    (await visitor.site.client.delete(PATH, headers=OPERATOR)).raise_for_status()
    await visitor.sees("over")


async def test_a_link_that_was_changed_gives_nothing_away(visitor: Visitor, watch: Watch) -> None:
    watch.expect("403")
    visitor.url = visitor.url.replace(ALICE, BERT)
    await visitor.open()
    words = read_language("en").words
    await expect(visitor.page.locator("h1")).to_have_text(words["refused_title"])
    assert BERT not in await visitor.page.locator("body").inner_text()
    await visitor.shoot("refused")
    await visitor.page.get_by_role("link", name="Français").click()
    await expect(visitor.page.locator("h1")).to_have_text(read_language("fr").words["refused_title"])


@pytest.mark.parametrize("code", list(NAMES))
async def test_each_language_is_chosen_by_a_link_and_fits(visitor: Visitor, code: str) -> None:
    await visitor.open()
    await visitor.page.get_by_role("link", name=NAMES[code], exact=True).click()
    await visitor.sees("code")
    words = read_language(code).words
    await expect(visitor.page).to_have_title(words["title"])
    await expect(visitor.page.locator('[data-panel="code"] h2')).to_have_text(words["code_title"])
    direction = await visitor.page.evaluate("getComputedStyle(document.body).direction")
    assert direction == ("rtl" if code == "ar" else "ltr")
    await visitor.shoot(f"language-{code}")
    await visitor.press("code")
    await visitor.sees("typed")
    await visitor.shoot(f"language-{code}-typed")


async def test_in_arabic_the_steps_stand_to_the_left_of_the_code_and_numbers_read_as_ever(visitor: Visitor) -> None:
    await visitor.open(lang="ar")
    await visitor.sees("code")
    stage = await visitor.page.locator(".stage").bounding_box()
    steps = await visitor.page.locator(".steps").bounding_box()
    assert stage is not None
    assert steps is not None
    assert steps["x"] + steps["width"] <= stage["x"]
    number = visitor.page.locator("h1 .number")
    assert await number.evaluate("element => getComputedStyle(element).direction") == "ltr"


async def test_without_scripts_the_page_says_what_to_do(site: Site, visitor: Visitor, browser: Browser) -> None:
    async with AsyncExitStack() as stack:
        context = await browser.new_context(java_script_enabled=False)
        stack.push_async_callback(context.close)
        visitor.page = await context.new_page()
        await visitor.open()
        await expect(visitor.page.locator("noscript h2")).to_have_text(read_language("en").words["no_script_title"])
        await expect(visitor.page.locator("[data-panel]:visible")).to_have_count(0)
        await shoot(visitor.page, AREA, "no-script")
        assert site.waha.lifecycle.running == {}

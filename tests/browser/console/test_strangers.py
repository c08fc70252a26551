"""A page of somebody else, open in the browser in which an operator is logged in at the console.

It reads nothing, sends nothing, opens no socket and does not ride the cookie. And a stranger's name that leads to our
address is refused.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page

from tests.api.conftest import MakeWorld
from tests.api.world import ALICE, World
from tests.browser.chromium import chromium
from tests.browser.console.conftest import NO_LIMITS
from tests.browser.console.operator import Operator
from tests.browser.watch import Watch
from tests.harness.live import serving

pytestmark = pytest.mark.timeout(120)

ANOTHER_NAME = "rebound.example"
EVIL = b"<!doctype html><title>somebody else's</title><h1>You have won</h1>"
DELAYS = "/console/settings/delays"
LIVE = "/console/overview/live"
REFUSED = "refused"
"""What a stranger's script gets to know: that it did not work."""

SCRIPTS = {
    "read": """async ([address, path]) => {
        const answer = await fetch(address + path, {credentials: "include"});
        return await answer.text();
    }""",
    "read blindly": """async ([address, path]) => {
        const answer = await fetch(address + path, {credentials: "include", mode: "no-cors"});
        return answer.type === "opaque" && (await answer.text()) === "" ? "refused" : "read";
    }""",
    "send JSON": """async ([address, path, body]) => {
        const answer = await fetch(address + path, {
            method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body});
        return await answer.text();
    }""",
    "send blindly": """async ([address, path, body]) => {
        const answer = await fetch(address + path, {
            method: "POST", credentials: "include", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body});
        return answer.type === "opaque" ? "refused" : "read";
    }""",
    "beacon": """async ([address, path, body]) => {
        navigator.sendBeacon(address + path, new Blob([body], {type: "text/plain"}));
        return "refused";
    }""",
    "socket": """([address]) => new Promise((done) => {
        const socket = new WebSocket(address.replace("http", "ws") + "/ws");
        socket.onopen = () => done("open");
        socket.onerror = () => done("refused");
    })""",
    "events": """([address]) => new Promise((done) => {
        const events = new EventSource(address + "/console/overview/live", {withCredentials: true});
        events.onopen = () => done("open");
        events.onerror = () => { events.close(); done("refused"); };
    })""",
}


@asynccontextmanager
async def stranger() -> AsyncIterator[int]:
    """A web server of somebody else; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(EVIL)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + EVIL)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def tries(page: Page, script: str, *arguments: Any) -> str:
    """What a script gets to know."""
    guarded = f"async (all) => {{ try {{ return await ({script})(all) }} catch {{ return 'refused' }} }}"
    return str(await page.evaluate(guarded, list(arguments)))


async def traces(world: World) -> tuple[int, float]:
    """What a stranger could have changed: how many campaigns there are, and a delay."""
    delays = (await world.admin("GET", "/api/admin/delays", status=200)).json()
    return (await world.get("/api/campaigns", sender_number=ALICE))["total"], delays["MESSAGE_DELAY"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["of another site", "of another port"])
async def test_a_page_of_another_origin_reads_nothing_and_changes_nothing(operator: Operator, host: str) -> None:
    world, watch = operator.world, operator.watch
    await world.pair(ALICE)
    await operator.log_in()
    own = operator.page
    csrf = await own.evaluate("JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRF-Token']")
    before = await traces(world)
    campaign = json.dumps({"sender_number": ALICE, "template": "Buy", "recipients": ["+447700900101"]})
    delays = json.dumps({"MESSAGE_DELAY": 77})
    watch.expect("")  # a refusal is an error to the stranger's console
    async with stranger() as port:
        watch.allow(f"http://{host}:{port}/")
        page = await operator.context.new_page()
        await page.goto(f"http://{host}:{port}/")
        for path in (
            "/console",
            "/console/overview/live",
            "/api/campaigns",
            "/api/admin/delays",
            "/openapi.json",
            "/health",
        ):
            assert await tries(page, SCRIPTS["read"], operator.address, path) == REFUSED, path
            assert await tries(page, SCRIPTS["read blindly"], operator.address, path) == REFUSED, path
        for way in ("send JSON", "send blindly", "beacon"):
            for path, body in (
                ("/api/send", campaign),
                ("/api/admin/delays", delays),
                ("/console/settings/delays", delays),
            ):
                assert await tries(page, SCRIPTS[way], operator.address, path, body) == REFUSED, (way, path)
        assert await tries(page, SCRIPTS["socket"], operator.address) == REFUSED
        assert await tries(page, SCRIPTS["events"], operator.address) == REFUSED
        await ride_the_cookie(page, operator.address, csrf)
        framed = await page.evaluate(
            """(address) => new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.onload = () => done(frame.contentDocument ? "read" : "refused");
                frame.src = address + "/console";
                document.body.append(frame);
            })""",
            operator.address,
        )
        assert framed == REFUSED
        assert [one.url for one in page.frames if one.url.startswith(operator.address)] == []
        await page.close()
    assert await traces(world) == before
    assert await world.waha.ledger() == []
    await own.reload()  # and the operator is still in
    assert own.url == f"{operator.address}/console"


async def ride_the_cookie(page: Page, address: str, csrf: str) -> None:
    """A form that goes to the console with whatever the browser sends along: even who knew the proof fails."""
    async with page.expect_response(f"{address}{DELAYS}") as answered:
        await page.evaluate(
            """([address, csrf]) => {
                const form = document.createElement("form");
                form.method = "post";
                form.target = "elsewhere";
                form.action = address + "/console/settings/delays";
                for (const [name, value] of [["MESSAGE_DELAY", "77"], ["csrf_token", csrf]]) {
                    const field = document.createElement("input");
                    field.name = name;
                    field.value = value;
                    form.append(field);
                }
                const frame = document.createElement("iframe");
                frame.name = "elsewhere";
                document.body.append(frame, form);
                form.submit();
            }""",
            [address, csrf],
        )
    assert (await answered.value).status in (401, 403), await (await answered.value).text()


async def test_the_same_scripts_work_on_a_page_of_our_own(operator: Operator) -> None:
    """Or the refusals above would prove nothing."""
    await operator.world.pair(ALICE)
    await operator.log_in()
    campaign = json.dumps({"sender_number": ALICE, "template": "Hi", "recipients": ["+447700900101"]})
    page, address = operator.page, operator.address
    assert "Overview" in await tries(page, SCRIPTS["read"], address, "/console")
    assert "campaign_id" in await tries(page, SCRIPTS["send JSON"], address, "/api/send", campaign)
    assert await tries(page, SCRIPTS["socket"], address) == "open"
    assert await tries(page, SCRIPTS["events"], address) == "open"


async def test_a_strangers_name_that_leads_to_our_address_is_refused(make_world: MakeWorld) -> None:
    """DNS rebinding: to the browser it is the stranger's own origin, so nothing but the Host header tells."""
    world = await make_world(limits=NO_LIMITS)
    async with serving(world.gateway) as url, chromium(f"MAP {ANOTHER_NAME} 127.0.0.1") as browser:
        address = url.replace("ws://127.0.0.1", f"http://{ANOTHER_NAME}").removesuffix("/ws")
        context = await browser.new_context()
        watch = Watch(context, [f"{address}/"])
        page = await context.new_page()
        for path in ("/", "/console", "/console/login", "/api/campaigns", "/pair/447700900001", "/health"):
            answer = await page.goto(f"{address}{path}")
            assert answer is not None
            assert answer.status == 400, (path, answer.status)
        sent = json.dumps({"sender_number": ALICE, "template": "Hi", "recipients": ["+447700900101"]})
        told = json.loads(await tries(page, SCRIPTS["send JSON"], address, "/api/send", sent))
        assert told["status_code"] == 400
        assert await tries(page, SCRIPTS["socket"], address) == REFUSED
        assert watch.strangers == []

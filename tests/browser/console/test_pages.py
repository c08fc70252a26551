"""Every page of the console in a real browser: no error in its console, nobody else asked, fit for everybody, fit for
a phone.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.world import ALICE, BERT, World, recipients
from tests.browser.axe import serious_violations
from tests.browser.console.operator import Operator
from tests.browser.screenshots import SCHEMES

pytestmark = pytest.mark.timeout(240)

STRANGER = "+447700900301"

LEADS_ELSEWHERE = re.compile(r"/static/|\bexport\b|\.csv|#|(?<!/row)\?")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\+?\d{5,}|(?<=/data/)[a-z_]+")


async def live_a_little(world: World) -> None:
    """Make some of everything that pages show."""
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    await world.pair(ALICE, BERT)
    done = await world.send(name="Spring news", recipients=recipients(5))
    await world.finished(done)
    await world.send(name="To be sent later", recipients=recipients(3), start_at=soon)
    said = {"sender": "+447700900101", "receiver": ALICE, "content": "Where is my parcel?"}
    await world.post("/api/webhook/", said)
    await world.post("/api/suppressions", {"phone_number": STRANGER, "reason": "asked by phone"})
    await world.admin("POST", "/api/admin/clients", {"name": "shop", "daily_limit": 100}, status=201)
    await world.post("/api/webhooks", {"url": "https://receiver.example/hook", "events": ["*"]})
    template = await world.post("/api/messages", {"title": "Greeting", "content": "Hello {{name}}"})
    person = await world.post("/api/recipients", {"name": "Ada", "phone_number": "+447700900110"})
    group = await world.post("/api/recipients/groups", {"name": "Friends", "recipient_ids": [person["id"]]})
    parts = {"message_id": template["id"], "group_id": group["id"], "scheduled_time": soon}
    await world.post("/api/schedules", parts)


async def test_every_page_is_whole_fit_for_everybody_and_fits_a_phone(operator: Operator) -> None:
    await live_a_little(operator.world)
    await operator.log_in()
    complaints: dict[str, list[str]] = {}
    for path in await pages_of(operator):
        await operator.open(path)
        if too_wide := await operator.shoot(_name(path)):
            complaints[f"{path} sideways"] = too_wide
        for scheme in SCHEMES:
            await operator.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if found := await serious_violations(operator.page):
                complaints[f"{path} {scheme}"] = found
    assert not complaints, "\n".join(f"{where}: {one}" for where, all in complaints.items() for one in all)


async def test_the_way_in_is_fit_for_everybody_too(operator: Operator) -> None:
    operator.watch.expect("401")
    await operator.page.goto(f"{operator.address}/console")
    await operator.page.wait_for_url("**/console/login*")
    assert await operator.shoot("login") == []
    assert await serious_violations(operator.page) == []


async def pages_of(operator: Operator) -> list[str]:
    """The console's pages as links lead to them from the overview; of many of one kind, the first."""
    found, waiting = {"/console": "/console"}, ["/console"]
    while waiting:
        await operator.open(waiting.pop(0))
        links: list[str] = await operator.page.locator("a[href]").evaluate_all("all => all.map(one => one.href)")
        for link in links:
            path = link.removeprefix(operator.address).rstrip("/")
            kind = kind_of(path)
            if path.startswith("/console") and kind not in found and not LEADS_ELSEWHERE.search(path):
                found[kind] = path
                waiting.append(path)
    assert len(found) >= 30, sorted(found)
    return list(found.values())


def kind_of(path: str) -> str:
    """What a page is like: one campaign as the other, one table as the other."""
    return ID.sub("one", path.partition("?")[0])


def _name(path: str) -> str:
    return kind_of(path).removeprefix("/console").strip("/").replace("/", "-") or "overview"

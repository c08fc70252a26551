"""Changing a state in the room of data: from the state that was seen, for a reason, kept in the row's history."""

from typing import Any

import httpx
import pytest

from admin.actions.models import AdminAction
from gateway.errors import WrongState
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, World, recipients, until

HOME = "/console/data"
WHY = "the shop <asked> for it"


@pytest.fixture
async def world(any_world: World) -> World:
    """Comparing and setting is SQL: on each kind of database."""
    return any_world


async def under_way(world: World, **fields: Any) -> str:
    """The id of a campaign that has sent one of its messages and waits with the others."""
    await world.pair(ALICE)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    campaign = await world.send(recipients=recipients(4), **fields)
    path = f"/api/status/{campaign['campaign_id']}"

    async def runs() -> bool:
        return bool((await world.get(path))["status"] == "running")

    await until(runs)
    return str(campaign["campaign_id"])


async def ask(
    visitor: httpx.AsyncClient, row: str, action: str, state: str, reason: str = WHY, table: str = "campaign"
) -> httpx.Response:
    """Fill in the form of a row, and send it."""
    key = "sender_id" if table == "session" else "id"
    said = {"action": action, "state": state, "reason": reason}
    return await visitor.post(f"{HOME}/{table}/row?{key}={row}", data=said, headers=await proof(visitor))


async def lines(world: World, **query: str) -> list[dict[str, Any]]:
    """The history, newest first, as its API tells it."""
    found = await world.admin("GET", "/api/admin/actions", params=query, status=200)
    return list(found.json()["items"])


async def test_a_state_is_changed_for_a_reason_that_is_kept(world: World, visitor: httpx.AsyncClient) -> None:
    campaign = await under_way(world)
    await log_in(visitor)
    address = f"{HOME}/campaign/row?id={campaign}"
    page = await visitor.get(address)
    assert 'name="state" value="running"' in page.text
    assert 'value="pause"' in page.text
    assert 'value="resume"' not in page.text
    done = await ask(visitor, campaign, "pause", "running")
    assert (done.status_code, done.headers["hx-refresh"]) == (204, "true"), done.text
    assert (await world.get(f"/api/status/{campaign}"))["status"] == "paused"
    page = await visitor.get(address)
    assert "Pause by operator: running → paused the shop &lt;asked&gt; for it" in plain(page.text)
    assert 'value="resume"' in page.text
    (line,) = await lines(world, table="campaign", row=campaign)
    told = {name: line[name] for name in ("by", "action", "before", "after", "reason", "outcome", "detail")}
    assert told == {
        "by": "operator",
        "action": "pause",
        "before": "running",
        "after": "paused",
        "reason": WHY,
        "outcome": "done",
        "detail": "",
    }
    assert await lines(world, table="session") == []
    assert WHY.replace("<", "&lt;").replace(">", "&gt;") in (await visitor.get(f"{HOME}/admin_action")).text


async def test_nothing_is_done_from_another_state_than_the_one_that_was_seen(
    world: World, visitor: httpx.AsyncClient
) -> None:
    campaign = await under_way(world)
    await world.admin("POST", f"/api/campaigns/{campaign}/pause", status=200)
    await log_in(visitor)
    refused = await ask(visitor, campaign, "cancel", "running")
    assert refused.status_code == 422
    assert "The campaign is paused by now, and not running" in refused.text
    assert 'name="state" value="paused"' in refused.text
    assert (await world.get(f"/api/status/{campaign}"))["status"] == "paused"
    (line,) = await lines(world, row=campaign)
    assert (line["outcome"], line["after"]) == ("refused", None)
    assert "paused by now" in line["detail"]
    session = await ask(visitor, "1", "start", "STOPPED", table="session")
    assert "The session is CONNECTED by now" in session.text
    unfit = await ask(visitor, campaign, "pause", "paused")
    assert "cannot be changed like that" in unfit.text
    assert (await ask(visitor, campaign, "explode", "paused")).status_code == 422
    assert (await ask(visitor, "2", "start", "STOPPED", table="session")).status_code == 404
    # and where it moves on after it was looked at, the services refuse by themselves
    steering, sessions = world.gateway.steering, world.gateway.sessions
    for act in (steering.pause, steering.cancel, steering.retry):
        with pytest.raises(WrongState):
            await act(campaign, None, only_if="running")
    for verb in (sessions.start, sessions.restart, sessions.stop, sessions.logout):
        with pytest.raises(WrongState, match="CONNECTED, and not FAILED"):
            await verb(ALICE[1:], only_if="FAILED")
    assert (await world.get(f"/api/status/{campaign}"))["status"] == "paused"
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"


async def test_a_choice_a_reason_and_a_page_of_ours_are_needed(world: World, visitor: httpx.AsyncClient) -> None:
    campaign = await under_way(world)
    await log_in(visitor)
    nothing = await ask(visitor, campaign, "", "running")
    assert (nothing.status_code, "Choose what to do" in nothing.text) == (422, True)
    for reason in ("", "  x  ", "y" * 501):
        refused = await ask(visitor, campaign, "pause", "running", reason)
        assert refused.status_code == 422
        assert 'id="error-reason"' in refused.text
    address, said = f"{HOME}/campaign/row?id={campaign}", {"action": "cancel", "state": "running", "reason": WHY}
    assert (await visitor.post(address, data=said)).status_code == 403
    assert (await visitor.post(address, data=said, headers={"X-CSRF-Token": "0" * 64})).status_code == 403
    visitor.cookies.clear()
    assert (await visitor.post(address, data=said)).status_code in (303, 401)
    await log_in_user(world, visitor, "acme")
    assert (await visitor.post(address, data=said, headers=await proof(visitor))).status_code == 403
    assert await world.count(AdminAction) == 0
    assert (await world.get(f"/api/status/{campaign}"))["status"] == "running"


async def test_single_messages_are_cancelled_and_retried(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    to = recipients(3)
    await world.waha.tell("PUT", "/numbers", {"unregistered": [to[0]]})
    campaign = await world.finished(await world.send(recipients=to))
    failed = campaign["messages"]["items"][0]
    assert failed["status"] == "failed"
    await world.waha.tell("PUT", "/numbers", {"unregistered": []})
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    await log_in(visitor)
    assert (await ask(visitor, failed["id"], "cancel", "failed", table="message")).status_code == 422
    assert (await ask(visitor, failed["id"], "retry", "failed", table="message")).status_code == 204
    status = await world.get(f"/api/status/{campaign['campaign_id']}")
    assert (status["status"], status["failed"], status["pending"]) == ("running", 0, 1)
    assert (await ask(visitor, failed["id"], "cancel", "queued", table="message")).status_code == 204
    ended = await world.get(f"/api/status/{campaign['campaign_id']}", details=True)
    assert (ended["cancelled"], ended["pending"]) == (1, 0)
    assert ended["status"].startswith("completed")
    done = [(line["action"], line["before"], line["after"]) for line in await lines(world, row=failed["id"])]
    assert done[:2] == [("cancel", "queued", "cancelled"), ("retry", "failed", "queued")]

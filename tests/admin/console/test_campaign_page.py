"""One campaign at the console: what became of everybody, and what can be done about it."""

import re

import httpx
from sqlalchemy import select, update

from admin.console.campaigns.shapes import hour_bars, look_again_after, steps_of
from campaigns.sending.tables import campaign, message, sender
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, World, recipients, until

NOW = 1_795_300_000.0


async def halted(world: World, count: int = 3) -> str:
    """A campaign that is paused, with so many recipients; gives its id."""
    await world.pair(ALICE)
    await world.finished(await world.send(recipients=["+447700900001"]))  # after that its sender rests
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    sent = await world.send(name="Autumn", recipients=recipients(count))
    await world.post(f"/api/campaigns/{sent['campaign_id']}/pause")
    return str(sent["campaign_id"])


async def make_unconfirmed(world: World, campaign_id: str, count: int) -> list[str]:
    """Have nobody know of the first messages of a campaign; gives their ids."""
    async with world.db.write() as tx:
        ids = (
            (await tx.execute(select(message.c.id).where(message.c.campaign_id == campaign_id).order_by(message.c.seq)))
            .scalars()
            .all()[:count]
        )
        through = (await tx.execute(select(sender.c.id).where(sender.c.number == ALICE[1:]))).scalar_one()
        values = {"state": "unconfirmed", "sender_id": through, "started_at": NOW, "error": "no word of it"}
        await tx.execute(update(message).where(message.c.id.in_(ids)).values(**values))
        await tx.execute(
            update(campaign)
            .where(campaign.c.id == campaign_id)
            .values(n_unconfirmed=count, n_queued=campaign.c.n_queued - count)
        )
    return list(ids)


async def test_it_shows_progress_report_and_every_recipient(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await world.waha.tell("PUT", "/numbers", {"unregistered": [recipients(3)[1]]})
    sent = await world.send(name="Autumn <b>", template="Hello {{name | you}}", recipients=recipients(3))
    await world.finished(sent)
    await log_in(visitor)
    path = f"/console/campaigns/{sent['campaign_id']}"
    page = await visitor.get(path)
    text = plain(page.text)
    assert "Autumn &lt;b&gt; Completed with errors" in text
    assert "3 of 3 messages · ended" in text
    assert "Not on whatsapp Failed" in text
    assert "Remove the number from your list" in text
    assert "Hello you" in text
    assert f'hx-post="{path}/retry"' in page.text
    assert f'hx-post="{path}/pause"' not in page.text
    failed = plain((await visitor.get(path, params={"status": "failed"}, headers=part("campaign-messages"))).text)
    assert "+44 7700 900101" in failed
    assert "+44 7700 900100" not in failed
    found = plain((await visitor.get(path, params={"search": "07700 900102"}, headers=part("campaign-messages"))).text)
    assert "Nobody like that" in found  # without a region it is no way to dial it
    found = plain((await visitor.get(path, params={"search": "900102"}, headers=part("campaign-messages"))).text)
    assert "+44 7700 900102" in found
    assert "+44 7700 900100" not in found
    assert "Half delivered within" in plain((await visitor.get(f"{path}/report", params={"zone": "Asia/Tokyo"})).text)


def part(name: str) -> dict[str, str]:
    """The headers of a page that asks for a part of itself."""
    return {"HX-Request": "true", "HX-Target": name}


async def test_it_is_paused_resumed_and_stopped(world: World, visitor: httpx.AsyncClient) -> None:
    campaign_id = await halted(world)
    await log_in(visitor)
    path, headers = f"/console/campaigns/{campaign_id}", await proof(visitor)
    page = (await visitor.get(path)).text
    assert f'hx-post="{path}/resume"' in page
    assert "paused" in plain(page)
    assert (await visitor.post(f"{path}/resume")).status_code == 403  # without the proof of our own page
    resumed = await visitor.post(f"{path}/resume", headers=headers)
    assert (resumed.status_code, resumed.headers["hx-refresh"]) == (204, "true")
    assert (await world.get(f"/api/status/{campaign_id}"))["status"] == "running"
    paused = await visitor.post(f"{path}/pause", params={"stay": "true"}, headers=headers)
    assert "hx-refresh" not in paused.headers
    assert (await visitor.post(f"{path}/cancel", headers=headers)).status_code == 204
    assert (await world.get(f"/api/status/{campaign_id}"))["status"] == "cancelled"
    again = await visitor.post(f"{path}/cancel", headers=headers | {"HX-Request": "true"})
    assert again.status_code == 409
    assert "cannot be cancelled" in again.headers["hx-trigger"]
    assert (await visitor.post(f"{path}/explode", headers=headers)).status_code == 422


async def test_what_nobody_can_tell_of_is_decided_one_by_one_and_all_at_once(
    world: World, visitor: httpx.AsyncClient
) -> None:
    campaign_id = await halted(world, 60)
    ids = await make_unconfirmed(world, campaign_id, 56)
    await log_in(visitor)
    path, headers = f"/console/campaigns/{campaign_id}", await proof(visitor)
    page = await visitor.get(path)
    assert "Of 56 nobody can tell" in plain(page.text)
    assert f'hx-post="{path}/messages/{ids[0]}/resend"' in page.text
    assert (await visitor.post(f"{path}/messages/{ids[0]}/accept", headers=headers)).status_code == 204
    assert (await visitor.post(f"{path}/messages/{ids[1]}/resend", headers=headers)).status_code == 204
    status = await world.get(f"/api/status/{campaign_id}")
    assert (status["unconfirmed"], status["sent"], status["pending"]) == (54, 1, 5)
    assert (await visitor.post(f"{path}/unconfirmed/accept", headers=headers)).status_code == 204
    status = await world.get(f"/api/status/{campaign_id}")
    assert (status["unconfirmed"], status["sent"], status["status"]) == (0, 55, "paused")
    for verb in ("accept", "resend"):
        none = await world.call("POST", f"/api/campaigns/{campaign_id}/unconfirmed/{verb}", status=409)
        assert "nothing of this campaign is unconfirmed" in none.text


async def test_all_that_nobody_can_tell_of_is_sent_again(world: World) -> None:
    campaign_id = await halted(world)
    await make_unconfirmed(world, campaign_id, 2)
    answer = await world.post(f"/api/campaigns/{campaign_id}/unconfirmed/resend")
    assert (answer["unconfirmed"], answer["pending"], answer["status"]) == (0, 3, "paused")


async def test_the_api_searches_a_campaigns_numbers(world: World) -> None:
    campaign_id = await halted(world, 12)

    async def found(**query: str) -> tuple[int, list[str]]:
        answer = await world.get(f"/api/status/{campaign_id}", details=True, **query)
        return answer["messages"]["total"], [one["recipient"] for one in answer["messages"]["items"]]

    assert await found(search="+44 7700 900 11") == (2, ["+447700900110", "+447700900111"])
    assert await found(search="00447700900105") == (1, ["+447700900105"])
    assert await found(search="90010", status="queued", per_page="4") == (10, [*recipients(4)])
    assert await found(search="90010", status="failed") == (0, [])
    assert await found(search="Ada") == (0, [])


async def test_the_export_comes_with_its_name(world: World, visitor: httpx.AsyncClient) -> None:
    campaign_id = await halted(world)
    await log_in(visitor)
    answer = await visitor.get(f"/console/campaigns/{campaign_id}/export")
    assert answer.headers["content-disposition"] == f'attachment; filename="campaign-{campaign_id}.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.text.splitlines()) == 4
    none = await visitor.get(f"/console/campaigns/{campaign_id}/export", params={"status": "lost"})
    assert none.status_code == 422


async def test_anothers_campaign_is_not_there(world: World, visitor: httpx.AsyncClient) -> None:
    campaign_id = await halted(world)
    await log_in_user(world, visitor, "acme")
    path, headers = f"/console/campaigns/{campaign_id}", await proof(visitor)
    for look in (path, f"{path}/head", f"{path}/report", f"{path}/export"):
        assert (await visitor.get(look)).status_code == 404, look
    for change in ("cancel", "unconfirmed/accept"):
        assert (await visitor.post(f"{path}/{change}", headers=headers)).status_code == 404
    assert (await world.get(f"/api/status/{campaign_id}"))["status"] == "paused"
    assert (await visitor.get("/console/campaigns/nothing")).status_code == 422


async def test_why_it_waits_is_told_as_it_is_now(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    sent = await world.send(recipients=recipients(2))
    await log_in(visitor)

    async def told() -> bool:
        head = await visitor.get(f"/console/campaigns/{sent['campaign_id']}/head")
        return "the sender rests between two messages" in head.text and bool(re.search(r"1 of 2", plain(head.text)))

    assert await until(told)


def test_what_can_be_done_follows_from_the_state() -> None:
    def steps(status: str, failed: int = 0) -> list[str]:
        return steps_of({"status": status, "failed": failed})

    assert steps("running") == ["pause", "cancel"]
    assert steps("paused", 1) == ["resume", "retry", "cancel"]
    assert steps("scheduled") == ["cancel"]
    assert steps("completed_with_errors", 2) == ["retry"]
    assert steps("completed") == steps("cancelled", 5) == []


def test_a_page_looks_again_as_long_as_something_may_change() -> None:
    ended = "2026-11-21T12:00:00Z"
    noon = 1_795_262_400.0
    assert look_again_after({"status": "running", "end_time": None}, noon) == 3
    assert look_again_after({"status": "paused", "end_time": None}, noon) == 15
    assert look_again_after({"status": "completed", "end_time": ended}, noon + 3599) == 15
    assert look_again_after({"status": "completed", "end_time": ended}, noon + 3601) == 0


def test_the_busiest_hour_fills_the_chart_and_only_the_last_hours_are_drawn() -> None:
    hours = [{"hour": f"h{index}", "sent": index, "delivered": 1, "read": 0} for index in range(1, 101)]
    bars = hour_bars(hours)
    assert [bars[0].hour, bars[-1].hour, len(bars)] == ["h29", "h100", 72]
    assert bars[-1].heights == (("sent", 100.0), ("delivered", 1.0), ("read", 0.0))
    assert bars[-1].x + bars[-1].width <= 720
    assert hour_bars([]) == []


async def test_a_campaign_is_steered_on_the_overview_too(world: World, visitor: httpx.AsyncClient) -> None:
    campaign_id = await halted(world)
    await log_in(visitor)
    path = f"/console/campaigns/{campaign_id}"
    page = (await visitor.get("/console")).text
    assert f'href="{path}"' in page
    assert re.findall(rf'hx-post="{path}/(\w+)\?stay=true"', page) == ["resume", "cancel"]
    await visitor.post(f"{path}/resume", params={"stay": "true"}, headers=await proof(visitor))

    async def runs() -> bool:
        shown = re.findall(rf'hx-post="{path}/(\w+)\?stay=true"', (await visitor.get("/console")).text)
        return shown == ["pause", "cancel"]

    assert await until(runs)

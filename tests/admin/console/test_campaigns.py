"""Campaigns at the console: the list, narrowed and paged."""

import re

import httpx
from sqlalchemy import update

from campaigns.sending.models import Campaign
from gateway.db import table_of
from tests.admin.console.visitors import log_in, log_in_user, plain
from tests.api.world import ALICE, BERT, World, recipients

LIST = "/console/campaigns"


def names(page: httpx.Response) -> list[str]:
    """The campaigns that a list shows, in order."""
    assert page.status_code == 200, page.text
    return re.findall(r'class="row-link"[^>]*>([^<]+)</a>', page.text)


async def test_without_a_campaign_the_list_offers_to_make_one(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    page = await visitor.get(LIST)
    assert "No campaigns yet" in page.text
    assert 'href="/console/campaigns/new"' in page.text
    assert "None like that" in (await visitor.get(LIST, params={"search": "spring"})).text


async def test_the_list_shows_all_newest_first_and_is_narrowed(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE, BERT)
    await world.finished(await world.send(name="Spring <sale>", recipients=recipients(4)))
    await world.admin("POST", "/api/admin/delays", {"MESSAGE_DELAY": 3600}, status=200)
    await world.send(name="Summer", sender_number=BERT, recipients=recipients(2))
    await log_in(visitor)
    page = await visitor.get(LIST)
    assert names(page) == ["Summer", "Spring &lt;sale&gt;"]
    assert "4 of 4" in plain(page.text)
    assert 'hx-trigger="every 3s"' in page.text  # Summer runs
    assert names(await visitor.get(LIST, params={"status": "completed"})) == ["Spring &lt;sale&gt;"]
    ended = await visitor.get(LIST, params={"status": "completed"})
    assert 'hx-trigger="every' not in ended.text
    assert names(await visitor.get(LIST, params={"search": "summ"})) == ["Summer"]
    assert names(await visitor.get(LIST, params={"sender_number": "+44 7700 900001"})) == ["Spring &lt;sale&gt;"]
    part = await visitor.get(LIST, headers={"HX-Request": "true", "HX-Target": "campaign-list"})
    assert "<html" not in part.text
    assert names(part) == names(page)
    back = {"HX-Request": "true", "HX-Target": "campaign-list", "HX-History-Restore-Request": "true"}
    assert "<html" in (await visitor.get(LIST, headers=back)).text


async def test_days_are_those_of_the_viewers_zone(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    campaign = await world.send(name="Late in the evening")
    made_at = 1_795_300_200.0  # 2026-11-21 22:30 UTC: the next day in Berlin
    async with world.db.write() as tx:
        table = table_of(Campaign)
        await tx.execute(update(table).where(table.c.id == campaign["campaign_id"]).values(created_at=made_at))
    await log_in(visitor)
    for zone, day, shown in (
        ("UTC", "21", 1),
        ("UTC", "22", 0),
        ("Europe/Tallinn", "22", 1),
        ("Europe/Tallinn", "21", 0),
    ):
        query = {"created_from": f"2026-11-{day}", "created_to": f"2026-11-{day}", "zone": zone}
        assert len(names(await visitor.get(LIST, params=query))) == shown, (zone, day)


async def test_a_filter_that_is_wrong_is_told(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    wrong = (("sender_number", "ask Bert"), ("created_from", "soon"), ("created_to", "9999-12-31"), ("status", "nice"))
    for field, value in wrong:
        page = await visitor.get(LIST, params={field: value})
        assert page.status_code == 422, field
        assert 'role="alert"' in page.text
    assert (await visitor.get(LIST, params={"page": 0})).status_code == 422


async def test_a_long_list_is_paged_and_its_links_keep_the_filters(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    for index in range(27):
        await world.send(name=f"Wave {index}", recipients=recipients(1))
    await log_in(visitor)
    first = await visitor.get(LIST, params={"search": "wave"})
    assert len(names(first)) == 25
    assert "Page 1 of 2" in first.text
    (link,) = set(re.findall(r'rel="next" href="([^"]+)"', first.text))
    second = await visitor.get(link.replace("&amp;", "&"))
    assert names(second) == ["Wave 1", "Wave 0"]
    assert "search=wave" in link


async def test_a_user_sees_the_campaigns_of_their_account_only(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await world.send(name="Of the local account")
    await log_in_user(world, visitor, "acme")
    assert names(await visitor.get(LIST)) == []
    assert (await visitor.get(LIST, params={"sender_number": ALICE})).status_code == 200


async def test_nobody_sees_the_list_without_a_login(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get(LIST)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?next=/console/campaigns")

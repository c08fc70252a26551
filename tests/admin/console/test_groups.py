"""The console's groups: made, named anew, filled and emptied, and kept while a schedule needs them."""

from datetime import UTC, datetime, timedelta

import httpx

from campaigns.audience.models import RecipientGroup
from tests.admin.console.library import ADA, BEN, make_group, make_recipient, make_schedule, make_template
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import World

PAGE = "/console/groups"


async def test_a_group_is_made_once_named_anew_and_removed(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "No groups yet" in plain((await visitor.get(PAGE)).text)
    headers = await proof(visitor)
    form = {"name": "<VIP>", "description": "", "key": "one"}
    assert (await visitor.post(PAGE, data=form)).status_code == 403
    for _ in range(2):
        made = await visitor.post(PAGE, data=form, headers=headers)
        assert made.status_code == 204, made.text
    assert await world.count(RecipientGroup) == 1
    assert "&lt;VIP&gt;" in (await visitor.get(PAGE)).text
    twice = await visitor.post(PAGE, data=form | {"key": "two"}, headers=headers)
    assert twice.status_code == 422
    assert 'id="error-name"' in twice.text

    one = made.headers["hx-redirect"]
    renamed = await visitor.post(one, data={"name": "Staff", "description": "For rotas"}, headers=headers)
    assert renamed.status_code == 204
    assert "Staff For rotas" in plain((await visitor.get(PAGE)).text)
    assert (await visitor.delete(one, headers=headers)).headers["hx-redirect"] == PAGE
    assert await world.count(RecipientGroup) == 0


async def test_members_are_searched_added_and_taken_out(world: World, visitor: httpx.AsyncClient) -> None:
    ada = await make_recipient(world)
    await make_recipient(world, BEN, "Ben")
    one = f"{PAGE}/{await make_group(world)}"
    await log_in(visitor)
    headers = await proof(visitor)
    found = (await visitor.get(f"{one}/candidates", params={"asked": "ad"})).text
    assert f"/members/{ada}" in found
    assert "Ben" not in found
    assert "No recipient" in (await visitor.get(f"{one}/candidates", params={"asked": "zoe"})).text
    added = await visitor.post(f"{one}/members/{ada}", data={"name": "Ada"}, headers=headers)
    assert "1 member" in plain(added.text)
    assert "is a member" in (await visitor.get(f"{one}/candidates", params={"asked": "ad"})).text
    part = await visitor.get(one, params={"search": "ben"}, headers={"HX-Request": "true", "HX-Target": "members"})
    assert plain(part.text).strip().startswith("Nobody found")
    taken = await visitor.delete(f"{one}/members/{ada}", headers=headers)
    assert "No members yet" in plain(taken.text)
    assert (await visitor.delete(f"{one}/members/{ada}", headers=headers)).status_code == 404


async def test_a_group_that_is_in_use_stays_and_says_why(world: World, visitor: httpx.AsyncClient) -> None:
    group = await make_group(world)
    await make_schedule(world, await make_template(world), group, (datetime.now(UTC) + timedelta(days=1)).isoformat())
    await log_in(visitor)
    assert "by 1 schedule" in plain((await visitor.get(f"{PAGE}/{group}")).text)
    kept = await visitor.delete(f"{PAGE}/{group}", headers=await proof(visitor))
    assert kept.status_code == 422
    assert "is used by" in kept.text
    assert await world.count(RecipientGroup) == 1


async def test_another_account_sees_none_of_them(world: World, visitor: httpx.AsyncClient) -> None:
    group = await make_group(world, "Of local", (await make_recipient(world, ADA),))
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert "Of local" not in (await visitor.get(PAGE)).text
    one = f"{PAGE}/{group}"
    assert (await visitor.get(one)).status_code == 404
    assert (await visitor.post(one, data={"name": "Mine"}, headers=headers)).status_code == 404
    assert (await visitor.delete(one, headers=headers)).status_code == 404
    assert await world.count(RecipientGroup) == 1

"""The console's templates: written with a preview, found, changed, and kept while a schedule needs them."""

import re
from datetime import UTC, datetime, timedelta

import httpx

from campaigns.templates.models import Template
from tests.admin.console.library import make_group, make_recipient, make_schedule, make_template
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import World

PAGE = "/console/templates"


async def test_a_template_is_written_once_found_and_changed(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "No templates yet" in plain((await visitor.get(PAGE)).text)
    headers = await proof(visitor)
    key = re.search(r'name="key" value="([0-9a-f]{32})"', (await visitor.get(f"{PAGE}/new")).text)
    assert key
    form = {"title": " <Spring> ", "text": "Hello {{name | there}},\r\n{{code}}", "key": key[1]}
    assert (await visitor.post(PAGE, data=form)).status_code == 403
    made = [await visitor.post(PAGE, data=form, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [204, 204]
    assert await world.count(Template) == 1
    listed = await visitor.get(PAGE, params={"search": "SPRING", "sort_by": "title"})
    assert "&lt;Spring&gt;" in listed.text
    assert plain(listed.text).count("code") == 2  # in the text, and among its variables
    assert "Nothing found" in plain((await visitor.get(PAGE, params={"search": "autumn"})).text)

    one = made[0].headers["hx-redirect"]
    assert (await visitor.post(one, data={"title": "Autumn", "text": "Bye"}, headers=headers)).status_code == 204
    page = (await visitor.get(one)).text
    assert 'value="Autumn"' in page
    assert ">Bye</textarea>" in page


async def test_a_text_is_shown_as_the_first_recipients_will_see_it(world: World, visitor: httpx.AsyncClient) -> None:
    await make_recipient(world, visits=3)
    template = await make_template(world, "Dear {{name}}, your visit no. {{visits}}")
    await log_in(visitor)
    assert "Dear Ada, your visit no. 3" in (await visitor.get(f"{PAGE}/{template}")).text


async def test_what_is_wrong_with_a_template_is_said_beside_its_field(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    for form, place in (({"title": "", "text": "Hello"}, "title"), ({"title": "A", "text": "Hello {{name"}, "text")):
        refused = await visitor.post(PAGE, data=form, headers=headers)
        assert refused.status_code == 422
        assert re.search(rf'id="error-{place}">[A-Z{{][^<]+\.</p>', refused.text), refused.text
        assert f"{form['text']}</textarea>" in refused.text
    assert await world.count(Template) == 0


async def test_a_template_that_is_in_use_stays_and_says_why(world: World, visitor: httpx.AsyncClient) -> None:
    template = await make_template(world)
    group = await make_group(world)
    schedule = await make_schedule(world, template, group, (datetime.now(UTC) + timedelta(days=1)).isoformat())
    await log_in(visitor)
    headers = await proof(visitor)
    assert "by 1 schedule" in plain((await visitor.get(f"{PAGE}/{template}")).text)
    kept = await visitor.delete(f"{PAGE}/{template}", headers=headers)
    assert kept.status_code == 422
    assert "is used by" in kept.text
    await world.admin("PUT", f"/api/schedules/{schedule}/cancel", status=200)
    await world.admin("DELETE", f"/api/schedules/{schedule}", status=204)
    gone = await visitor.delete(f"{PAGE}/{template}", headers=headers)
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, PAGE)


async def test_another_account_sees_none_of_them(world: World, visitor: httpx.AsyncClient) -> None:
    template = await make_template(world, title="Of local")
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert "Of local" not in (await visitor.get(PAGE)).text
    assert (await visitor.get(f"{PAGE}/{template}")).status_code == 404
    form = {"title": "Mine", "text": "now"}
    assert (await visitor.post(f"{PAGE}/{template}", data=form, headers=headers)).status_code == 404
    assert (await visitor.delete(f"{PAGE}/{template}", headers=headers)).status_code == 404
    assert await world.count(Template) == 1

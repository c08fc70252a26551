"""Templates over the API: saved, found, sorted, changed, and not deleted while something uses them."""

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.templates.queries import template
from campaigns.templates.schemas import SortField
from campaigns.templates.service import TemplateService
from campaigns.uses import Uses
from gateway.db import ID
from gateway.errors import InUse, NotFound
from tests.api.world import ADMIN_TOKEN, World
from tests.harness.accounts import LOCAL, add_other_account

pytestmark = pytest.mark.timeout(60)

PATH = "/api/messages"
NOBODYS = "01890000-0000-7000-8000-000000000000"


async def save(world: World, title: str = "Welcome", content: str = "Hello {{name}}!") -> dict[str, Any]:
    """A saved template."""
    answer: dict[str, Any] = await world.post(PATH, {"title": title, "content": content})
    return answer


async def titles(world: World, **params: Any) -> list[str]:
    """The titles of a list."""
    return [item["title"] for item in (await world.get(PATH, **params))["items"]]


async def test_a_template_tells_the_names_that_its_text_has(world: World) -> None:
    saved = await save(world, content="Hello {{ first name }}, order {{order | (none)}} {{First Name}}")
    assert saved["variables"] == ["first name", "order"]
    assert saved["created_at"] == saved["updated_at"]
    assert saved["created_at"].endswith("Z")
    shown = await world.get(f"{PATH}/{saved['id']}")
    assert shown == saved | {"scheduled_count": 0, "sent_count": 0}


async def test_a_text_that_is_no_template_is_refused_with_the_place(world: World) -> None:
    body = {"title": "Broken", "content": "Hello {{name"}
    error = (await world.call("POST", PATH, body, status=422)).json()
    assert [(one["field"], one["code"]) for one in error["errors"]] == [("content", "template_syntax")]
    assert "at character 7" in error["detail"]
    saved = await save(world)
    await world.call("PUT", f"{PATH}/{saved['id']}", body, status=422)
    assert (await world.get(f"{PATH}/{saved['id']}"))["content"] == saved["content"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", "x" * 256),
        ("title", "nul \x00"),
        ("content", ""),
        ("content", " \n "),
        ("content", "x" * 5001),
        ("content", "nul \x00"),
        ("content", None),
        ("text", "what is not known"),
    ],
)
async def test_a_wrong_field_is_named(world: World, field: str, value: Any) -> None:
    error = (await world.call("POST", PATH, {"title": "A", "content": "B", field: value}, status=422)).json()
    assert [one["field"] for one in error["errors"]] == [field]
    assert error["error_code"] == "VALIDATION_ERROR"
    assert (await world.get(PATH))["total"] == 0


async def test_the_longest_texts_are_taken_and_titles_may_repeat(world: World) -> None:
    for _ in range(2):
        await save(world, "t" * 255, "c" * 5000)
    assert (await world.get(PATH))["total"] == 2


async def test_a_change_replaces_both_texts_and_tells_when(world: World) -> None:
    saved = await save(world)
    changed = (
        await world.call("PUT", f"{PATH}/{saved['id']}", {"title": "New", "content": "Hi {{who}}"}, status=200)
    ).json()
    assert (changed["title"], changed["content"], changed["variables"]) == ("New", "Hi {{who}}", ["who"])
    assert changed["created_at"] == saved["created_at"]
    assert changed["updated_at"] > saved["updated_at"]
    assert await titles(world, search="who") == ["New"]
    assert await titles(world, search="welcome") == []


async def test_a_deleted_template_is_gone(world: World) -> None:
    saved = await save(world)
    answer = await world.call("DELETE", f"{PATH}/{saved['id']}", status=204)
    assert answer.content == b""
    for method, body in (("GET", None), ("PUT", {"title": "A", "content": "B"}), ("DELETE", None)):
        error = (await world.call(method, f"{PATH}/{saved['id']}", body, status=404)).json()
        assert error["error_code"] == "RESOURCE_NOT_FOUND"


async def test_a_list_is_paged_in_both_ways_newest_first(world: World) -> None:
    for number in range(5):
        await save(world, f"T{number}")
    assert await titles(world) == ["T4", "T3", "T2", "T1", "T0"]
    by_rows = await world.get(PATH, skip=2, limit=2)
    assert by_rows == await world.get(PATH, page=2, per_page=2)
    assert [item["title"] for item in by_rows["items"]] == ["T2", "T1"]
    assert {key: by_rows[key] for key in ("total", "page", "pages", "per_page")} == {
        "total": 5,
        "page": 2,
        "pages": 3,
        "per_page": 2,
    }
    beyond = await world.get(PATH, skip=10)
    assert (beyond["items"], beyond["total"]) == ([], 5)
    await world.call("GET", PATH, params={"skip": 0, "page": 1}, status=422)


async def test_a_list_is_sorted_without_regard_to_case_in_any_script(world: World) -> None:
    for title in ("zoe", "Äpfel", "apple", "Zebra", "äpfel 2", "Éclair", "Banana"):
        await save(world, title)
    ascending = ["apple", "Banana", "Zebra", "zoe", "Äpfel", "äpfel 2", "Éclair"]
    assert await titles(world, sort_by="title", sort_order="asc") == ascending
    assert await titles(world, sort_by="title") == ascending[::-1]
    await world.call(
        "PUT", f"{PATH}/{(await world.get(PATH, search='banana'))['items'][0]['id']}", {"title": "B", "content": "B"}
    )
    assert (await titles(world, sort_by="updated_at"))[0] == "B"
    assert (await titles(world, sort_by="created_at", sort_order="asc"))[0] == "zoe"


async def test_an_unknown_sort_field_is_refused_with_those_that_are_known(world: World) -> None:
    error = (await world.call("GET", PATH, params={"sort_by": "content; --", "sort_order": "up"}, status=422)).json()
    told = {one["field"]: one["message"] for one in error["errors"]}
    assert set(told) == {"sort_by", "sort_order"}
    assert all(name in told["sort_by"] for name in ("created_at", "updated_at", "title"))
    assert all(name in told["sort_order"] for name in ("asc", "desc"))


async def test_a_search_looks_in_title_and_content_whatever_the_case(world: World) -> None:
    await save(world, "ÉTÉ Sale", "20% off")
    await save(world, "Winter", "Snow_man and ÖL")
    await save(world, "Straße", "200 off\nall of it")
    for search, found in (
        ("été", ["ÉTÉ Sale"]),
        ("öl", ["Winter"]),
        ("STRASSE", ["Straße"]),
        ("%", ["ÉTÉ Sale"]),
        ("20%", ["ÉTÉ Sale"]),
        ("_", ["Winter"]),
        ("off all", ["Straße"]),
        ("/", []),
        ("nowhere", []),
    ):
        assert await titles(world, search=search) == found, search
    assert len(await titles(world, search=" ")) == 3


async def test_another_accounts_templates_are_nobodys(world: World) -> None:
    other = await add_other_account(world.db)
    theirs = await world.gateway.templates.create(other, "Theirs", "Secret")
    ours = await save(world)
    assert await titles(world) == ["Welcome"]
    path = f"{PATH}/{theirs['id']}"
    unknown = (await world.call("GET", f"{PATH}/{NOBODYS}", status=404)).json()
    for method, body in (("GET", None), ("PUT", {"title": "A", "content": "B"}), ("DELETE", None)):
        assert (await world.call(method, path, body, status=404)).json() == unknown
    rows, total = await world.gateway.templates.page(
        other, search="", sort_by=SortField.TITLE, descending=True, offset=0, limit=10
    )
    assert ([row.title for row in rows], total) == (["Theirs"], 1)
    with pytest.raises(NotFound):
        await world.gateway.templates.delete(other, ours["id"])
    everybodys = (await world.admin("GET", PATH, status=200)).json()
    assert {item["title"] for item in everybodys["items"]} == {"Welcome", "Theirs"}
    changed = await world.admin("PUT", path, {"title": "Changed", "content": "C"}, status=200)
    assert changed.json()["title"] == "Changed"


async def test_what_an_operator_saves_is_the_local_accounts(world: World) -> None:
    headers = {"X-Admin-Token": ADMIN_TOKEN}
    await world.post(PATH, {"title": "By the operator", "content": "Hi"}, headers=headers)
    assert await titles(world) == ["By the operator"]


# --- what uses a template: a table that refers to it stands for whatever will

_metadata = MetaData()
_user = Table(
    "template_user_of_a_test",
    _metadata,
    Column("id", ID, primary_key=True),
    Column("template_id", ID, ForeignKey(template.c.id), nullable=False),
)


async def users_of(connection: AsyncConnection, template_id: str) -> Uses:
    """Everybody in the table, the first two by name."""
    ids = (await connection.execute(select(_user.c.id).where(_user.c.template_id == template_id))).scalars().all()
    return Uses(tuple(f"schedule {one}" for one in sorted(ids)[:2]), len(ids), scheduled=len(ids), sent=7)


async def use(world: World, template_id: str, *user_ids: str) -> TemplateService:
    """Have users refer to a template; gives a service that knows of them."""
    async with world.db.alter() as tx:
        await tx.run_sync(lambda sync: _metadata.create_all(sync, tables=[_user]))
    async with world.db.write() as tx:
        await tx.execute(insert(_user), [{"id": one, "template_id": template_id} for one in user_ids])
    return TemplateService(world.db, users_of)


async def test_a_template_that_is_in_use_is_not_deleted_and_its_users_are_named(world: World) -> None:
    saved, free = await save(world), await save(world)
    users = [f"01890000-0000-7000-8000-00000000000{digit}" for digit in range(3)]
    service = await use(world, saved["id"], *users)
    with pytest.raises(InUse) as refused:
        await service.delete(LOCAL, saved["id"])
    assert refused.value.status_code == 409
    assert refused.value.detail == f"the template is used by schedule {users[0]}, schedule {users[1]} and 1 more"
    assert [error.message for error in refused.value.errors] == [f"schedule {one}" for one in users[:2]]
    await service.delete(LOCAL, free["id"])
    assert (await world.get(PATH))["total"] == 1
    _, uses = await service.get(LOCAL, saved["id"])
    assert (uses.scheduled, uses.sent) == (3, 7)
    async with world.db.write() as tx:
        await tx.execute(_user.delete())
    await service.delete(LOCAL, saved["id"])
    assert (await world.get(PATH))["total"] == 0

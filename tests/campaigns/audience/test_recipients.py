"""Recipients over the API: numbers, variables, groups, search; each account's own."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from campaigns.audience.models import GroupMember, Recipient
from campaigns.audience.schemas import RecipientIn
from gateway.errors import DuplicateResource, NotFound, ValidationFailed
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, World
from tests.harness.accounts import LOCAL, add_other_account

pytestmark = pytest.mark.timeout(60)

PATH = "/api/recipients"
GROUPS = "/api/recipients/groups"
NOBODYS = "01890000-0000-7000-8000-000000000000"
ADA = "+447700900100"


async def add(world: World, name: str = "Ada", phone_number: str = ADA, **fields: Any) -> dict[str, Any]:
    """A stored recipient."""
    body = {"name": name, "phone_number": phone_number, **fields}
    answer: dict[str, Any] = await world.post(PATH, body)
    return answer


async def group(world: World, name: str = "VIP") -> str:
    """The id of a new group."""
    return str((await world.post(GROUPS, {"name": name}))["id"])


async def names(world: World, **params: Any) -> list[str]:
    """The names of a list."""
    return [item["name"] for item in (await world.get(PATH, **params))["items"]]


async def refused(world: World, body: Any, *, status: int = 422) -> dict[str, Any]:
    """The error about a recipient that was not stored."""
    before = await world.count(Recipient)
    error: dict[str, Any] = (await world.call("POST", PATH, body, status=status)).json()
    assert await world.count(Recipient) == before
    return error


# --- numbers


@pytest.mark.parametrize(
    ("written", "stored", "grade"),
    [
        ("+44 7700 900100", "+447700900100", "possible"),
        ("0044 (7700) 900-100", "+447700900100", "possible"),
        ("+1 212 555 0100", "+12125550100", "valid"),
        ("42108077", "+42108077", "invalid"),
    ],
)
async def test_a_number_is_read_as_everywhere_and_its_grade_is_told(
    world: World, written: str, stored: str, grade: str
) -> None:
    added = await add(world, phone_number=written)
    assert (added["phone_number"], added["grade"]) == (stored, grade)
    assert (await world.get(f"{PATH}/{added['id']}"))["grade"] == grade


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_is_no_number_is_named_beside_what_is_wrong_before_any_number_is_read(
    world: World, method: str
) -> None:
    path = PATH if method == "POST" else f"{PATH}/{(await add(world))['id']}"
    body = {"phone_number": "ask Bert", "group_ids": ["not an id"], "company": {"nested": 1}}
    error = (await world.call(method, path, body, status=422)).json()
    assert error["error_code"] == "INVALID_PHONE_NUMBER"
    assert sorted({one["field"] for one in error["errors"]}) == ["company", "group_ids.0", "name", "phone_number"]
    assert error["detail"].startswith(f"{len(error['errors'])} fields are not valid: phone_number, ")


@pytest.mark.parametrize(("number", "fields"), [("+447700900100", {"name"}), (7, {"name", "phone_number"})])
async def test_a_number_that_is_right_or_no_text_is_named_as_it_was_found(
    world: World, number: Any, fields: set[str]
) -> None:
    error = await refused(world, {"phone_number": number})
    assert error["error_code"] == "VALIDATION_ERROR"
    assert {one["field"] for one in error["errors"]} == fields


async def test_what_is_no_number_is_refused_together_with_every_other_wrong_field(world: World) -> None:
    body = {"name": "Ada", "phone_number": "ask Bert", "bad|name": "x", "{{": "y"}
    error = await refused(world, body | {"group_ids": [await group(world), NOBODYS]})
    assert error["error_code"] == "INVALID_PHONE_NUMBER"
    assert [one["field"] for one in error["errors"]] == ["phone_number", "bad|name", "{{", "group_ids.1"]


async def test_an_account_has_a_number_once_however_it_is_written(world: World) -> None:
    first = await add(world)
    error = await refused(world, {"name": "Ada", "phone_number": "0044 7700 900 100"}, status=409)
    assert error["error_code"] == "DUPLICATE_RESOURCE"
    assert [one["field"] for one in error["errors"]] == ["phone_number"]
    other = await add(world, "Bert", "+447700900101")
    body = {"name": "Bert", "phone_number": ADA}
    clash = (await world.call("PUT", f"{PATH}/{other['id']}", body, status=409)).json()
    assert clash["error_code"] == "DUPLICATE_RESOURCE"
    assert (await world.get(f"{PATH}/{other['id']}"))["phone_number"] == "+447700900101"
    await world.call("DELETE", f"{PATH}/{first['id']}", status=204)
    await world.call("PUT", f"{PATH}/{other['id']}", body, status=200)


async def test_of_many_who_add_a_number_at_once_one_succeeds(world: World) -> None:
    answers = await asyncio.gather(*(world.call("POST", PATH, {"name": "Ada", "phone_number": ADA}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await world.count(Recipient) == 1


async def test_of_many_who_change_to_a_number_at_once_one_succeeds(world: World) -> None:
    people = [await add(world, f"P{n}", f"+4477009001{n:02d}") for n in range(1, 6)]
    body = {"name": "Ada", "phone_number": "+447700900200"}
    answers = await asyncio.gather(*(world.call("PUT", f"{PATH}/{one['id']}", body) for one in people))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 4


# --- variables


async def test_fields_beside_the_named_ones_are_variables_for_templates(world: World) -> None:
    extra: dict[str, Any] = {"first name": "Ada", "visits": 3, "vip": True, "rate": 1.5, "note": None, "город": "Київ"}
    added = await add(world, **extra, variables={"company": "Engines"})
    assert added["variables"] == {**extra, "company": "Engines"}
    assert (await world.get(f"{PATH}/{added['id']}"))["variables"] == added["variables"]
    assert (await world.get(PATH))["items"][0]["variables"] == added["variables"]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"a|b": "x"}, "a|b", "invalid_name"),
        ({"": "x"}, "", "invalid_name"),
        ({" a ": "x"}, " a ", "invalid_name"),
        ({"{{a}}": "x"}, "{{a}}", "invalid_name"),
        ({"a\x00b": "x"}, "a\x00b", "invalid_name"),
        ({"a" * 101: "x"}, "a" * 100, "name_too_long"),
        ({"City": "x", "city": "y"}, "city", "duplicate_name"),
        ({"city": "x", "variables": {"CITY": "y"}}, "variables.CITY", "duplicate_name"),
        ({"a": "nul \x00"}, "a", "invalid_value"),
        ({"a": 10**30}, "a", "invalid_value"),
        ({"a": ["x"]}, "a", None),
        ({"a": {"b": "x"}}, "a", None),
        ({"a": "x" * 5001}, "a", None),
        ({f"v{n}": n for n in range(101)}, "variables", "too_many_variables"),
        ({f"v{n}": "x" * 4999 for n in range(5)}, "variables", "variables_too_long"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:20],
)
async def test_a_variable_that_no_template_could_use_is_refused_by_name(
    world: World, fields: dict[str, Any], field: str, code: str | None
) -> None:
    error = await refused(world, {"name": "Ada", "phone_number": ADA, **fields})
    assert [one["field"] for one in error["errors"]] == [field]
    assert code is None or error["errors"][0]["code"] == code


async def test_a_hundred_variables_are_taken(world: World) -> None:
    added = await add(world, **{f"v{n}": "x" * 100 for n in range(100)})
    assert len(added["variables"]) == 100


# --- changing and deleting


async def test_a_change_replaces_everything_but_groups_that_are_not_named(world: World) -> None:
    first, second = await group(world, "First"), await group(world, "Second")
    added = await add(world, company="Engines", group_ids=[first])
    path = f"{PATH}/{added['id']}"
    body = {"name": "Ada L.", "phone_number": "+447700900109", "city": "London"}
    changed = (await world.call("PUT", path, body, status=200)).json()
    assert (changed["name"], changed["phone_number"], changed["variables"]) == (
        "Ada L.",
        "+447700900109",
        {"city": "London"},
    )
    assert [one["name"] for one in changed["groups"]] == ["First"]
    assert changed["updated_at"] > changed["created_at"] == added["created_at"]
    moved = (await world.call("PUT", path, body | {"group_ids": [second, second]}, status=200)).json()
    assert [one["name"] for one in moved["groups"]] == ["Second"]
    alone = (await world.call("PUT", path, body | {"group_ids": []}, status=200)).json()
    assert alone["groups"] == []
    assert await names(world, search="ada l") == ["Ada L."]
    assert await names(world, search="900100") == []


async def test_unknown_groups_are_refused_one_by_one_and_nothing_is_stored(world: World) -> None:
    known = await group(world)
    body = {"name": "Ada", "phone_number": ADA, "group_ids": [known, NOBODYS, "no id"]}
    error = await refused(world, body)
    assert [one["field"] for one in error["errors"]] == ["group_ids.2"]
    error = await refused(world, body | {"group_ids": [NOBODYS, known]})
    assert [(one["field"], one["code"]) for one in error["errors"]] == [("group_ids.0", "unknown_group")]
    added = await add(world, group_ids=[known])
    await world.call("PUT", f"{PATH}/{added['id']}", body | {"group_ids": [NOBODYS]}, status=422)
    shown = await world.get(f"{PATH}/{added['id']}")
    assert [one["id"] for one in shown["groups"]] == [known]


async def test_a_deleted_recipient_leaves_its_groups(world: World) -> None:
    vip = await group(world)
    added = await add(world, group_ids=[vip])
    await add(world, "Bert", "+447700900101", group_ids=[vip])
    await world.call("DELETE", f"{PATH}/{added['id']}", status=204)
    for method in ("GET", "DELETE"):
        await world.call(method, f"{PATH}/{added['id']}", status=404)
    assert await world.count(GroupMember) == 1
    assert [one["name"] for one in (await world.get(f"{GROUPS}/{vip}"))["recipients"]] == ["Bert"]


# --- lists


async def test_a_search_finds_names_and_numbers_however_they_are_written(world: World) -> None:
    await add(world, "Zoë Müller", "+447700900100")
    await add(world, "100% Cotton_Ltd", "+447700900211")
    await add(world, "ΣΊΣΥΦΟΣ", "+12125550100")
    for search, found in (
        ("ZOË", ["Zoë Müller"]),
        ("zoe\u0308", ["Zoë Müller"]),
        ("müller", ["Zoë Müller"]),
        ("σίσυφος", ["ΣΊΣΥΦΟΣ"]),
        ("%", ["100% Cotton_Ltd"]),
        ("cotton_", ["100% Cotton_Ltd"]),
        ("n_l", ["100% Cotton_Ltd"]),
        ("o_l", []),
        ("+44 7700 9002", ["100% Cotton_Ltd"]),
        ("0044 (7700) 900-100", ["Zoë Müller"]),
        ("7700 900", ["100% Cotton_Ltd", "Zoë Müller"]),
        ("+1-212", ["ΣΊΣΥΦΟΣ"]),
        ("0100", ["ΣΊΣΥΦΟΣ", "Zoë Müller"]),
        ("99999", []),
    ):
        assert await names(world, search=search) == found, search


async def test_a_number_is_found_as_it_is_dialled_at_home(make_api_world: MakeWorld, database_url: str) -> None:
    world = await make_api_world(database_url=database_url, capacities=(), phone={"default_region": "GB"})
    await add(world, phone_number="07700 900100")
    assert await names(world, search="07700 900100") == ["Ada"]
    assert await names(world, search="07700 900101") == []


async def test_a_list_is_newest_first_and_paged_in_both_ways(world: World) -> None:
    vip = await group(world)
    for n in range(5):
        await add(world, f"P{n}", f"+4477009001{n:02d}", group_ids=[vip] if n % 2 else [])
    assert await names(world) == ["P4", "P3", "P2", "P1", "P0"]
    page = await world.get(PATH, page=2, per_page=2)
    assert page == await world.get(PATH, skip=2, limit=2)
    assert ([item["name"] for item in page["items"]], page["total"], page["pages"]) == (["P2", "P1"], 5, 3)
    members = await world.get(PATH, group_id=vip, limit=1)
    assert ([item["name"] for item in members["items"]], members["total"]) == (["P3"], 2)
    assert await names(world, group_id=vip, search="p1") == ["P1"]
    assert await names(world, group_id=NOBODYS) == []
    await world.call("GET", PATH, params={"group_id": "no id"}, status=422)


async def test_another_accounts_recipients_and_groups_are_nobodys(world: World) -> None:
    other = await add_other_account(world.db)
    recipients, groups = world.gateway.recipients, world.gateway.groups
    theirs = (await recipients.create(other, RecipientIn(name="Theirs", phone_number=ADA)))["id"]
    their_group = (await groups.create(other, "VIP", None, [theirs]))["id"]
    ours = await add(world)  # the same number: each account has its own
    unknown = (await world.call("GET", f"{PATH}/{NOBODYS}", status=404)).json()
    body = {"name": "Mine now", "phone_number": ADA}
    for method, sent in (("GET", None), ("PUT", body), ("DELETE", None)):
        assert (await world.call(method, f"{PATH}/{theirs}", sent, status=404)).json() == unknown
    assert await names(world) == ["Ada"]
    assert await names(world, group_id=their_group) == []
    error = await refused(world, body | {"phone_number": "+447700900101", "group_ids": [their_group]})
    assert error["errors"][0]["field"] == "group_ids.0"
    with pytest.raises(NotFound):
        await recipients.delete(other, ours["id"])
    everybody = (await world.admin("GET", PATH, status=200)).json()
    assert {item["name"] for item in everybody["items"]} == {"Ada", "Theirs"}
    put = {"name": "Theirs", "phone_number": ADA, "group_ids": [await group(world, "Ours")]}
    crossed = (await world.admin("PUT", f"{PATH}/{theirs}", put, status=422)).json()
    assert crossed["errors"][0]["field"] == "group_ids.0", "an operator mixes no accounts either"
    with pytest.raises(DuplicateResource):
        await recipients.create(other, RecipientIn(name="Again", phone_number=ADA))
    with pytest.raises(ValidationFailed):
        await groups.create(LOCAL, "Mixed", None, [theirs])


async def test_what_an_operator_adds_is_the_local_accounts(world: World) -> None:
    await world.post(PATH, {"name": "Ada", "phone_number": ADA}, headers={"X-Admin-Token": ADMIN_TOKEN})
    assert await names(world) == ["Ada"]


async def test_the_groups_route_is_no_recipients_id(world: World) -> None:
    assert (await world.get(GROUPS))["items"] == []
    await world.call("GET", f"{PATH}/group", status=404)


@pytest.mark.postgres
async def test_postgresql_sorts_what_is_folded_as_sqlite_does(postgres_url: str, make_api_world: MakeWorld) -> None:
    """The control of the tests above: another collation would sort otherwise, whatever the server's own one is."""
    world = await make_api_world(database_url=postgres_url, capacities=())
    query = text(
        "SELECT collation_name FROM information_schema.columns WHERE column_name IN "
        "('search_text', 'folded_name', 'folded_title', 'folded_content')"
    )
    async with world.db.read() as connection:
        collations = (await connection.execute(query)).scalars().all()
    assert len(collations) >= 4
    assert set(collations) == {"C"}

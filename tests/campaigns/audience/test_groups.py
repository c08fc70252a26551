"""Groups over the API: members replaced, added, removed; large ones; those in use are not deleted."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from campaigns.audience import group_schemas, groups
from campaigns.audience.groups import GroupService
from campaigns.audience.models import GroupMember, Recipient, RecipientGroup
from campaigns.audience.schemas import RecipientIn
from campaigns.audience.tables import recipient, recipient_group
from campaigns.uses import Uses
from gateway.db import ID
from gateway.errors import InUse, NotFound
from gateway.ids import make_ids
from tests.api.world import World
from tests.harness.accounts import LOCAL, add_other_account

pytestmark = pytest.mark.timeout(60)

PATH = "/api/recipients/groups"
NOBODYS = "01890000-0000-7000-8000-000000000000"


async def people(world: World, count: int) -> list[str]:
    """The ids of so many new recipients, in the order in which they were made."""
    ids = make_ids(1.0, count)
    rows = [
        {
            "id": one,
            "account_id": "local",
            "name": f"P{n}",
            "phone": f"44770090{n:04d}",
            "grade": "possible",
            "created_at": 1.0,
            "updated_at": 1.0,
            "search_text": f"p{n}\n44770090{n:04d}",
            "variables": "{}",
        }
        for n, one in enumerate(ids)
    ]
    async with world.db.write(bulk=True) as tx:
        await tx.execute(insert(recipient), rows)
    return ids


async def make(world: World, name: str = "VIP", recipient_ids: list[str] | None = None) -> dict[str, Any]:
    """A new group."""
    answer: dict[str, Any] = await world.post(PATH, {"name": name, "recipient_ids": recipient_ids or []})
    return answer


async def members(world: World, group_id: str) -> set[str]:
    """The ids of a group's members."""
    return {member["id"] for member in (await world.get(f"{PATH}/{group_id}"))["recipients"]}


async def change(world: World, method: str, group_id: str, ids: list[str], **options: Any) -> dict[str, Any]:
    """The answer to a change of members, which must succeed unless told otherwise."""
    path = f"{PATH}/{group_id}/recipients"
    answer = await world.call(method, path, {"recipient_ids": ids}, **{"status": 200, **options})
    told: dict[str, Any] = answer.json()
    return told


# --- members


async def test_members_are_replaced_added_and_removed(world: World) -> None:
    ids = await people(world, 5)
    made = await make(world, recipient_ids=[*ids[:2], ids[0]])
    group_id = made["id"]
    assert made["recipient_count"] == 2
    replaced = await change(world, "PUT", group_id, ids[1:4])
    assert (replaced["recipient_count"], replaced["added"], replaced["removed"]) == (3, 2, 1)
    assert await members(world, group_id) == set(ids[1:4])
    added = await change(world, "POST", group_id, ids[3:])
    assert (added["recipient_count"], added["added"], added["removed"]) == (4, 1, 0)
    removed = await change(world, "DELETE", group_id, ids[:3])
    assert (removed["recipient_count"], removed["added"], removed["removed"]) == (2, 0, 2)
    assert await members(world, group_id) == set(ids[3:])
    path = f"{PATH}/{group_id}/recipients/{ids[3]}"
    await world.call("DELETE", path, status=204)
    await world.call("DELETE", path, status=404)
    assert await members(world, group_id) == {ids[4]}
    assert made["updated_at"] < replaced["updated_at"] < added["updated_at"] < removed["updated_at"]
    assert (await change(world, "PUT", group_id, []))["recipient_count"] == 0


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_unknown_recipients_are_named_and_nothing_is_changed(world: World, method: str) -> None:
    ids = await people(world, 2)
    group_id = (await make(world, recipient_ids=ids[:1]))["id"]
    error = await change(world, method, group_id, [ids[1], NOBODYS, ids[0], NOBODYS], status=422)
    assert [(one["field"], one["code"]) for one in error["errors"]] == [
        ("recipient_ids.1", "unknown_recipient"),
        ("recipient_ids.3", "unknown_recipient"),
    ]
    malformed = await change(world, method, group_id, [ids[1], "recipient-2"], status=422)
    assert [one["field"] for one in malformed["errors"]] == ["recipient_ids.1"]
    assert await members(world, group_id) == set(ids[:1])
    await change(world, method, NOBODYS, ids, status=404)


async def test_a_group_with_an_unknown_recipient_is_not_made(world: World) -> None:
    ids = await people(world, 1)
    error = (await world.call("POST", PATH, {"name": "VIP", "recipient_ids": [*ids, NOBODYS]}, status=422)).json()
    assert [one["field"] for one in error["errors"]] == ["recipient_ids.1"]
    assert (await world.count(RecipientGroup), await world.count(GroupMember)) == (0, 0)


async def test_a_request_names_a_bounded_number_of_members_and_several_make_a_larger_group(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MEMBERS_SHOWN", 7)
    most = group_schemas.MAX_MEMBERS
    ids = await people(world, most + 5)
    error = (await world.call("POST", PATH, {"name": "VIP", "recipient_ids": ids}, status=422)).json()
    assert [one["field"] for one in error["errors"]] == ["recipient_ids"]
    group_id = (await make(world, recipient_ids=ids[:most]))["id"]
    told = await change(world, "POST", group_id, ids[most:])
    assert told["recipient_count"] == most + 5
    shown = await world.get(f"{PATH}/{group_id}")
    assert shown["recipient_count"] == most + 5
    assert [member["id"] for member in shown["recipients"]] == ids[: -7 - 1 : -1]
    everybody = await world.get("/api/recipients", group_id=group_id, page=2, per_page=1000)
    assert (everybody["total"], everybody["items"][0]["id"]) == (most + 5, ids[-1001])
    assert (await change(world, "PUT", group_id, ids[:1]))["removed"] == most + 4


async def test_those_who_change_members_at_once_do_so_one_after_the_other(world: World) -> None:
    ids = await people(world, 30)
    group_id = (await make(world))["id"]
    changes = [change(world, "PUT", group_id, ids[n : n + 10]) for n in (0, 10, 20)]
    changes += [change(world, "POST", group_id, ids[n : n + 5]) for n in (5, 15, 25)]
    told = await asyncio.gather(*changes)
    present = await members(world, group_id)
    assert sum(one["added"] - one["removed"] for one in told) == len(present)
    assert {one["recipient_count"] for one in told} >= {len(present)}


async def test_a_recipient_that_is_deleted_while_it_is_added_is_in_no_group_afterwards(world: World) -> None:
    ids = await people(world, 20)
    group_id = (await make(world))["id"]

    async def drop(recipient_id: str) -> None:
        await world.call("DELETE", f"/api/recipients/{recipient_id}", status=204)

    adding = [world.call("POST", f"{PATH}/{group_id}/recipients", {"recipient_ids": [one]}) for one in ids]
    answers = await asyncio.gather(*adding, *map(drop, ids))
    assert {answer.status_code for answer in answers if answer is not None} <= {200, 422}
    assert (await world.count(Recipient), await world.count(GroupMember)) == (0, 0)


# --- names


async def test_an_account_has_a_group_name_once_whatever_its_case(world: World) -> None:
    await make(world, "Été  Sale")
    error = (await world.call("POST", PATH, {"name": " éTÉ sale "}, status=409)).json()
    assert error["error_code"] == "DUPLICATE_RESOURCE"
    assert [one["field"] for one in error["errors"]] == ["name"]
    other = await make(world, "Winter")
    path = f"{PATH}/{other['id']}"
    clash = (await world.call("PUT", path, {"name": "ÉTÉ SALE"}, status=409)).json()
    assert clash["error_code"] == "DUPLICATE_RESOURCE"
    changed = (await world.call("PUT", path, {"name": "WINTER", "description": "Cold"}, status=200)).json()
    assert (changed["name"], changed["description"]) == ("WINTER", "Cold")
    assert changed["updated_at"] > other["updated_at"]
    cleared = (await world.call("PUT", path, {"name": "Winter"}, status=200)).json()
    assert cleared["description"] is None


async def test_of_many_who_make_a_group_at_once_one_succeeds(world: World) -> None:
    answers = await asyncio.gather(*(world.call("POST", PATH, {"name": "VIP"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert await world.count(RecipientGroup) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("name", "x" * 101), ("name", "a\x00"), ("description", "x" * 501), ("description", "\x00")],
)
async def test_a_wrong_field_is_named(world: World, field: str, value: str) -> None:
    error = (await world.call("POST", PATH, {"name": "VIP", field: value}, status=422)).json()
    assert [one["field"] for one in error["errors"]] == [field]


# --- lists


async def test_a_list_tells_counts_and_on_request_the_newest_members(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MEMBERS_LISTED", 3)
    ids = await people(world, 5)
    await make(world, "Empty")
    await make(world, "All", ids)
    await make(world, "Two", ids[:2])
    plain = (await world.get(PATH))["items"]
    assert [(item["name"], item["recipient_count"], item["recipients"]) for item in plain] == [
        ("Two", 2, []),
        ("All", 5, []),
        ("Empty", 0, []),
    ]
    full = (await world.get(PATH, include_recipients="true"))["items"]
    assert [[member["id"] for member in item["recipients"]] for item in full] == [ids[1::-1], ids[:1:-1], []]
    assert [item["recipient_count"] for item in full] == [2, 5, 0]
    page = await world.get(PATH, page=2, per_page=2)
    assert ([item["name"] for item in page["items"]], page["total"]) == (["Empty"], 3)
    error = (await world.call("GET", PATH, params={"include_recipients": True, "limit": 101}, status=422)).json()
    assert [one["field"] for one in error["errors"]] == ["include_recipients"]


async def test_another_accounts_groups_are_nobodys(world: World) -> None:
    other = await add_other_account(world.db)
    theirs = await world.gateway.groups.create(other, "Theirs", None, [])
    their_person = await world.gateway.recipients.create(other, RecipientIn(name="T", phone_number="+447700900999"))
    ids = await people(world, 1)
    ours = await make(world, "Theirs", ids)  # the same name: each account has its own
    path, body = f"{PATH}/{theirs['id']}", {"recipient_ids": ids}
    unknown = (await world.call("GET", f"{PATH}/{NOBODYS}", status=404)).json()
    for method, suffix, sent in (
        ("GET", "", None),
        ("PUT", "", {"name": "Mine now"}),
        ("DELETE", "", None),
        ("PUT", "/recipients", body),
        ("POST", "/recipients", body),
        ("DELETE", "/recipients", body),
        ("DELETE", f"/recipients/{ids[0]}", None),
    ):
        assert (await world.call(method, path + suffix, sent, status=404)).json() == unknown
    mixed = await change(world, "POST", ours["id"], [their_person["id"]], status=422)
    assert mixed["errors"][0]["field"] == "recipient_ids.0"
    assert [item["id"] for item in (await world.get(PATH))["items"]] == [ours["id"]]
    everybodys = (await world.admin("GET", PATH, status=200)).json()
    assert everybodys["total"] == 2
    crossed = await world.admin("POST", f"{path}/recipients", body, status=422)
    assert crossed.json()["errors"][0]["field"] == "recipient_ids.0", "an operator mixes no accounts either"
    with pytest.raises(NotFound):
        await world.gateway.groups.get(other, ours["id"])


# --- deleting


async def test_a_deleted_group_leaves_its_members_recipients(world: World) -> None:
    ids = await people(world, 3)
    group_id = (await make(world, recipient_ids=ids))["id"]
    await world.call("DELETE", f"{PATH}/{group_id}", status=204)
    for method in ("GET", "DELETE"):
        await world.call(method, f"{PATH}/{group_id}", status=404)
    assert (await world.count(Recipient), await world.count(GroupMember)) == (3, 0)
    await make(world)


_metadata = MetaData()
_user = Table(
    "group_user_of_a_test",
    _metadata,
    Column("id", ID, primary_key=True),
    Column("group_id", ID, ForeignKey(recipient_group.c.id), nullable=False),
)


async def users_of(connection: AsyncConnection, group_id: str) -> Uses:
    """Everybody in a table that refers to groups: it stands for whatever will."""
    ids = (await connection.execute(select(_user.c.id).where(_user.c.group_id == group_id))).scalars().all()
    return Uses(tuple(f"schedule {one}" for one in ids), len(ids), scheduled=len(ids), sent=20)


async def test_a_group_that_is_in_use_is_not_deleted_and_its_user_is_named(world: World) -> None:
    ids = await people(world, 2)
    group_id = (await make(world, recipient_ids=ids))["id"]
    async with world.db.alter() as tx:
        await tx.run_sync(lambda sync: _metadata.create_all(sync, tables=[_user]))
    async with world.db.write() as tx:
        await tx.execute(insert(_user).values(id=NOBODYS, group_id=group_id))
    service = GroupService(world.db, users_of)
    with pytest.raises(InUse, match=f"the group is used by schedule {NOBODYS}") as refused:
        await service.delete(LOCAL, group_id)
    assert (refused.value.status_code, refused.value.error_code) == (409, "RESOURCE_IN_USE")
    assert await members(world, group_id) == set(ids)
    _, uses = await service.get(LOCAL, group_id)
    assert (uses.scheduled, uses.sent) == (1, 20)
    async with world.db.write() as tx:
        await tx.execute(_user.delete())
    await service.delete(LOCAL, group_id)
    assert await world.count(RecipientGroup) == 0

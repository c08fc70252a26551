"""Campaigns and recipients as CSV: complete, in order, each account's own, and harmless in a spreadsheet."""

import codecs
import csv
import io
from typing import Any

import orjson
import pytest
from sqlalchemy import bindparam, insert, update

from campaigns.audience.contact_file import read_contacts
from campaigns.audience.exporting import RecipientExport
from campaigns.audience.schemas import RecipientIn
from campaigns.audience.tables import recipient
from campaigns.paging import SLICE
from campaigns.sending.tables import message
from gateway.auth.access import PhoneReader
from gateway.db import Database
from gateway.ids import make_id, make_ids
from gateway.settings import PhoneSettings
from tests.api.conftest import MakeWorld
from tests.api.world import ADMIN_TOKEN, ALICE, BERT, World
from tests.harness.accounts import LOCAL, add_other_account

pytestmark = pytest.mark.timeout(60)

ADA = "+447700900100"
NASTY = "Ada, \"the first\"\nof 👩‍💻 عائشة; and 'more'"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
MANY = 3 * SLICE
PEOPLE = "/api/recipients/export"


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway without any WAHA server on each kind of database: nothing is sent."""
    return await make_world(database_url=database_url, capacities=())


def numbers(count: int) -> list[str]:
    """So many different numbers of fiction."""
    return [f"+33639{980_000 + index}" for index in range(count)]


def cells(content: bytes) -> list[list[str]]:
    """The rows of a file, the columns' names first."""
    assert content.startswith(codecs.BOM_UTF8)
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


async def rows(world: World, path: str, headers: dict[str, str] | None = None, **params: Any) -> list[dict[str, str]]:
    """The rows of an export by the names of their columns."""
    answer = await world.call("GET", path, params=params, headers=headers, status=200)
    columns, *found = cells(answer.content)
    return [dict(zip(columns, row, strict=True)) for row in found]


async def send(world: World, **fields: Any) -> str:
    """The path of the export of a campaign that waits."""
    campaign = await world.send(queue_if_offline=True, **fields)
    return f"/api/campaigns/{campaign['campaign_id']}/export"


async def add_people(db: Database, count: int, account: str = "local") -> list[str]:
    """Store many recipients at once; gives their digits."""
    digits = [number.removeprefix("+") for number in numbers(count)]
    usual = {"account_id": account, "grade": "possible", "created_at": 1.0, "updated_at": 1.0, "variables": "{}"}
    people = [
        {"id": one, "name": f"P{n}", "phone": phone, "search_text": f"p{n}\n{phone}", **usual}
        for n, (one, phone) in enumerate(zip(make_ids(1.0, count), digits, strict=True))
    ]
    async with db.write(bulk=True) as tx:
        await tx.execute(insert(recipient), people)
    return digits


async def set_messages(world: World, number: str, **values: Any) -> None:
    """Change what is stored of the message to a number."""
    statement = update(message).where(message.c.phone == bindparam("b_phone")).values(**values)
    async with world.db.write() as tx:
        assert (await tx.execute(statement, {"b_phone": number.removeprefix("+")})).rowcount == 1


# --- campaigns


async def test_a_campaign_of_several_slices_comes_complete_and_in_order(world: World) -> None:
    sent_to = numbers(MANY)
    found = await rows(world, await send(world, recipients=sent_to, template="Hello, all"))
    assert [f"+{row['recipient']}" for row in found] == sent_to
    assert len({row["message_id"] for row in found}) == MANY
    assert {row["text"] for row in found} == {"Hello, all"}


async def test_a_file_says_what_it_is(world: World) -> None:
    path = await send(world)
    answer = await world.call("GET", path, status=200)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"campaign-{path.split('/')[3]}.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    people = await world.call("GET", PEOPLE, status=200)
    assert people.headers["content-disposition"] == 'attachment; filename="recipients.csv"'
    assert cells(people.content) == [["name", "phone", "groups", "variables"]]


async def test_a_row_tells_what_became_of_the_message(world: World) -> None:
    path = await send(world, recipients=[ADA, "+447700900101"])
    await set_messages(world, ADA, state="read", attempts=2, sent_at=0.0, delivered_at=1.5, read_at=2.0)
    await set_messages(world, "+447700900101", state="failed", error_code="REFUSED", error="=no")
    read, failed = await rows(world, path)
    assert read | {"message_id": ""} == {
        "message_id": "",
        "recipient": "447700900100",
        "status": "read",
        "sender_number": read["sender_number"],
        "text": "Hello",
        "attempts": "2",
        "sent_at": "1970-01-01T00:00:00Z",
        "delivered_at": "1970-01-01T00:00:01.500000Z",
        "read_at": "1970-01-01T00:00:02Z",
        "error_code": "",
        "error": "",
    }
    assert (failed["status"], failed["error_code"], failed["error"], failed["sent_at"]) == (
        "failed",
        "REFUSED",
        "'=no",
        "",
    )
    told = await world.get(path.replace("export", f"messages/{read['message_id']}"))
    assert told["recipient"] == f"+{read['recipient']}"


async def test_messages_of_some_states_come_through_all_slices(world: World) -> None:
    sent_to = numbers(2 * SLICE + 1)
    path = await send(world, recipients=sent_to)
    await set_messages(world, sent_to[0], state="failed")
    await set_messages(world, sent_to[-1], state="unconfirmed")
    found = await rows(world, path, status=["failed", "unconfirmed"])
    assert [f"+{row['recipient']}" for row in found] == [sent_to[0], sent_to[-1]]
    assert len(await rows(world, path, status="queued")) == len(sent_to) - 2
    assert await rows(world, path, status="read") == []
    refused = (await world.call("GET", path, params={"status": "lost"}, status=422)).json()
    assert [error["field"] for error in refused["errors"]] == ["status.0"]


async def test_texts_of_any_kind_survive(world: World) -> None:
    people = [
        {"phone": number, "variables": {"text": text}}
        for number, text in zip(numbers(7), [NASTY, *FORMULAS], strict=True)
    ]
    found = await rows(world, await send(world, recipients=people, template="{{text}}"))
    assert [row["text"] for row in found] == [NASTY, *(f"'{text}" for text in FORMULAS)]


async def test_anothers_campaign_is_404(world: World) -> None:
    path = await send(world)
    await world.call("GET", path, params={"sender_number": ALICE}, status=200)
    refused = (await world.call("GET", path, params={"sender_number": BERT}, status=404)).json()
    nobodys = f"/api/campaigns/{make_id(1.0)}/export"
    assert refused == (await world.call("GET", nobodys, status=404)).json()


# --- recipients


async def test_recipients_of_several_slices_come_complete_and_in_order(world: World) -> None:
    await add_other_account(world.db)
    stored = await add_people(world.db, MANY)
    await add_people(world.db, 10, account="other")
    found = await rows(world, PEOPLE)
    assert [row["phone"] for row in found] == stored
    assert [row["name"] for row in found] == [f"P{n}" for n in range(MANY)]


async def test_another_accounts_recipients_are_in_no_file_but_the_operators(world: World) -> None:
    other = await add_other_account(world.db)
    theirs = await world.gateway.recipients.create(other, RecipientIn(name="Theirs", phone_number=ADA))
    group = await world.gateway.groups.create(other, "VIP", None, [theirs["id"]])
    await world.post("/api/recipients", {"name": "Ours", "phone_number": ADA})
    assert [row["name"] for row in await rows(world, PEOPLE)] == ["Ours"]
    assert await rows(world, PEOPLE, group_id=group["id"]) == []
    operator = {"X-Admin-Token": ADMIN_TOKEN}
    assert {row["name"] for row in await rows(world, PEOPLE, operator)} == {"Ours", "Theirs"}
    assert [row["name"] for row in await rows(world, PEOPLE, operator, group_id=group["id"])] == ["Theirs"]


async def test_recipients_are_filtered_as_their_list_is(world: World) -> None:
    groups = [(await world.post("/api/recipients/groups", {"name": name}))["id"] for name in ("VIP", "New; ones")]
    for n, name in enumerate(("Ada", "ÉMILE", "Bert")):
        body = {"name": name, "phone_number": numbers(3)[n], "group_ids": groups[: 2 - n]}
        await world.post("/api/recipients", body)
    assert [(row["name"], row["groups"]) for row in await rows(world, PEOPLE)] == [
        ("Ada", "New; ones; VIP"),
        ("ÉMILE", "VIP"),
        ("Bert", ""),
    ]
    searches = ({"search": "émi"}, {"search": "+33 639 98 00 02"}, {"group_id": groups[0]}, {"search": "nobody"})
    for params in (*searches, {"group_id": groups[0], "search": "ADA"}):
        listed = [item["name"] for item in (await world.get("/api/recipients", **params))["items"]]
        assert [row["name"] for row in await rows(world, PEOPLE, **params)] == listed[::-1], params
    assert len(await rows(world, PEOPLE, group_id=groups[0])) == 2


async def test_names_and_variables_of_any_kind_survive(world: World) -> None:
    variables = {"mobile": "+447700900999", "note": NASTY, "sum": "=1+1", "visits": 3, "vip": True, "none": None}
    await world.post("/api/recipients", {"name": NASTY, "phone_number": ADA, "variables": variables})
    await world.post("/api/recipients", {"name": "=cmd|'/c calc'!A1", "phone_number": "+447700900101"})
    first, second = await rows(world, PEOPLE)
    assert (first["name"], first["phone"]) == (NASTY, "447700900100")
    assert orjson.loads(first["variables"]) == variables
    assert (second["name"], second["variables"]) == ("'=cmd|'/c calc'!A1", "{}")


async def test_our_own_reader_of_contacts_finds_everybody_in_either_file(world: World) -> None:
    sent_to = numbers(20)
    people = [{"phone": number, "variables": {"name": f"{NASTY} {number}"}} for number in sent_to]
    path = await send(world, recipients=people, template="{{name}}")
    for n, number in enumerate(sent_to):
        body = {"name": f"P{n}; {NASTY}", "phone_number": number, "mobile": "+447700900999"}
        await world.post("/api/recipients", body)
    for exported in (path, PEOPLE):
        content = (await world.call("GET", exported, status=200)).content
        with read_contacts(io.BytesIO(content)) as contacts:
            found = list(contacts)
        assert [f"+{row.phone.digits}" for row in found if row.phone is not None] == sent_to, exported
        assert dict(contacts.counts) == {"ok": len(sent_to)}
    assert found[0].variables["name"].startswith("P0; Ada")


# --- slowly


async def test_whoever_reads_slowly_holds_no_connection(database_url: str) -> None:
    db = Database(database_url)
    await add_people(db, MANY)
    sizes = []
    async for slice_ in RecipientExport(db, PhoneReader(PhoneSettings())).rows(LOCAL, search="", group_id=None):
        assert db.pool.checked_out == 0
        sizes.append(len(slice_))
    await db.close()
    assert sizes == [SLICE] * (MANY // SLICE)

"""Imports of recipients over the API: what becomes of every row, and of every file that is none."""

import asyncio
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request

from campaigns.audience.group_queries import delete_group
from campaigns.audience.importing import running
from campaigns.audience.importing.models import KEEP_SECONDS, RecipientImport, RecipientImportRow
from campaigns.audience.importing.queries import job
from campaigns.audience.importing.router import XLSX
from campaigns.audience.importing.storing import Job, prepare, store_slice
from campaigns.audience.models import Recipient
from campaigns.audience.workbook import MAX_UNPACKED
from gateway.db import read_now
from gateway.http.receiving import receive_file
from tests.api.conftest import MakeWorld
from tests.api.world import World, until

pytestmark = pytest.mark.timeout(60)

PATH = "/api/recipients/import"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "contacts.csv"
ADA, BERT, CARA = "+447700900100", "+447700900101", "+447700900102"
NOBODYS = "01890000-0000-7000-8000-000000000000"
LIST = f"name;phone;city\nAda;{ADA};Paris\nBert;{BERT};\n"
MIXED = f"name,phone\nAda,{ADA}\nAnn,{ADA}\nBad,ask me\nNobody,\n\nBert,{BERT}\n"


@pytest.fixture
async def world(database_url: str, make_world: MakeWorld) -> World:
    """A gateway without any WAHA server on each kind of database: nothing is sent."""
    return await make_world(database_url=database_url, capacities=())


async def send(world: World, content: str | bytes, status: int = 201, headers: Any = None, **options: Any) -> Any:
    """Import a list that is the body itself."""
    data = content.encode() if isinstance(content, str) else content
    kind = XLSX if data.startswith(b"PK") else "text/csv"
    headers = {"Content-Type": kind} | (headers or {})
    answer = await world.call("POST", PATH, content=data, headers=headers, params=options, status=status)
    return answer.json()


async def people(world: World) -> dict[str, dict[str, Any]]:
    """All recipients by their numbers."""
    return {one["phone_number"]: one for one in (await world.get("/api/recipients", limit=1000))["items"]}


async def fates(world: World, found: Any, **params: Any) -> list[tuple[int, str]]:
    """Line and fate of the rows of a report."""
    page = await world.get(f"{PATH}/{found['id']}/rows", **params)
    return [(row["line"], row["fate"]) for row in page["items"]]


def counts(found: Any) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("created", "updated", "existing", "duplicate", "invalid", "blank")
    return {name: found[name] for name in names if found[name]}


def workbook(*rows: Sequence[Any], title: str = "People") -> bytes:
    """An XLSX file whose second sheet has these rows; the first one is empty."""
    book = Workbook()
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


# --- what is stored


async def test_a_list_becomes_recipients_with_names_and_variables(world: World) -> None:
    found = await send(world, LIST)
    assert (found["state"], counts(found), found["rows_total"]) == ("done", {"created": 2}, 2)
    stored = await people(world)
    assert {number: (one["name"], one["variables"], one["grade"]) for number, one in stored.items()} == {
        ADA: ("Ada", {"city": "Paris"}, "possible"),
        BERT: ("Bert", {}, "possible"),
    }
    assert [one["phone_number"] for one in (await world.get("/api/recipients", search="bert"))["items"]] == [BERT]
    assert (await world.get(f"{PATH}/{found['id']}")) == found
    assert (await world.get(PATH))["items"] == [found]


async def test_a_form_with_a_file_and_options_is_taken_too(world: World) -> None:
    group = await world.post("/api/recipients/groups", {"name": "VIP"})
    data = {"group_ids": [group["id"]], "group_name": "New ones", "on_bad_row": "partial"}
    files = {"file": ("../../etc/passwd", MIXED.encode(), "application/vnd.ms-excel")}
    found = (await world.call("POST", PATH, data=data, files=files, status=201)).json()
    assert counts(found) == {"created": 2, "duplicate": 1, "invalid": 1, "blank": 2}
    assert [one["name"] for one in (await people(world))[ADA]["groups"]] == ["New ones", "VIP"]
    assert len(found["group_ids"]) == 2


async def test_a_workbook_is_read_as_it_looks(world: World) -> None:
    content = workbook(
        ["Full name", "Mobile", "Total", "Rate"],
        ["Ada", 447700900100, "=1+1", 1.5],
        [],
        ["Bert", 4.47700900101e11, None, 3.0],
    )
    found = await send(world, content)
    assert counts(found) == {"created": 2}
    assert await fates(world, found) == [(2, "created"), (4, "created")]
    stored = await people(world)
    assert (stored[ADA]["name"], stored[ADA]["variables"]) == ("Ada", {"Rate": "1.5"})
    assert (stored[BERT]["name"], stored[BERT]["variables"]) == ("Bert", {"Rate": "3"})


@pytest.mark.skipif(not SHARED.exists(), reason="the contact list of 1,200 rows is not here")
async def test_every_row_of_a_real_list_has_a_fate(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(), phone={"default_region": "FR"})
    found = await send(world, SHARED.read_bytes(), on_bad_row="partial")
    assert counts(found) == {"created": 1044, "duplicate": 100, "invalid": 33, "blank": 23}
    told: Counter[str] = Counter()
    for page in (1, 2):
        told.update(
            row["fate"] for row in (await world.get(f"{PATH}/{found['id']}/rows", page=page, per_page=1000))["items"]
        )
    assert told == counts(found)
    again = await send(world, SHARED.read_bytes(), on_bad_row="partial")
    assert counts(again) == {"existing": 1044, "duplicate": 100, "invalid": 33, "blank": 23}


async def test_who_is_there_stays_as_they_are_unless_told_otherwise(world: World) -> None:
    body = {"name": "Old", "phone_number": ADA, "City": "Rome", "visits": 3}
    await world.post("/api/recipients", body)
    assert counts(await send(world, LIST)) == {"created": 1, "existing": 1}
    assert (await people(world))[ADA]["name"] == "Old"
    found = await send(world, LIST, on_duplicate="update")
    assert counts(found) == {"updated": 2}
    ada = (await people(world))[ADA]
    assert (ada["name"], ada["variables"]) == ("Ada", {"visits": 3, "city": "Paris"})
    await send(world, f"phone,city\n{ADA},\n", on_duplicate="update")
    ada = (await people(world))[ADA]
    assert (ada["name"], ada["variables"]) == ("Ada", {"visits": 3, "city": "Paris"}), "empty cells say nothing"


async def test_who_is_there_is_put_into_the_groups_too_and_a_group_is_made_once(world: World) -> None:
    await send(world, LIST, group_name="Fans")
    found = await send(world, LIST + f"Cara;{CARA};\n", group_name="FANS")
    groups = (await world.get("/api/recipients/groups"))["items"]
    assert [(group["name"], group["recipient_count"]) for group in groups] == [("Fans", 3)]
    assert found["group_ids"] == [groups[0]["id"]]


async def test_nobody_is_without_a_name_and_a_long_one_is_cut_and_told(world: World) -> None:
    found = await send(world, f"phone,first name,last name\n{ADA},,\n{BERT},{'n' * 60},{'m' * 60}\n{CARA},Cara,C.\n")
    stored = await people(world)
    assert [stored[number]["name"] for number in (ADA, CARA)] == [ADA, "Cara C."]
    assert stored[CARA]["variables"] == {"first name": "Cara", "last name": "C."}
    assert len(stored[BERT]["name"]) == 100
    report = (await world.get(f"{PATH}/{found['id']}/rows"))["items"]
    assert [bool(row["reason"]) for row in report] == [False, True, False]


async def test_columns_are_what_whoever_imports_says_they_are(world: World) -> None:
    rows = f"Office;Tel 2;Client;Ort;Notes\n{CARA};{ADA};Ada;Köln;secret\n"
    columns = '{"Tel 2": "phone", "client": "name", "Ort": "city", "Notes": null}'
    await send(world, rows, columns=columns)
    stored = await people(world)
    assert list(stored) == [ADA]
    assert (stored[ADA]["name"], stored[ADA]["variables"]) == ("Ada", {"Office": CARA, "city": "Köln"})


async def test_what_was_exported_comes_back_as_it_was(world: World) -> None:
    body = {"name": "=1+1", "phone_number": ADA, "city": "Paris", "visits": 3, "phone": "x"}
    created = await world.post("/api/recipients", body)
    exported = (await world.call("GET", "/api/recipients/export", status=200)).content
    await world.call("DELETE", f"/api/recipients/{created['id']}", status=204)
    await send(world, exported)
    back = (await people(world))[ADA]
    assert (back["name"], back["variables"]) == ("=1+1", created["variables"])


async def test_what_a_spreadsheet_would_calculate_is_stored_as_it_is_and_exported_as_a_text(world: World) -> None:
    await send(world, f"name,phone\n=cmd|' /C calc'!A0,{ADA}\n")
    assert (await people(world))[ADA]["name"] == "=cmd|' /C calc'!A0"
    exported = (await world.call("GET", "/api/recipients/export", status=200)).content.decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(exported)))[1][0] == "'=cmd|' /C calc'!A0"


# --- bad rows, dry runs, reports


async def test_a_bad_row_stops_everything_and_is_named(world: World) -> None:
    error = await send(world, MIXED, 422, group_name="Fans")
    assert [(one["field"], one["code"]) for one in error["errors"]] == [("rows.4", "invalid_row")]
    assert await people(world) == {}
    assert (await world.get("/api/recipients/groups"))["total"] == 0
    failed = (await world.get(PATH))["items"][0]
    assert (failed["state"], failed["error_code"], failed["rows_total"]) == ("failed", "bad_rows", 6)
    assert failed["id"] in error["detail"]
    assert await fates(world, failed) == [(4, "invalid")]


async def test_partial_takes_the_good_rows_and_reports_all(world: World) -> None:
    found = await send(world, MIXED, on_bad_row="partial")
    assert await fates(world, found) == [(2, "created"), (3, "duplicate"), (4, "invalid"), (5, "blank"), (7, "created")]
    assert await fates(world, found, fate=["invalid", "blank"], per_page=1, page=2) == [(5, "blank")]
    bad = (await world.get(f"{PATH}/{found['id']}/rows", fate="invalid"))["items"]
    assert bad == [
        {"line": 4, "fate": "invalid", "phone_number": "ask me", "name": "Bad", "reason": "there are letters in it"}
    ]
    content = (await world.call("GET", f"{PATH}/{found['id']}/rows/export?fate=invalid", status=200)).content
    assert list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1:] == [
        ["4", "invalid", "ask me", "Bad", "there are letters in it"]
    ]


async def test_the_numbers_of_an_exported_report_keep_their_plus(world: World) -> None:
    found = await send(world, LIST)
    content = (await world.call("GET", f"{PATH}/{found['id']}/rows/export", status=200)).content
    told = [row[2] for row in csv.reader(io.StringIO(content.decode("utf-8-sig")))][1:]
    assert told == [f"'{ADA}", f"'{BERT}"]  # the apostrophe is for spreadsheets, and no reader of ours minds it


@pytest.mark.parametrize("update", [False, True])
async def test_a_dry_run_tells_what_then_happens_and_stores_nothing(world: World, update: bool) -> None:
    await world.post("/api/recipients", {"name": "Old", "phone_number": ADA})
    options: dict[str, Any] = {
        "on_bad_row": "partial",
        "on_duplicate": "update" if update else "skip",
        "group_name": "Fans",
    }
    before = await people(world)
    foreseen = await send(world, MIXED, 200, dry_run=True, **options)
    assert await people(world) == before
    assert (await world.get("/api/recipients/groups"))["total"] == 0
    done = await send(world, MIXED, **options)
    assert counts(foreseen) == counts(done)
    assert await fates(world, foreseen) == await fates(world, done)


async def test_variables_that_become_too_many_together_are_told(world: World) -> None:
    old = {f"old {index}": "x" for index in range(60)}
    await world.post("/api/recipients", {"name": "Ada", "phone_number": ADA, "variables": old})
    header, row = (
        ",".join([first, *more]) for first, more in (("phone", [f"v{n}" for n in range(60)]), (ADA, "x" * 60))
    )
    foreseen = await send(world, f"{header}\n{row}\n", 200, on_duplicate="update", dry_run=True)
    found = await send(world, f"{header}\n{row}\n", on_duplicate="update")
    assert counts(found) == counts(foreseen) == {"invalid": 1}
    assert (await people(world))[ADA]["variables"] == old


# --- what is refused


def zipped(**parts: bytes) -> bytes:
    """A zip file of these parts."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return content.getvalue()


def bomb() -> bytes:
    """A small file that unpacks to more than anybody has room for."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as part:
        for _ in range(MAX_UNPACKED // 2**20 + 1):
            part.write(bytes(2**20))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"who,where\nAna,Paris\n", "no column is known to hold phone numbers"),
        (b"\x00\x01\x02\x03 nothing", "no column"),
        (b"phone\n" + b"1" * 200_000, "longer than"),
        (b"\xd0\xcf\x11\xe0 an old one", "XLSX"),
        (b"PK\x03\x04 half of one", "cannot be read as XLSX"),
        (b"bomb", "unpacks to"),
        (zipped(**{"xl/workbook.xml": b"<x/>"}), "cannot be read as XLSX"),
        (workbook(["phone"], [ADA])[:-100], "cannot be read as XLSX"),
    ],
    ids=["no phones", "binary", "one line", "xls", "no zip", "bomb", "another zip", "half"],
)
async def test_a_file_that_is_no_list_is_refused_with_the_reason(world: World, content: bytes, reason: str) -> None:
    error = await send(world, bomb() if content == b"bomb" else content, 422)
    assert [(one["field"], one["code"]) for one in error["errors"]] == [("file", "not_a_list")]
    assert reason in error["detail"]
    assert await world.count(Recipient) == 0


async def test_nul_bytes_are_left_out(world: World) -> None:
    await send(world, f"name,phone,city\nA\0da,{ADA},Pa\0ris\n")
    ada = (await people(world))[ADA]
    assert (ada["name"], ada["variables"]) == ("Ada", {"city": "Paris"})


async def test_a_list_may_have_so_many_rows_and_no_more(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(), limits={"recipients_per_import": 2})
    await send(world, LIST + "\n\n\n")
    error = await send(world, LIST + f"Cara;{CARA};\n", 422)
    assert "more than 2 rows" in error["detail"]
    assert CARA not in await people(world)


async def test_a_body_that_is_too_large_is_refused(make_world: MakeWorld) -> None:
    world = await make_world(capacities=(), server={"max_body_bytes": 2000})

    async def chunks() -> Any:
        for _ in range(10):
            yield b"x" * 1000

    for content in (b"x" * 3000, chunks()):
        await world.call("POST", PATH, content=content, headers={"Content-Type": "text/csv"}, status=413)


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "text/csv, text/csv"]
)
async def test_other_content_types_are_refused_and_the_right_ones_named(world: World, kind: str) -> None:
    answer = await world.call("POST", PATH, content=b"[]", headers={"Content-Type": kind}, status=415)
    assert "text/csv" in answer.json()["detail"]


async def test_another_route_takes_json_only_as_before(world: World) -> None:
    headers = {"Content-Type": "text/csv"}
    await world.call("POST", "/api/recipients", content=LIST.encode(), headers=headers, status=415)


async def test_another_web_page_cannot_send_a_form(world: World) -> None:
    files = {"file": ("a.csv", LIST.encode())}
    headers = {"Origin": "https://evil.example"}
    await world.call("POST", PATH, files=files, headers=headers, status=403)
    assert await world.count(Recipient) == 0


BOUNDARY = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("multipart/form-data", b"--b--", "body"),
        (BOUNDARY, b"no form", "body"),
        (BOUNDARY, b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nphone\n', "body"),
        (BOUNDARY, b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n', "file"),
        ("text/csv", b"", "file"),
    ],
    ids=["no boundary", "no form", "half a form", "no file", "empty"],
)
async def test_a_form_without_a_whole_file_is_refused(world: World, kind: str, body: bytes, field: str) -> None:
    answer = await world.call("POST", PATH, content=body, headers={"Content-Type": kind}, status=422)
    assert [one["field"] for one in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"on_duplicate": "merge"}, "on_duplicate"),
        ({"columns": "{"}, "columns"),
        ({"columns": '{"a": 1}'}, "columns"),
        ({"columns": '{"a": "phone", "b": "phone"}'}, "columns"),
        ({"group_ids": "x"}, "group_ids.0"),
        ({"group_name": ""}, "group_name"),
        ({"dryrun": "true"}, "dryrun"),
    ],
)
async def test_wrong_options_are_named_in_the_query_and_in_the_form(
    world: World, options: dict[str, str], field: str
) -> None:
    error = await send(world, LIST, 422, **options)
    assert [one["field"] for one in error["errors"]] == [field]
    files = {"file": ("a.csv", LIST.encode())}
    error = (await world.call("POST", PATH, data=options, files=files, status=422)).json()
    assert [one["field"] for one in error["errors"]] == [field]
    assert await world.count(RecipientImport) == 0


async def test_a_column_that_is_not_there_or_cannot_be_a_variable_is_told(world: World) -> None:
    assert "'Tel'" in (await send(world, LIST, 422, columns='{"Tel": "phone"}'))["detail"]
    assert "'Tel'" in (await send(world, LIST, 422, columns='{"Tel": "city"}'))["detail"]
    bad = f"phone,name,a}}}}b\n{ADA},Ada,x\n"
    assert "'a}}b'" in (await send(world, bad, 422))["detail"]
    await send(world, bad, columns='{"a}}b": null}')


# --- accounts, keys, interruptions


async def test_accounts_meet_their_own_only(world: World) -> None:
    group = await world.post("/api/recipients/groups", {"name": "VIP"})
    found = await send(world, LIST)
    await world.gateway.identity.users.create("user@acme.example", "secure_password", "acme")
    tokens = await world.post("/api/auth/login", {"email": "user@acme.example", "password": "secure_password"})
    acme = {"Authorization": f"Bearer {tokens['access_token']}"}
    for path in ("", "/rows", "/rows/export"):
        await world.call("GET", f"{PATH}/{found['id']}{path}", headers=acme, status=404)
    assert (await world.call("GET", PATH, headers=acme, status=200)).json()["total"] == 0
    error = await send(world, LIST, 422, headers=acme, group_ids=group["id"])
    assert [one["field"] for one in error["errors"]] == ["group_ids.0"]
    assert counts(await send(world, LIST, headers=acme)) == {"created": 2}
    assert (await world.admin("GET", PATH, status=200)).json()["total"] == 2


async def test_the_same_key_imports_once_and_another_file_under_it_is_refused(world: World) -> None:
    key = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(*(send(world, LIST, headers=key) for _ in range(3)))
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}
    assert await world.count(RecipientImport) == 1
    error = await send(world, MIXED, 422, headers=key)
    assert [one["code"] for one in error["errors"]] == ["key_reused"]


async def test_a_failed_import_may_be_tried_again_under_its_key(world: World) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await send(world, LIST, headers=key)
    async with world.db.write() as tx:
        await tx.execute(job.update().values(state="failed", error_code="interrupted"))
    again = await send(world, LIST, headers=key)
    assert again["id"] != first["id"]
    assert counts(again) == {"existing": 2}


async def test_a_long_import_goes_on_after_the_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()
    store = store_slice

    async def slow(*args: Any) -> None:
        await store(*args)
        await go_on.wait()

    monkeypatch.setattr(running, "SHORTLY_SECONDS", 0.0)
    numbers = "".join(f"+33639{980_000 + index},P{index}\n" for index in range(1200))
    monkeypatch.setattr(running, "store_slice", slow)
    found = await send(world, "phone,name\n" + numbers, 202)
    assert found["state"] == "running"

    async def is_stopped() -> bool:
        return bool((await world.get(f"{PATH}/{found['id']}"))["rows_total"])

    await until(is_stopped)
    go_on.set()

    async def has_ended() -> Any:
        told = await world.get(f"{PATH}/{found['id']}")
        return told if told["state"] != "running" else None

    done = await until(has_ended)
    assert (done["state"], counts(done)) == ("done", {"created": 1200})
    assert await world.count(Recipient) == 1200


async def test_what_a_stopped_gateway_leaves_says_so_and_can_be_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SHORTLY_SECONDS", 0.0)
    stored = asyncio.Event()
    store = store_slice

    async def once(*args: Any) -> None:
        if stored.is_set():
            await asyncio.Event().wait()
        await store(*args)
        stored.set()

    rows = "phone,name\n" + "".join(f"+33639{980_000 + index},P{index}\n" for index in range(700))
    monkeypatch.setattr(running, "store_slice", once)
    found = await send(world, rows, 202)
    await stored.wait()
    await world.gateway.imports.stop()
    failed = await world.get(f"{PATH}/{found['id']}")
    assert (failed["state"], failed["error_code"]) == ("failed", "interrupted")
    monkeypatch.setattr(running, "store_slice", store)
    monkeypatch.setattr(running, "SHORTLY_SECONDS", 20.0)
    again = await send(world, rows)
    assert again["created"] + again["existing"] == 700
    assert again["existing"] == failed["created"]


async def test_an_import_of_which_nothing_is_heard_has_failed(world: World) -> None:
    found = await send(world, LIST)
    async with world.db.write() as tx:
        silent = await read_now(tx) - running.SILENT_SECONDS - 1
        await tx.execute(job.update().values(state="running", finished_at=None, beat_at=silent))
    told = await world.get(f"{PATH}/{found['id']}")
    assert (told["state"], told["error_code"]) == ("failed", "interrupted")
    assert "import the file again" in told["error"]


async def test_a_process_that_died_on_sqlite_is_known_at_the_next_start(make_world: MakeWorld) -> None:
    world = await make_world(capacities=())
    found = await send(world, LIST)
    async with world.db.write() as tx:
        await tx.execute(job.update().values(state="running", finished_at=None))
    await world.gateway.imports.recover()
    assert (await world.get(f"{PATH}/{found['id']}"))["error_code"] == "interrupted"


async def test_too_many_at_once_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_WAITING", 0)
    await send(world, LIST, 503)
    assert await world.count(RecipientImport) == 0


async def test_a_group_that_is_deleted_meanwhile_stops_the_import(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await world.post("/api/recipients/groups", {"name": "VIP"})

    async def delete_first(tx: AsyncConnection, todo: Job) -> Job:
        await delete_group(tx, group["id"])
        return await prepare(tx, todo)

    monkeypatch.setattr(running, "prepare", delete_first)
    error = await send(world, LIST, 409, group_ids=group["id"])
    assert "deleted meanwhile" in error["detail"]
    assert await world.count(Recipient) == 0


async def test_reports_are_kept_for_a_week(world: World) -> None:
    found = await send(world, LIST)
    async with world.db.read() as connection:
        now = await read_now(connection)
    await world.gateway.imports.forget_old(now + KEEP_SECONDS - 10)
    assert len(await fates(world, found)) == 2
    await world.gateway.imports.forget_old(now + KEEP_SECONDS + 10)
    await world.call("GET", f"{PATH}/{found['id']}", status=404)
    assert (await world.count(RecipientImport), await world.count(RecipientImportRow)) == (0, 0)
    assert await world.count(Recipient) == 2


async def test_nobody_elses_and_no_import_is_404(world: World) -> None:
    for path in ("", "/rows", "/rows/export"):
        await world.call("GET", f"{PATH}/{NOBODYS}{path}", status=404)


async def test_half_a_body_is_no_file(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"phone\n", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"text/csv")]}
    with pytest.raises(HTTPException, match="hung up"):
        await receive_file(Request(scope, receive), tmp_path / "new", ["text/csv"])
    assert list((tmp_path / "new").iterdir()) == []

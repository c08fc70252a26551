"""POST /api/contacts/read: a contact list as it is understood; nothing is stored."""

import io

import httpx
import pytest

from campaigns.audience.models import Recipient
from tests.api.conftest import MakeWorld
from tests.api.world import World

READ = "/api/contacts/read"
LIST = b"""\
name;Tel.;city
Ada;+44 7700 900100;London
Bert;ask Bert;Paris
Ada again;00447700900100;London
Cara;;Rome
Dora;+44 7700 900101;
"""


async def read(world: World, content: bytes = LIST, **fields: str) -> httpx.Response:
    """The answer to a form with this file."""
    return await world.call("POST", READ, files={"file": ("people.csv", io.BytesIO(content))}, data=fields)


async def test_it_tells_columns_people_and_why_rows_are_refused(world: World) -> None:
    answer = (await read(world)).json()
    assert (answer["columns"], answer["phone_column"], answer["has_header"]) == (["name", "Tel.", "city"], "Tel.", True)
    assert [answer[count] for count in ("valid", "duplicate", "invalid", "blank")] == [2, 1, 1, 1]
    assert answer["rows"] == [
        {
            "line": 2,
            "phone_number": "+447700900100",
            "grade": "possible",
            "variables": {"name": "Ada", "city": "London"},
        },
        {"line": 6, "phone_number": "+447700900101", "grade": "possible", "variables": {"name": "Dora", "city": ""}},
    ]
    assert [(one["line"], one["fate"], one["written"]) for one in answer["refused"]] == [
        (3, "invalid", "ask Bert"),
        (4, "duplicate", "00447700900100"),
        (5, "blank", ""),
    ]
    assert all(one["reason"] for one in answer["refused"])
    assert await world.count(Recipient) == 0


async def test_as_many_rows_are_given_as_were_asked_for_and_all_are_counted(world: World) -> None:
    assert len((await read(world, rows="1")).json()["rows"]) == 1
    counted = await world.call("POST", READ, content=LIST, headers={"Content-Type": "text/csv"}, params={"rows": 0})
    assert (counted.json()["rows"], counted.json()["valid"]) == ([], 2)


async def test_another_column_can_be_the_numbers(world: World) -> None:
    two = b"Home,Mobile\n+44 7700 900100,+44 7700 900101\n"
    assert (await read(world, two)).json()["phone_column"] == "Mobile"
    said = (await read(world, two, phone_column="home")).json()
    assert (said["phone_column"], said["rows"][0]["phone_number"]) == ("Home", "+447700900100")


async def test_plain_numbers_need_no_header(world: World) -> None:
    answer = (await read(world, b"+44 7700 900100\n+44 7700 900101\n")).json()
    assert (answer["has_header"], answer["valid"], answer["columns"]) == (False, 2, ["column 1"])


@pytest.mark.parametrize(
    ("content", "fields", "field", "said"),
    [
        (b"name,city\nAda,London\n", {}, "file", "no column is known to hold phone numbers"),
        (LIST, {"phone_column": "Fax"}, "file", "there is no column 'Fax'"),
        (LIST, {"rows": "many"}, "rows", "integer"),
        (LIST, {"size": "1"}, "size", ""),
    ],
)
async def test_what_cannot_be_read_is_told(
    world: World, content: bytes, fields: dict[str, str], field: str, said: str
) -> None:
    answer = await read(world, content, **fields)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert said in error["message"]


async def test_a_list_that_no_campaign_could_take_is_refused(make_world: MakeWorld) -> None:
    world = await make_world(limits={"recipients_per_campaign": 4})
    answer = await read(world)
    assert answer.status_code == 422
    assert "more than 4 rows" in answer.text

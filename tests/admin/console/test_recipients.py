"""The console's recipients: kept with fields of their own, imported after a look at each row, and exported."""

import re

import httpx
import pytest

from admin.console.recipients.reading import read_own, write_own
from campaigns.audience.models import Recipient
from tests.admin.console.library import ADA, BEN, make_group, make_recipient
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import World

PAGE, API = "/console/recipients", "/api/recipients"
LIST = f"Name,Phone,City\nAda,{ADA},Paris\nBen,{BEN},\nAgain,{BEN},\nNobody,ask <Cid>,\n".encode()


async def test_a_recipient_is_made_found_changed_and_removed(world: World, visitor: httpx.AsyncClient) -> None:
    group = await make_group(world)
    await log_in(visitor)
    headers = await proof(visitor)
    form = {"name": "<Ada>", "phone_number": "+44 7700 900100", "own": "city: Paris\nvisits: 3", "key": "one"}
    form |= {"groups": group, "shown_groups": "true"}
    for _ in range(2):
        made = await visitor.post(PAGE, data=form, headers=headers)
        assert made.status_code == 204, made.text
    one = made.headers["hx-redirect"]
    listed = (await visitor.get(PAGE, params={"search": "900100", "group_id": group})).text
    assert "&lt;Ada&gt;" in listed
    assert "VIP Customers" in listed
    assert "Nobody found" in plain((await visitor.get(PAGE, params={"search": "zoe"})).text)

    changed = form | {"name": "Ada", "own": 'city: London\nnote: "two\\nlines"', "groups": []}
    assert (await visitor.post(one, data=changed, headers=headers)).status_code == 204
    known = (await world.admin("GET", f"{API}/{one.rpartition('/')[2]}")).json()
    assert (known["name"], known["groups"]) == ("Ada", [])
    assert known["variables"] == {"city": "London", "note": "two\nlines"}
    assert (await visitor.delete(one, headers=headers)).headers["hx-redirect"] == PAGE
    assert await world.count(Recipient) == 0


async def test_a_value_that_nobody_touched_stays_what_it_was(world: World, visitor: httpx.AsyncClient) -> None:
    before = {"visits": 3, "vip": True, "score": 2.5, "code": "007", "nothing": None, "text": "3"}
    recipient = await make_recipient(world, variables=before)
    await log_in(visitor)
    page = (await visitor.get(f"{PAGE}/{recipient}")).text
    own = re.search(r'name="own"[^>]*>([^<]*)</textarea>', page)
    assert own
    form = {"name": "Ada", "phone_number": ADA, "own": f"{own[1]}\nnew: 4"}
    assert (await visitor.post(f"{PAGE}/{recipient}", data=form, headers=await proof(visitor))).status_code == 204
    assert (await world.admin("GET", f"{API}/{recipient}")).json()["variables"] == before | {"new": "4"}


@pytest.mark.parametrize("value", ["", " a ", '"quoted"', "two\nlines", "a: b", "\u200d"])
def test_every_text_comes_back_from_its_line(value: str) -> None:
    assert read_own(write_own({"field": value}), {}) == {"field": value}


async def test_what_is_wrong_with_a_recipient_is_said_beside_its_field(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await make_recipient(world)
    await log_in(visitor)
    headers = await proof(visitor)
    good = {"name": "Ben", "phone_number": BEN, "own": ""}
    for name, value in (
        ("phone_number", "ask"),
        ("phone_number", ADA),
        ("name", ""),
        ("own", "Paris"),
        ("own", "a:1\na:2"),
    ):
        refused = await visitor.post(PAGE, data=good | {name: value}, headers=headers)
        assert refused.status_code == 422, value
        assert f'id="error-{name}"' in refused.text, value
    assert await world.count(Recipient) == 1


async def test_a_list_is_looked_at_row_by_row_before_anything_is_stored(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    page = (await visitor.get(f"{PAGE}/import", params={"group_name": "New ones"})).text
    assert 'value="New ones"' in page
    file = {"file": ("list.csv", LIST, "text/csv")}
    form = {"group_name": "New ones", "on_duplicate": "skip", "key": "one"}
    assert (await visitor.post(f"{PAGE}/import/look", files=file, data=form)).status_code == 403
    looked = await visitor.post(f"{PAGE}/import/look", files=file, data=form, headers=headers)
    assert looked.status_code == 200, looked.text
    words = plain(looked.text)
    assert "New 2" in words
    assert "Twice in it 1" in words
    assert "ask &lt;Cid&gt;" in looked.text
    assert "Import 2 people" in words
    assert await world.count(Recipient) == 0

    for _ in range(2):
        done = await visitor.post(f"{PAGE}/import", files=file, data=form, headers=headers)
        assert done.status_code == 204, done.text
    assert await world.count(Recipient) == 2
    report = done.headers["hx-redirect"]
    assert "New 2" in plain((await visitor.get(report)).text)
    bad = (await visitor.get(f"{report}/rows", params={"fate": "invalid"})).text
    assert "ask &lt;Cid&gt;" in bad
    assert "Ben" not in bad
    exported = await visitor.get(f"{report}/export", params={"fate": "invalid"})
    assert exported.text.splitlines()[1].startswith("5,invalid,ask <Cid>")
    file_of_all = await visitor.get(f"{PAGE}/export", params={"search": "Ada"})
    assert file_of_all.text.splitlines()[1].startswith(f"Ada,{ADA[1:]},New ones")


async def test_a_file_that_is_no_list_and_a_column_that_is_not_there_are_told(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    for content, column, reason in ((b"", "", ""), (LIST, "Tel. 2", "Tel. 2")):
        file = {"file": ("list.csv", content, "text/csv")}
        refused = await visitor.post(f"{PAGE}/import/look", files=file, data={"phone_column": column}, headers=headers)
        assert refused.status_code == 422
        assert re.search(rf'id="error-file">[^<]*{reason}', refused.text), refused.text
    assert await world.count(Recipient) == 0


async def test_another_account_sees_none_of_them(world: World, visitor: httpx.AsyncClient) -> None:
    recipient = await make_recipient(world, name="Of local")
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert "Of local" not in (await visitor.get(PAGE)).text
    assert "Of local" not in (await visitor.get(f"{PAGE}/export")).text
    assert (await visitor.get(f"{PAGE}/{recipient}")).status_code == 404
    form = {"name": "Mine", "phone_number": ADA}
    assert (await visitor.post(f"{PAGE}/{recipient}", data=form, headers=headers)).status_code == 404
    assert (await visitor.delete(f"{PAGE}/{recipient}", headers=headers)).status_code == 404
    assert (await visitor.post(PAGE, data=form, headers=headers)).status_code == 204

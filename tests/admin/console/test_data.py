"""The console's room of data: every table, for operators, and nothing that opens anything."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from admin.console.tables import browsing
from admin.console.tables.catalog import Catalog
from campaigns.audience.models import NumberCheck
from gateway.auth.models import Account
from gateway.db import table_of
from gateway.schema import metadata
from tests.admin.console.tables import SECRET, fill
from tests.admin.console.visitors import log_in, log_in_user, plain
from tests.api.world import World

HOME = "/console/data"
MANY = [f"Account {index:02d}" for index in range(60)]


@pytest.fixture
async def world(any_world: World) -> World:
    """The room has SQL of its own: on each kind of database."""
    return any_world


async def store(world: World, model: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as they are."""
    async with world.db.write() as tx:
        await tx.execute(insert(table_of(model)), list(rows))


async def store_accounts(world: World, names: Sequence[str] = MANY) -> None:
    """Accounts of these names, made one second after another."""
    await store(
        world, Account, [{"id": f"a{i:02d}", "name": name, "created_at": 1e9 + i} for i, name in enumerate(names)]
    )


def names(page: httpx.Response) -> list[str]:
    """The names of the accounts on a page, in order."""
    assert page.status_code == 200, plain(page.text)
    return [one for one in re.findall(r'<td title="([^"]*)">', page.text) if one.startswith("Account")]


def following(page: httpx.Response) -> str | None:
    """The address of the page that follows."""
    found = re.search(r'<a class="btn" rel="next" href="([^"]+)"', page.text)
    return found[1].replace("&amp;", "&") if found else None


async def all_pages(visitor: httpx.AsyncClient, address: str) -> list[str]:
    """The names on a page and on all that follow."""
    found: list[str] = []
    at: str | None = address
    while at is not None:
        page = await visitor.get(at)
        found += names(page)
        at = following(page)
    return found


async def test_it_is_for_operators_only(world: World, visitor: httpx.AsyncClient) -> None:
    for path in ("", "/account", "/account/row?id=local", "/account/export.csv", "/account/filter?column=name"):
        nobody = await visitor.get(HOME + path)
        assert (nobody.status_code, nobody.headers["location"].partition("?")[0]) == (303, "/console/login")
    await log_in_user(world, visitor, "acme")
    for path in ("", "/account", "/account/row?id=local", "/account/export.csv", "/account/filter?column=name"):
        assert (await visitor.get(HOME + path)).status_code == 403
    assert HOME not in (await visitor.get("/console")).text


async def test_the_address_of_other_systems_leads_here(world: World, visitor: httpx.AsyncClient) -> None:
    for path in ("/admin", "/admin/"):
        answer = await visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, HOME)
    await log_in(visitor)
    assert f'href="{HOME}"' in (await visitor.get("/console")).text


async def test_every_table_opens_and_nowhere_is_a_secret(world: World, visitor: httpx.AsyncClient) -> None:
    async with world.db.write() as tx:
        secrets = await fill(tx, world.gateway.vault)
    await log_in(visitor)
    index = (await visitor.get(HOME)).text
    rows = 0
    for table in Catalog().tables.values():
        assert f'href="{HOME}/{table.name}"' in index
        everything = "&".join(f"col={name}" for name in table.columns)
        pages = [
            await visitor.get(f"{HOME}/{table.name}?{everything}"),
            await visitor.get(f"{HOME}/{table.name}/export.csv"),
        ]
        links = re.findall(rf'href="({HOME}/{table.name}/row\?[^"]+)"', pages[0].text)
        assert bool(links) == table.has_rows_of_their_own, table.name
        pages += [await visitor.get(link.replace("&amp;", "&")) for link in links]
        rows += len(links)
        for page in pages:
            assert page.status_code == 200, (table.name, plain(page.text))
            assert not [one for one in [SECRET, *secrets[table.name]] if one in page.text], table.name
            for name in table.hidden:
                assert f"col={name}&" not in page.text
                assert not re.search(rf"<(td|th)[^>]*>{name}<", page.text)
        for name in table.hidden:
            for wish in (f"f={name}.has.a", f"sort={name}", f"col={name}", f"column={name}&op=has&value=a"):
                assert (await visitor.get(f"{HOME}/{table.name}?{wish}")).status_code == 422
        assert "No row fits" in (await visitor.get(f"{HOME}/{table.name}?q={SECRET}")).text
    assert set(Catalog().tables) == set(metadata().tables)
    assert rows > 40


async def test_a_list_is_browsed_to_its_end(world: World, visitor: httpx.AsyncClient) -> None:
    await store_accounts(world)
    await log_in(visitor)
    assert [name for name in await all_pages(visitor, f"{HOME}/account?sort=id") if name in MANY] == MANY
    newest = await all_pages(visitor, f"{HOME}/account?sort=-created_at")
    assert [name for name in newest if name in MANY] == MANY[::-1]
    first = await visitor.get(f"{HOME}/account?sort=-name")
    assert names(first)[:2] == ["Account 59", "Account 58"]
    assert 'aria-sort="descending"' in first.text
    assert re.search(r"6\d rows", plain(first.text))


async def test_what_has_no_value_comes_last_whichever_way_it_is_sorted(
    world: World, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "PER_PAGE", 2)
    chats = ["Account c", None, "Account a", None, "Account b", None]
    checks = [
        {"phone": f"44770090000{i}", "exists": True, "chat_id": chat, "checked_at": 1e9} for i, chat in enumerate(chats)
    ]
    await store(world, NumberCheck, checks)
    await log_in(visitor)
    for sort, expected in (("chat_id", "abc"), ("-chat_id", "cba")):
        at: str | None = f"{HOME}/number_check?sort={sort}&col=chat_id"
        shown: list[str] = []
        while at is not None:
            page = await visitor.get(at)
            shown += re.findall(r'<td[^>]*>(?:Account (\w)|<span class="text-secondary">–</span>)</td>', page.text)
            at = following(page)
        assert shown == [*expected, "", "", ""]


async def test_a_list_is_searched_and_filtered(world: World, visitor: httpx.AsyncClient) -> None:
    await store_accounts(world, [*MANY, "Account 100%", "ACCOUNT_odd"])
    await log_in(visitor)
    for wish, expected in {
        "q=account 07": ["Account 07"],
        "q=0%": ["Account 100%"],
        "f=name.has.t 1&sort=name": ["Account 10", "Account 100%", *MANY[11:20]],
        "f=name.is.Account 07": ["Account 07"],
        "f=name.starts.account 0&f=name.not.Account 03&sort=name": MANY[:3] + MANY[4:10],
        "f=created_at.from.2001-09-09T01:46:45Z&f=created_at.to.2001-09-09 01:46:47": MANY[5:8],
        "f=name.empty.": [],
        "q=07&f=name.is.Account 08": [],
    }.items():
        page = await visitor.get(f"{HOME}/account?{wish.replace('%', '%25')}")
        assert names(page) == expected, wish
    added = await visitor.get(f"{HOME}/account?q=account&f=name.has.0&column=name&op=starts&value= a%26b")
    assert added.status_code == 303
    assert added.headers["location"] == f"{HOME}/account?f=name.has.0&f=name.starts.a%26b&q=account"


async def test_a_long_table_is_looked_through_in_parts(
    world: World, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "MOST_COUNTED", 10)
    monkeypatch.setattr(browsing, "WINDOW_ROWS", 7)
    monkeypatch.setattr(browsing, "LOOKING_SECONDS", -1.0)
    await store_accounts(world)
    await log_in(visitor)
    page = await visitor.get(f"{HOME}/account?q=account 41")
    assert "more rows to look through" in page.text
    assert await all_pages(visitor, f"{HOME}/account?q=account 41") == ["Account 41"]
    unsorted = await visitor.get(f"{HOME}/account?sort=name")
    assert "too many rows to sort by name" in unsorted.text
    assert "more than 10 rows" in plain(unsorted.text)


async def test_what_is_wanted_is_a_file_too(
    world: World, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "FILE_ROWS", 7)
    await store_accounts(world, [*MANY, "=Account 60"])
    await log_in(visitor)
    answer = await visitor.get(f"{HOME}/account/export.csv?q=account&f=name.not.Account 03&sort=-created_at&col=id")
    assert answer.headers["content-disposition"] == 'attachment; filename="account.csv"'
    head, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head == ["id", "name", "created_at"]
    assert [row[1] for row in rows] == ["'=Account 60", *(name for name in MANY[::-1] if name != "Account 03")]
    assert rows[-1][2] == "2001-09-09T01:46:40Z"


async def test_what_cannot_be_understood_is_said(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    many = "&".join(f"f=name.has.{index}" for index in range(11))
    for wish in (
        "sort=nothing",
        "col=nothing",
        "f=nothing.is.1",
        "f=name.later.1",
        "f=created_at.from.yesterday",
        "f=name.is.",
        "q=%00",
        "q=" + 201 * "x",
        many,
        "after=forged",
        "column=created_at&op=from&value=soon",
    ):
        page = await visitor.get(f"{HOME}/account?{wish}")
        assert page.status_code == 422, wish
        assert 'role="alert"' in page.text
        if "column" not in wish and "after" not in wish:
            assert (await visitor.get(f"{HOME}/account/export.csv?{wish}")).status_code == 422


async def test_a_place_in_one_order_is_none_in_another(world: World, visitor: httpx.AsyncClient) -> None:
    await store_accounts(world)
    await log_in(visitor)
    address = following(await visitor.get(f"{HOME}/account?sort=name"))
    assert address is not None
    assert (await visitor.get(address.replace("sort=name", "sort=-name"))).status_code == 422


async def test_what_is_not_there_is_not_found(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    for address in (
        "/nothing",
        "/nothing/export.csv",
        "/account/row",
        "/account/row?id=nothing",
        "/account/row?id=%00",
        "/message/row?id=nothing",
        "/session/row?sender_id=99999999999999999999",
        "/console_login/row?token_hash=x",
        "/account/filter?column=nothing",
    ):
        assert (await visitor.get(HOME + address)).status_code == 404, address


async def test_a_row_shows_all_of_itself_and_where_it_is_named(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair("+447700900001")
    campaign = await world.finished(await world.send(name="<b>Spring</b>", recipients=["+447700900105"]))
    await log_in(visitor)
    row = f"{HOME}/campaign/row?id={campaign['campaign_id']}"
    page = await visitor.get(row)
    assert "&lt;b&gt;Spring&lt;/b&gt;" in page.text
    assert "One text for many recipients" in plain(page.text)
    messages = f"{HOME}/message?f=campaign_id.is.{campaign['campaign_id']}"
    assert messages in page.text
    listed = await visitor.get(messages)
    assert "447700900105" in listed.text
    assert row in listed.text
    choices = await visitor.get(f"{HOME}/message/filter?column=state", headers={"hx-request": "true"})
    assert re.findall(r"<option[^>]*>([^<]+)</option>", choices.text)[:3] == ["is", "is not", "queued"]

"""The console's suppression list: who is on it, why, and how one comes and goes."""

import re

import httpx

from campaigns.audience.optouts.models import Suppression
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import World

ADA, BEN = "+447700900100", "+447700900101"
PAGE, API = "/console/opt-outs", "/api/suppressions"


async def test_an_empty_list_says_so_and_one_that_hides_all_says_something_else(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in(visitor)
    assert "Nobody has opted out" in plain((await visitor.get(PAGE)).text)
    assert "Nothing found" in plain((await visitor.get(PAGE, params={"search": "zoe"})).text)


async def test_a_number_is_added_once_found_exported_and_removed_with_a_reason(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    key = re.search(r'name="key" value="([0-9a-f]{32})"', (await visitor.get(PAGE)).text)
    assert key
    form = {"phone_number": "+44 7700 900100", "reason": "<asked>", "account": "local", "key": key[1]}
    assert (await visitor.post(PAGE, data=form)).status_code == 403
    for _ in range(2):
        added = await visitor.post(PAGE, data=form, headers=headers)
        assert (added.status_code, added.headers["hx-refresh"]) == (204, "true")
    listed = (await visitor.get(PAGE, params={"search": "ASKED", "source": "console"})).text
    assert "+44 7700 900100" in listed
    assert "&lt;asked&gt;" in listed
    assert "+44 7700 900100" not in (await visitor.get(PAGE, params={"source": "keyword"})).text
    file = await visitor.get(f"{PAGE}/export")
    assert file.headers["content-type"].startswith("text/csv")
    assert "attachment" in file.headers["content-disposition"]
    assert file.text.splitlines()[1].startswith(f"{ADA[1:]},<asked>,console")

    one = f"{PAGE}/{ADA}"
    assert "Not written to" in plain((await visitor.get(one, params={"account": "local"})).text)
    why = await visitor.delete(one, params={"account": "local", "reason": " "}, headers=headers)
    assert why.status_code == 422
    assert 'id="error-reason"' in why.text
    gone = await visitor.delete(one, params={"account": "local", "reason": "a mistake"}, headers=headers)
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, PAGE)
    history = plain((await visitor.get(one, params={"account": "local"})).text)
    assert "May be written to" in history
    assert history.index("a mistake") < history.index("&lt;asked&gt;")
    assert await world.count(Suppression) == 0


async def test_what_is_wrong_is_said_beside_its_field(world: World, visitor: httpx.AsyncClient) -> None:
    await world.admin("POST", API, {"phone_number": ADA}, status=201)
    await log_in(visitor)
    headers = await proof(visitor)
    for number, reason in (("ask Ada", "x"), (ADA, "x"), ("", "x")):
        refused = await visitor.post(PAGE, data={"phone_number": number, "reason": reason}, headers=headers)
        assert refused.status_code == 422, number
        assert 'id="error-phone_number"' in refused.text
        assert f'value="{number}"' in refused.text
    unknown = await visitor.post(PAGE, data={"phone_number": BEN, "account": "nobody"}, headers=headers)
    assert 'id="error-account"' in unknown.text
    assert await world.count(Suppression) == 1


async def test_a_list_is_imported_and_what_is_none_is_refused(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    file = {"file": ("old.csv", f"phone\n{ADA}\n{ADA}\nask <Ben>\n".encode(), "text/csv")}
    told = await visitor.post(f"{PAGE}/import", files=file, data={"reason": "old & list"}, headers=headers)
    assert "1 added of 3 rows" in plain(told.text)
    assert "ask &lt;Ben&gt;" in told.text
    assert (await world.admin("GET", f"{API}/{ADA}")).json()["reason"] == "old & list"
    refused = await visitor.post(f"{PAGE}/import", files={"file": ("a.csv", b"", "text/csv")}, headers=headers)
    assert refused.status_code == 422
    assert 'id="error-file"' in refused.text


async def test_each_account_sees_its_own_list_and_an_operator_all_of_them(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    await world.admin("POST", API, {"phone_number": BEN, "reason": "of local"}, status=201)
    await world.admin("POST", API, {"phone_number": "+447700900102", "all_accounts": True}, status=201)
    added = await visitor.post(PAGE, data={"phone_number": ADA, "reason": "of acme"}, headers=headers)
    assert added.status_code == 204
    text = plain((await visitor.get(PAGE)).text)
    assert "of acme" in text
    assert "of local" not in text
    assert "of local" not in (await visitor.get(f"{PAGE}/{BEN}")).text
    assert "of local" not in (await visitor.get(f"{PAGE}/export")).text
    for account in ("local", "*"):
        params = {"reason": "x", "account": account}
        assert (await visitor.delete(f"{PAGE}/{BEN}", params=params, headers=headers)).status_code == 403
    assert await world.count(Suppression) == 3
    everybodys = await visitor.get(f"{PAGE}/+447700900102")
    assert "hx-delete" not in everybodys.text

    visitor.cookies.clear()
    await log_in(visitor)
    page = (await visitor.get(PAGE)).text
    assert "of acme" in page
    assert f"{PAGE}/%2B447700900100?account=acme" in page
    headers = await proof(visitor)
    for number, account in ((ADA, "acme"), ("+447700900102", "*")):
        params = {"reason": "asked us", "account": account}
        assert (await visitor.delete(f"{PAGE}/{number}", params=params, headers=headers)).status_code == 204
    assert await world.count(Suppression) == 1

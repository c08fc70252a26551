"""Senders at the console: the list, how one is added and paired, and what can be done with each."""

import re

import httpx
import pytest

from sessions.models import SessionState
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, BERT, CARA, World, recipients, until

LIST = "/console/senders"
PAGE = f"{LIST}/{ALICE[1:]}"


async def test_the_list_shows_each_sender_and_what_it_has_sent_today(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "No senders yet" in plain((await visitor.get(LIST)).text)
    await world.pair(ALICE, BERT)
    await world.admin("PATCH", f"/api/admin/senders/{ALICE}", {"daily_cap": 50}, status=200)
    await world.finished(await world.send(recipients=recipients(3)))
    text = plain((await visitor.get(LIST)).text)
    assert "+44 7700 900001" in text
    assert "+44 7700 900002" in text
    assert "3 / 50" in text
    assert "Connected and fine." in text


async def test_the_list_is_filtered_by_state_by_name_and_number_and_by_server(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE, BERT)
    await world.post(f"/api/sessions/{BERT}/stop")
    await log_in(visitor)

    async def shown(**query: str) -> set[str]:
        page = await visitor.get(LIST, params=query)
        return set(re.findall(rf'href="{LIST}/(\d+)"', page.text))

    assert await shown() == {ALICE[1:], BERT[1:]}
    assert await shown(status="STOPPED") == {BERT[1:]}
    assert await shown(search="+44 7700 900 001") == {ALICE[1:]}
    assert await shown(search="%") == set()
    assert await shown(server="waha1", status="CONNECTED") == {ALICE[1:]}
    assert await shown(server="another") == set()
    assert await shown(status="nonsense") == {ALICE[1:], BERT[1:]}


async def test_a_part_is_answered_to_the_list_and_the_whole_page_to_a_browser_that_goes_back(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await log_in(visitor)
    part = {"HX-Request": "true", "HX-Target": "sender-list"}
    assert "<html" not in (await visitor.get(LIST, headers=part)).text
    assert "<html" in (await visitor.get(LIST, headers=part | {"HX-History-Restore-Request": "true"})).text
    assert "<html" not in (await visitor.get(f"{LIST}/rows")).text


async def test_a_sender_is_added_and_its_link_opens_the_pairing_page(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor, f"{LIST}/add")
    added = await visitor.post(LIST, data={"phone_number": " +44 7700 900001 "}, headers=headers)
    assert added.status_code == 200, added.text
    path, url = re.search(r'href="(/pair/[^"]+)"', added.text), re.search(r'value="(http[^"]+)"', added.text)
    assert path is not None
    assert url is not None
    assert url[1] == f"http://127.0.0.1:8000{path[1]}"
    page = await visitor.get(path[1].replace("&amp;", "&"))
    assert page.status_code == 200
    assert re.search(r'value="wgs_[^"]+"', added.text)
    again = await visitor.post(LIST, data={"phone_number": ALICE}, headers=headers)
    assert again.status_code == 422
    assert f'href="{PAGE}"' in again.text


@pytest.mark.parametrize("typed", ["", "ask Bert", "12"])
async def test_what_is_no_number_is_said_beside_the_field(world: World, visitor: httpx.AsyncClient, typed: str) -> None:
    await log_in(visitor)
    refused = await visitor.post(LIST, data={"phone_number": typed}, headers=await proof(visitor))
    assert refused.status_code == 422
    assert 'id="error-phone_number"' in refused.text
    assert 'aria-describedby="hint-phone_number error-phone_number"' in refused.text
    assert "autofocus" in refused.text


async def test_the_page_of_a_sender_shows_how_it_is_what_happened_and_its_campaigns(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE)
    await world.finished(await world.send(name="Spring <b>sale</b>"))
    await log_in(visitor)
    page = await visitor.get(PAGE)
    text = plain(page.text)
    assert "Connected and fine." in text
    assert "Spring &lt;b&gt;sale&lt;/b&gt;" in text
    assert "its pairing was opened" in text
    assert "Holds now: 0 seconds" in text
    assert (await visitor.get(f"{LIST}/{CARA[1:]}")).status_code == 404
    assert (await visitor.get(f"{LIST}/..%2f..")).status_code in (404, 422)


async def test_a_sender_is_stopped_started_restarted_and_logged_out(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    headers = await proof(visitor)

    async def act(verb: str) -> str:
        answer = await visitor.post(f"{PAGE}/session/{verb}", headers=headers)
        assert answer.status_code == 200, answer.text
        assert "note" in answer.headers["hx-trigger"]
        return plain(answer.text)

    assert "Stopped" in await act("stop")
    await act("start")
    await world.state(ALICE, SessionState.CONNECTED)
    await act("restart")
    await world.state(ALICE, SessionState.CONNECTED)
    assert "no phone is paired" in await act("logout")
    assert (await visitor.post(f"{PAGE}/session/explode", headers=headers)).status_code == 404


async def test_its_own_limits_are_set_and_taken_back(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    headers = await proof(visitor)
    said = {"MESSAGE_DELAY": "2,5", "daily_cap": "500", "timezone": "Europe/Paris"}
    saved = await visitor.post(f"{PAGE}/limits", data=said, headers=headers)
    assert saved.status_code == 200, saved.text
    held = (await world.admin("GET", f"/api/admin/senders/{ALICE}", status=200)).json()
    assert (held["MESSAGE_DELAY"], held["daily_cap"], held["timezone"]) == (2.5, 500, "Europe/Paris")
    empty = {"MESSAGE_DELAY": "", "daily_cap": "", "timezone": ""}
    assert "Holds now: any number" in plain((await visitor.post(f"{PAGE}/limits", data=empty, headers=headers)).text)
    held = (await world.admin("GET", f"/api/admin/senders/{ALICE}", status=200)).json()
    assert (held["MESSAGE_DELAY"], held["daily_cap"], held["timezone"]) == (None, None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("MESSAGE_DELAY", "-1"),
        ("MESSAGE_DELAY", "soon"),
        ("daily_cap", "1.5"),
        ("daily_cap", "nan"),
        ("timezone", "Mars"),
    ],
)
async def test_limits_that_cannot_be_are_said_beside_their_field(
    world: World, visitor: httpx.AsyncClient, field: str, value: str
) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    refused = await visitor.post(f"{PAGE}/limits", data={field: value}, headers=await proof(visitor))
    assert refused.status_code == 422, refused.text
    assert f'id="error-{field}"' in refused.text
    assert f'value="{value}"' in refused.text


async def test_a_test_message_is_sent_once_and_its_fate_is_told(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    headers = await proof(visitor)
    key = re.search(r'name="key" value="([^"]+)"', (await visitor.get(PAGE)).text)
    assert key is not None
    typed = {"to": CARA, "text": "Does it work?", "key": key[1]}
    for _ in range(2):
        sent = await visitor.post(f"{PAGE}/test", data=typed, headers=headers)
        assert sent.status_code == 200, sent.text
    address = re.search(r'hx-get="([^"]+/tests/[^"]+)"', sent.text)
    assert address is not None

    async def has_left() -> bool:
        text = plain((await visitor.get(address[1])).text)
        return "to +44 7700 900003" in text and any(word in text for word in ("Sent", "Delivered", "Read"))

    assert await until(has_left)
    assert len(await world.waha.ledger()) == 1
    refused = await visitor.post(f"{PAGE}/test", data=typed | {"to": "nobody", "key": "another"}, headers=headers)
    assert refused.status_code == 422
    assert 'id="error-to"' in refused.text


async def test_a_sender_is_removed_by_operators_only(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    gone = await visitor.delete(PAGE, headers=await proof(visitor))
    assert (gone.status_code, gone.headers["hx-redirect"]) == (204, LIST)
    assert (await world.get("/api/senders", sender_number=ALICE))["items"] == []


async def test_a_user_sees_and_changes_nothing_of_another_account(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in_user(world, visitor, "acme")
    headers = await proof(visitor)
    assert "No senders yet" in plain((await visitor.get(LIST)).text)
    for path in (PAGE, f"{PAGE}/state", f"{PAGE}/history"):
        assert (await visitor.get(path)).status_code == 404
    for path in ("session/stop", "session/logout", "pair-link"):
        assert (await visitor.post(f"{PAGE}/{path}", headers=headers)).status_code == 404
    for path in ("limits", "move"):
        assert (await visitor.post(f"{PAGE}/{path}", headers=headers)).status_code == 403
    assert (await visitor.delete(PAGE, headers=headers)).status_code == 403
    taken = await visitor.post(LIST, data={"phone_number": ALICE}, headers=headers)
    assert taken.status_code == 422
    assert "belongs to somebody else" in taken.text
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"


async def test_a_user_does_with_their_own_sender_what_its_owner_may(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in_user(world, visitor, "local")
    text = plain((await visitor.get(PAGE)).text)
    assert "Send a test message" in text
    assert "Its own limits" not in text
    assert "Remove this sender" not in text
    link = await visitor.post(f"{PAGE}/pair-link", headers=await proof(visitor))
    assert 'href="/pair/447700900001?' in link.text


async def test_nothing_changes_without_the_proof(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    for path in (LIST, f"{PAGE}/session/stop", f"{PAGE}/limits", f"{PAGE}/test", f"{PAGE}/move", f"{PAGE}/pair-link"):
        assert (await visitor.post(path, data={"to": CARA, "text": "hi", "phone_number": BERT})).status_code == 403
    assert (await visitor.delete(PAGE)).status_code == 403
    assert await world.waha.ledger() == []
    assert (await world.get(f"/api/sessions/{ALICE}"))["status"] == "CONNECTED"

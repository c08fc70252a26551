"""The inbox of the console: threads as they are, answers that leave once, read marks that only a change sets."""

import re
from typing import Any

import httpx
import pytest

from campaigns.sending.models import Message
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, BERT, World, until

ADA, BEN = "+447700900100", "+447700900101"
INBOX = "/console/inbox"


async def say(world: World, text: str, *, by: str = ADA, to: str = ALICE, **fields: Any) -> None:
    """Somebody writes to a number of ours."""
    await world.waha.tell("POST", f"/sessions/{to[1:]}/incoming", {"from": by[1:], "text": text, **fields})


async def listed(world: World, texts: int) -> list[dict[str, Any]]:
    """All conversations, as soon as so many messages are unread."""

    async def look() -> list[dict[str, Any]]:
        items = (await world.admin("GET", "/api/conversations")).json()["items"]
        return items if sum(one["unread"] for one in items) >= texts else []

    return await until(look)


@pytest.fixture
async def inbox(world: World, visitor: httpx.AsyncClient) -> str:
    """Alice is connected, Ada has written <b>hello</b> to her, and an operator is logged in: the thread's address."""
    await world.pair(ALICE)
    await say(world, "<b>hello</b>", author="Ada")
    (ada,) = await listed(world, 1)
    await log_in(visitor)
    return f"{INBOX}/{ada['id']}"


async def test_an_inbox_in_which_nobody_has_written_says_so(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "Nobody has written yet" in plain((await visitor.get(INBOX)).text)
    assert "Nothing found" in plain((await visitor.get(INBOX, params={"search": "zoe"})).text)
    assert 'innerHTML:.nav-count"></span>' in (await visitor.get(f"{INBOX}/unread")).text


async def test_looking_marks_nothing_as_read_and_a_change_does(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    page = (await visitor.get(inbox)).text
    assert "&lt;b&gt;hello&lt;/b&gt;" in page
    assert f'hx-post="{inbox}/read"' in page
    assert "1 unread" in plain((await visitor.get(f"{INBOX}/unread")).text)
    refused = await visitor.post(f"{inbox}/read")
    assert refused.status_code == 403
    read = await visitor.post(f"{inbox}/read", headers=await proof(visitor))
    assert (read.status_code, read.headers["hx-trigger"]) == (204, "inbox-read")
    assert f'hx-post="{inbox}/read"' not in (await visitor.get(inbox)).text
    assert "unread" not in plain((await visitor.get(f"{INBOX}/unread")).text)


async def test_an_answer_is_sent_once_however_often_the_button_is_clicked(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    headers = await proof(visitor)
    key = re.search(r'name="key" value="([0-9a-f]{32})"', (await visitor.get(inbox)).text)
    assert key
    form = {"key": key[1], "text": "It is on\r\nits way"}
    for _ in range(2):
        answer = await visitor.post(f"{inbox}/reply", data=form, headers=headers)
        assert (answer.status_code, answer.headers["hx-trigger"]) == (200, "thread-changed")
        assert key[1] not in answer.text
    assert await world.count(Message) == 1
    assert "It is on\nits way" in (await visitor.get(inbox)).text


async def test_an_answer_that_says_nothing_stays_in_its_form_with_the_reason(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    headers = await proof(visitor)
    refused = await visitor.post(f"{inbox}/reply", data={"key": "one", "text": " "}, headers=headers)
    assert refused.status_code == 422
    assert 'aria-describedby="error-text"' in refused.text
    assert await world.count(Message) == 0


async def test_what_is_new_is_sent_and_what_is_shown_already_is_not(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    first = await visitor.get(f"{inbox}/latest", params={"start": 0})
    seen = re.findall(r'name="seen" value="(\w+)"', first.text)[-1]
    again = await visitor.get(f"{inbox}/latest", params={"start": 0, "seen": seen})
    assert (again.status_code, again.content) == (204, b"")
    await say(world, "are you there?")
    await listed(world, 2)
    more = await visitor.get(f"{inbox}/latest", params={"start": 0, "seen": seen})
    assert plain(more.text).index("hello") < plain(more.text).index("are you there?")


async def test_a_long_thread_begins_with_its_newest_page_and_none_is_shown_twice_or_left_out(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    for n in range(30):
        await say(world, f"number {n};", seconds_ago=100 - n)
    await listed(world, 31)
    page = await visitor.get(inbox)
    start = re.search(rf"{inbox}/older\?start=(\d+)", page.text)
    assert start
    assert start[1] == "6"
    await say(world, "one more;")  # what comes now moves no boundary
    await listed(world, 32)
    latest = await visitor.get(f"{inbox}/latest", params={"start": start[1]})
    older = await visitor.get(f"{inbox}/older", params={"start": start[1]})
    told = re.findall(r"(?:number \d+|one more);|hello", older.text + latest.text)
    assert sorted(told) == sorted([*(f"number {n};" for n in range(30)), "hello", "one more;"])
    assert "/older?start=" not in older.text


async def test_the_list_is_searched_and_filtered_by_sender_and_by_what_is_unread(
    world: World, visitor: httpx.AsyncClient, inbox: str
) -> None:
    await world.pair(BERT)
    await say(world, "good morning", by=BEN, to=BERT, author="Ben")
    await listed(world, 2)
    await visitor.post(f"{inbox}/read", headers=await proof(visitor))
    for query, shown in (
        ({}, {"Ada", "Ben"}),
        ({"search": "MORNING"}, {"Ben"}),
        ({"sender": ALICE}, {"Ada"}),
        ({"unread": "true"}, {"Ben"}),
        ({"sender": ALICE, "unread": "true"}, set()),
    ):
        text = (await visitor.get(f"{INBOX}/list", params=query)).text
        assert {name for name in ("Ada", "Ben") if f">{name}<" in text} == shown, query


async def test_a_contact_is_opted_out_and_in_again(world: World, visitor: httpx.AsyncClient, inbox: str) -> None:
    headers = await proof(visitor)
    assert (await visitor.post(f"{inbox}/opt-out")).status_code == 403
    out = await visitor.post(f"{inbox}/opt-out", headers=headers)
    assert "Opted out" in plain(out.text)
    assert (await world.admin("GET", f"/api/suppressions/{ADA}")).json()["source"] == "console"
    assert "Opted out" in plain((await visitor.get(inbox)).text)
    back = await visitor.delete(f"{inbox}/opt-out", headers=headers)
    assert "Opt out" in plain(back.text)
    await world.admin("GET", f"/api/suppressions/{ADA}", status=404)


async def test_another_account_sees_nothing_of_it(world: World, visitor: httpx.AsyncClient, inbox: str) -> None:
    visitor.cookies.clear()
    await log_in_user(world, visitor, "acme")
    assert "Nobody has written yet" in plain((await visitor.get(INBOX)).text)
    headers = await proof(visitor)
    for answer in (
        await visitor.get(inbox),
        await visitor.get(f"{inbox}/latest", params={"start": 0}),
        await visitor.get(f"{inbox}/older", params={"start": 9}),
        await visitor.post(f"{inbox}/read", headers=headers),
        await visitor.post(f"{inbox}/opt-out", headers=headers),
    ):
        assert answer.status_code == 404
        assert "hello" not in answer.text
    refused = await visitor.post(f"{inbox}/reply", data={"key": "one", "text": "hi"}, headers=headers)
    assert refused.status_code == 404
    assert await world.count(Message) == 0


async def test_a_page_that_only_asks_by_itself_keeps_nobody_in(
    world: World, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_in(visitor)
    seen: list[bool] = []
    look = world.gateway.console.door.look

    async def noted(cookie: str | None, *, clicked: bool = False) -> Any:
        seen.append(clicked)
        return await look(cookie, clicked=clicked)

    monkeypatch.setattr(world.gateway.console.door, "look", noted)
    for path in (INBOX, f"{INBOX}/list", f"{INBOX}/unread"):
        assert (await visitor.get(path)).status_code == 200
    assert seen == [True, False, False]

"""A new campaign at the console: from a list as people have it to the page of what is sent."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from admin.console.campaigns.drafts import bubbles, insertable, places_of
from campaigns.sending.models import Campaign
from gateway.errors import ValidationFailed
from tests.admin.console.visitors import log_in, log_in_user, plain, proof
from tests.api.world import ALICE, BERT, World

NEW = "/console/campaigns/new"
LIST = "name,phone,city\nAda,+44 7700 900100,London\nBert,ask Bert,Paris\nCara,+44 7700 900101,\nAda,07700900100x,\n"


def form(page: httpx.Response, **fields: Any) -> dict[str, Any]:
    """What the form of the page sends when it is filled in so."""
    key = re.search(r'name="key" value="([^"]+)"', page.text)
    assert key
    usual = {"key": key[1], "contacts_text": LIST, "text": "Hello {{name}}", "senders": [ALICE], "when": "now"}
    return {**usual, "zone": "UTC", **fields}


async def test_the_form_offers_who_can_send(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    assert "No number is connected" in (await visitor.get(NEW)).text
    await world.pair(ALICE, BERT)
    page = await visitor.get(NEW)
    assert re.findall(r'name="senders" id="[^"]+" value="([^"]+)"', page.text) == [ALICE, BERT]
    assert '<option value="Europe/Berlin">' in page.text
    for field in re.findall(r'<(?:input|textarea|select)[^>]* id="([^"]+)"', page.text):
        assert f'for="{field}"' in page.text or field.startswith("senders"), f"{field} has no label"


async def test_from_a_list_to_the_campaigns_page(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE, BERT)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    read = await visitor.post(f"{NEW}/contacts", data={"contacts_text": LIST}, headers=headers)
    assert "2 people" in plain(read.text)
    assert "ask Bert" in read.text
    assert re.findall(r'data-insert="([^"]+)"', read.text) == ["{{name}}", "{{city}}"]
    samples = re.search(r'name="samples" value="([^"]*)"', read.text)
    assert samples
    said = {"text": "Hello {{name}} of {{city | nowhere}}", "samples": html.unescape(samples[1])}
    shown = plain((await visitor.post(f"{NEW}/bubble", data=said, headers=headers)).text)
    assert "Hello Ada of London" in shown
    assert "Hello Cara of nowhere" in shown
    filled = form(page, name="Hello all", text=said["text"], senders=[ALICE, BERT], quiet_from="", quiet_to="")
    forecast = plain((await visitor.post(f"{NEW}/forecast", data=filled, headers=headers)).text)
    assert "2 people get it, until" in forecast
    assert "Bad numbers 2" in forecast
    assert "Send to 2 people" in forecast
    assert await world.count(Campaign) == 0
    sent = await visitor.post(f"{NEW}/send", data=filled, headers=headers)
    assert sent.status_code == 204, sent.text
    again = await visitor.post(f"{NEW}/send", data=filled, headers=headers)  # a double click
    assert again.headers["hx-redirect"] == sent.headers["hx-redirect"]
    assert await world.count(Campaign) == 1
    campaign_id = sent.headers["hx-redirect"].removeprefix("/console/campaigns/")
    done = await world.finished({"campaign_id": campaign_id})
    assert [one["text"] for one in done["messages"]["items"]] == ["Hello Ada of London", "Hello Cara of nowhere"]
    assert "Hello all" in (await visitor.get(sent.headers["hx-redirect"])).text


async def test_a_file_is_read_with_the_column_that_is_chosen(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    file = {"contacts_file": ("people.csv", b"Home,Mobile\n+44 7700 900100,+44 7700 900101\n", "text/csv")}
    read = await visitor.post(f"{NEW}/contacts", data={"phone_column": "Home"}, files=file, headers=headers)
    assert "<option selected>Home</option>" in read.text
    filled = form(page, contacts_text="", phone_column="Home", text="Hello")
    sent = await visitor.post(f"{NEW}/send", data=filled, files=file, headers=headers)
    done = await world.finished({"campaign_id": sent.headers["hx-redirect"].rpartition("/")[2]})
    assert [one["recipient"] for one in done["messages"]["items"]] == ["+447700900100"]


async def test_ten_thousand_pasted_lines_are_foretold(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    lines = "phone,name\n" + "".join(f"+3363998{index:04d},{'x' * 100}\n" for index in range(10_000))
    assert len(lines) > 1024 * 1024
    answer = await visitor.post(
        f"{NEW}/forecast", data=form(page, contacts_text=lines), files={"none": b""}, headers=headers
    )
    assert "Send to 10,000 people" in plain(answer.text)


async def test_it_is_scheduled_on_the_clock_of_the_chosen_zone(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    filled = form(page, text="Hello", when="later", start=f"{day}T09:30", zone="Asia/Kolkata")
    sent = await visitor.post(f"{NEW}/send", data=filled, headers=headers)
    status = await world.get(f"/api/status/{sent.headers['hx-redirect'].rpartition('/')[2]}")
    assert (status["status"], status["start_at"]) == ("scheduled", f"{day}T04:00:00Z")


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ({"contacts_text": " "}, "contacts", "Paste some numbers"),
        ({"contacts_text": "name,city\nAda,London\n"}, "contacts", "No column is known to hold phone numbers"),
        ({"contacts_text": "phone\nask Ada\n"}, "contacts", "There is nobody to write to"),
        ({"text": "Hello {{name"}, "text", "without }} after it"),
        ({"text": ""}, "text", ""),
        ({"senders": []}, "senders", "Choose who sends"),
        ({"when": "later", "start": ""}, "start", "Say on which day"),
        ({"when": "later", "start": "2020-01-01T10:00"}, "start", ""),
        ({"zone": "Atlantis/Capital"}, "zone", "time zone"),
        ({"quiet_from": "21:00"}, "quiet", ""),
        ({"name": "x" * 256}, "name", ""),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_sent(
    world: World, visitor: httpx.AsyncClient, fields: dict[str, Any], place: str, said: str
) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    for step in ("forecast", "send"):
        answer = await visitor.post(f"{NEW}/{step}", data=form(page, **fields), headers=headers)
        assert answer.status_code == 422, answer.text
        told = dict(re.findall(r'id="error-(\w+)" hx-swap-oob="true">([^<]*)<', answer.text))
        assert told[place], answer.text
        assert said in html.unescape(told[place])
        assert [name for name, text in told.items() if text] == [place]
    assert await world.count(Campaign) == 0


async def test_who_lacks_a_value_is_told_and_left_out(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in(visitor)
    page, headers = await visitor.get(NEW), await proof(visitor)
    answer = await visitor.post(f"{NEW}/forecast", data=form(page, text="To {{city}}"), headers=headers)
    text = plain(answer.text)
    assert "1 person gets it" in text
    assert "Line 4, +44 7700 900101: no value for city" in text


async def test_a_picture_goes_with_it(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    headers = await proof(visitor)
    good = {"media_file": ("note.txt", b"Hello, all", "text/plain")}
    answer = await visitor.post(f"{NEW}/media", files=good, headers=headers)
    assert re.search(r'name="media_url" value="upload:[0-9a-f-]{36}"', answer.text)
    liar = {"media_file": ("cat.png", b"no picture at all", "image/png")}
    refused = await visitor.post(f"{NEW}/media", files=liar, headers=headers)
    assert refused.status_code == 422
    assert "field-error" in refused.text
    assert (await visitor.post(f"{NEW}/media", data={"media_file": ""}, headers=headers)).status_code == 422


async def test_a_user_sends_through_the_numbers_of_their_account_only(world: World, visitor: httpx.AsyncClient) -> None:
    await world.pair(ALICE)
    await log_in_user(world, visitor, "acme")
    page, headers = await visitor.get(NEW), await proof(visitor)
    assert ALICE not in page.text
    answer = await visitor.post(f"{NEW}/send", data=form(page), headers=headers | {"HX-Request": "true"})
    assert answer.status_code == 422
    assert await world.count(Campaign) == 0
    without = await visitor.post(f"{NEW}/send", data=form(page))
    assert without.status_code == 403


async def test_all_that_is_missing_is_told_at_once(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    answer = await visitor.post(f"{NEW}/forecast", data={"text": "Hello"}, headers=await proof(visitor))
    assert re.findall(r'id="error-(\w+)" hx-swap-oob="true">[^<]', answer.text) == ["contacts", "senders"]


def test_a_bubble_says_who_would_be_left_out() -> None:
    samples = (
        '[{"phone_number": "+447700900100", "variables": {"Name": "Ada"}}, {"phone_number": "1", "variables": {}}]'
    )
    ada, nobody = bubbles("Hi {{name}}", samples)
    assert (ada.text, ada.missing) == ("Hi Ada", ())
    assert (nobody.text, nobody.missing) == ("", ("name",))
    assert [one.text for one in bubbles("Hi {{name}}", "")] == ["Hi {{name}}"]
    for text, rows in (("Hi {{", "[]"), ("Hi", "no JSON")):
        with pytest.raises(ValidationFailed):
            bubbles(text, rows)


def test_only_columns_that_a_text_can_name_are_offered() -> None:
    assert insertable(["phone", "name", "a/b", "Straße 2"], "phone") == ["name", "Straße 2"]


def test_errors_stand_where_people_look() -> None:
    placed, others = places_of({"quiet_hours.from": "is wrong", "template": "is bad", "weekdays": "are none", "": "no"})
    assert placed == {"quiet": "Is wrong", "text": "Is bad"}
    assert others == ["weekdays: are none", "No"]

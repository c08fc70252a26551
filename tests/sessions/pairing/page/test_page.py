"""The pairing page over HTTP: links are made for those who may, opened by anybody, and looking starts nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from gateway.errors import ServiceUnavailable
from gateway.simulator.stored import PasskeyWish
from sessions.models import SessionState
from sessions.pairing.page.drawing import draw_path
from sessions.pairing.page.languages import NAMES, read_language
from sessions.pairing.page.links import Link
from sessions.pairing.page.views import Panel, View
from sessions.pairing.page.watching import Watching
from tests.sessions.pairing.conftest import MakePairingWorld
from tests.sessions.pairing.world import ALICE, BERT, OPERATOR, PATH, Body, PairingWorld

pytestmark = pytest.mark.virtual_time

PAGE = f"/pair/{ALICE}"


async def make_link(world: PairingWorld, headers: dict[str, str] | None = None, body: Any = None) -> Body:
    """A link of Alice's number."""
    made: Body = await world.api.call("POST", f"{PATH}/pair-link", body, status=201, headers=headers or OPERATOR)
    return made


async def proof_of(world: PairingWorld, hours: float | None = None) -> dict[str, str]:
    """What a link's address says behind the question mark."""
    return dict(parse_qsl(urlsplit((await make_link(world, body={"hours": hours}))["url"]).query))


async def visit(
    world: PairingWorld, path: str, proof: dict[str, str], method: str = "GET", **headers: str
) -> httpx.Response:
    """One request of a visitor, with nothing but their link."""
    return await world.api.client.request(method, path, params=proof, headers=headers)


async def ready(world: PairingWorld) -> dict[str, str]:
    """A session that nobody pairs at the moment, and the proof of a link to it."""
    await world.api.create(headers=OPERATOR)
    await world.api.call("POST", f"{PATH}/stop", status=200, headers=OPERATOR)
    await world.state(SessionState.STOPPED)
    return await proof_of(world)


async def begun(world: PairingWorld) -> tuple[dict[str, str], Body]:
    """A visitor whose page shows a code, and what it was told."""
    proof = await ready(world)

    async def code() -> Body | None:
        answer = await visit(world, f"{PAGE}/begin", proof, "POST")
        assert answer.status_code == 200, answer.text
        told: Body = answer.json()
        return told if told["panel"] == "code" else None

    return proof, await world.until(code, every=1.0)


# --- making links


async def test_a_link_names_number_end_and_signature_and_nothing_else(world: PairingWorld) -> None:
    await world.api.create()
    made = await make_link(world)
    address = urlsplit(made["url"])
    assert made["phone_number"] == f"+{ALICE}"
    assert (address.scheme, address.netloc, address.path) == ("http", "127.0.0.1:8000", PAGE)
    proof = dict(parse_qsl(address.query))
    assert set(proof) == {"expires", "signature"}
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", proof["signature"])
    assert made["expires_at"].endswith("Z")


async def test_a_link_holds_as_long_as_was_asked_for(world: PairingWorld) -> None:
    await world.api.create()
    proof = await proof_of(world, hours=0.01)
    assert (await visit(world, PAGE, proof)).status_code == 200
    await world.clock.sleep(34)
    assert (await visit(world, PAGE, proof)).status_code == 200
    await world.clock.sleep(2)
    assert (await visit(world, PAGE, proof)).status_code == 410


@pytest.mark.parametrize("hours", [0, -1, 721, "long"])
async def test_a_link_for_no_time_or_too_long_is_not_made(world: PairingWorld, hours: Any) -> None:
    await world.api.create()
    refused = await world.api.call("POST", f"{PATH}/pair-link", {"hours": hours}, status=422)
    assert [error["field"] for error in refused["errors"]] == ["hours"]


async def test_there_is_no_link_without_a_session(world: PairingWorld) -> None:
    refused = await world.api.call("POST", f"{PATH}/pair-link", status=404, headers=OPERATOR)
    assert "POST /api/sessions" in refused["detail"]


async def test_who_has_not_proven_the_number_makes_no_link_to_it(token_world: PairingWorld) -> None:
    stranger = {"X-Sender-Token": (await token_world.api.create())["sender_token"]}
    await token_world.api.call("POST", f"{PATH}/pair-link", status=401, headers=stranger)
    await token_world.api.call("POST", f"{PATH}/pair-link", status=401)


async def test_the_owner_makes_links_to_their_number_and_to_no_other(token_world: PairingWorld) -> None:
    owner = await token_world.pair()
    await make_link(token_world, owner)
    await token_world.api.call("POST", f"/api/sessions/+{BERT}/pair-link", status=404, headers=owner)


# --- looking


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_to_look_at_the_page_starts_nothing(world: PairingWorld, method: str) -> None:
    proof = await ready(world)
    before, asked = await world.row(), len(world.eye.calls)
    verbs = world.verbs()
    answer = await visit(world, PAGE, proof, method)
    assert answer.status_code == 200
    await world.clock.sleep(0.5)
    after = await world.row()
    assert (after.state, after.pairing_until, after.desired) == (before.state, before.pairing_until, before.desired)
    assert world.verbs() == verbs
    assert [call for call in world.eye.calls[asked:] if ALICE in call] == []


async def test_to_follow_the_pairing_starts_nothing(world: PairingWorld) -> None:
    await ready(world)
    verbs = world.verbs()
    async with world.api.gateway.streams.follow(ALICE) as stream:
        told = await anext(stream)
        await world.clock.sleep(5.0)
    assert told.body.status == "STOPPED"
    assert (await world.row()).pairing_until is None or (await world.row()).pairing_until < world.clock.now()
    assert world.verbs() == verbs


async def test_the_page_keeps_itself_to_itself(world: PairingWorld) -> None:
    proof = await ready(world)
    for answer in (await visit(world, PAGE, proof), await visit(world, PAGE, {})):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "nonce" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)
        assert proof["signature"] not in answer.text.replace("&amp;", "&").split("<nav")[0]


async def test_its_files_are_served_and_nothing_beside_them(world: PairingWorld) -> None:
    html = (await visit(world, PAGE, await ready(world))).text
    named = set(re.findall(r'(?:src|href)="(static/[^"]+)"', html))
    assert {"static/page.css", "static/page.js", "static/done.svg", "static/step-scan.svg"} <= named
    kinds = {"css": "text/css", "js": "javascript", "svg": "image/svg+xml"}
    for name in named:
        answer = await world.api.client.get(f"/pair/{name}")
        assert answer.status_code == 200, name
        assert kinds[name.rpartition(".")[2]] in answer.headers["content-type"]
    for name in ("%2e%2e%2frouter.py", "..%2fwords%2fen.json", "none.css"):
        assert (await world.api.client.get(f"/pair/static/{name}")).status_code == 404, name


@pytest.mark.parametrize("code", list(NAMES))
async def test_the_page_is_in_the_visitors_language(world: PairingWorld, code: str) -> None:
    proof = await ready(world)
    language = read_language(code)
    by_browser = await visit(world, PAGE, proof, **{"Accept-Language": f"{code}-XX, de;q=0.5"})
    by_link = await visit(world, PAGE, proof | {"lang": code}, **{"Accept-Language": "de"})
    for answer in (by_browser, by_link):
        assert f'<html lang="{code}" dir="{language.direction}">' in answer.text
        assert language.words["step_3"] in answer.text
        assert answer.headers["content-language"] == code
    for other in NAMES:
        assert f"lang={other}" in by_link.text


# --- links that do not hold


@pytest.mark.parametrize("part", ["", "/begin", "/code", "/events"])
async def test_without_the_right_signature_nothing_opens(world: PairingWorld, part: str) -> None:
    proof = await ready(world)
    verbs = world.verbs()
    method = "POST" if part in ("/begin", "/code") else "GET"
    for path, wrong in (
        (f"{PAGE}{part}", {}),
        (f"{PAGE}{part}", proof | {"signature": "A" * 43}),
        (f"{PAGE}{part}", proof | {"expires": str(int(proof["expires"]) + 1)}),
        (f"/pair/{BERT}{part}", proof),
        (f"/pair/nobody{part}", proof),
    ):
        answer = await visit(world, path, wrong, method)
        assert answer.status_code == 403, path
        assert answer.headers["cache-control"] == "no-store"
        assert ALICE not in answer.text
        assert BERT not in answer.text
    assert world.verbs() == verbs


@pytest.mark.parametrize("part", ["", "/begin", "/code", "/events"])
async def test_an_expired_link_opens_nothing_and_says_whom_to_ask(world: PairingWorld, part: str) -> None:
    await ready(world)
    proof = await proof_of(world, hours=0.001)
    await world.clock.sleep(4)
    method = "POST" if part in ("/begin", "/code") else "GET"
    answer = await visit(world, f"{PAGE}{part}", proof, method, **{"Accept-Language": "es"})
    assert answer.status_code == 410
    assert answer.headers["cache-control"] == "no-store"
    if not part:
        assert read_language("es").words["over_text"] in answer.text
    assert ALICE not in answer.text


async def test_a_link_to_a_number_without_session_and_a_wrong_one_look_the_same(world: PairingWorld) -> None:
    proof = await ready(world)
    known = await visit(world, PAGE, proof | {"signature": "A" * 43})
    unknown = await visit(world, "/pair/447700900099", proof | {"signature": "A" * 43})
    assert known.text == unknown.text


async def test_the_link_opens_nothing_of_the_api(token_world: PairingWorld) -> None:
    proof = await ready(token_world)
    for method, path in (("GET", PATH), ("GET", f"{PATH}/qr"), ("POST", f"{PATH}/logout"), ("POST", f"{PATH}/stop")):
        assert (await visit(token_world, path, proof, method)).status_code == 401


async def test_other_sites_may_link_to_the_page_and_may_not_begin_a_pairing(world: PairingWorld) -> None:
    proof = await ready(world)
    click = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await visit(world, PAGE, proof, **click)).status_code == 200
    assert (await visit(world, f"{PAGE}/begin", proof, "POST", **click)).status_code == 403
    foreign = {"Origin": "https://elsewhere.example.org"}
    assert (await visit(world, f"{PAGE}/begin", proof, "POST", **foreign)).status_code == 403


async def test_an_address_may_not_ask_for_ever(world: PairingWorld) -> None:
    proof = await ready(world)
    assert world.settings.limits.pair_page_per_minute == 120
    statuses = [(await visit(world, PAGE, proof)).status_code for _ in range(120)]
    assert set(statuses) == {200}
    refused = await visit(world, PAGE, proof, **{"Accept-Language": "fr"})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert read_language("fr").words["limited_title"] in refused.text
    assert (await visit(world, f"{PAGE}/begin", proof, "POST")).status_code == 429


# --- pairing


async def test_to_begin_starts_the_session_and_gives_the_code_as_a_drawing(world: PairingWorld) -> None:
    _, told = await begun(world)
    assert told["qr"] == draw_path(world.session.qr or "").model_dump()
    assert told["wrong_phone"] is False
    assert (told["seconds"], told["seconds_left"]) == (pytest.approx(60, abs=2), pytest.approx(60, abs=3))
    world.scan()
    await world.state(SessionState.CONNECTED)


async def test_a_wrong_phone_is_told_with_the_next_code(world: PairingWorld) -> None:
    proof, _ = await begun(world)
    async with follow(world, proof) as told:
        assert not (await until(told, Panel.CODE)).wrong_phone
        world.scan(BERT)
        assert (await until(told, Panel.STARTING)).wrong_phone
        view = await until(told, Panel.CODE)
    assert view.wrong_phone
    assert view.qr == draw_path(world.session.qr or "")


async def test_a_code_to_type_is_for_the_number_of_the_link(world: PairingWorld) -> None:
    proof, _ = await begun(world)
    answer = await visit(world, f"{PAGE}/code", proof, "POST")
    assert answer.status_code == 200
    told = answer.json()
    assert set(told) == {"code", "seconds_left"}
    assert 0 < told["seconds_left"] <= 160
    assert world.session.pairing is not None
    assert world.session.pairing.enter_code(ALICE, told["code"])


def follow(world: PairingWorld, proof: dict[str, str]) -> AbstractAsyncContextManager[AsyncIterator[View]]:
    """The views of a visitor who follows their link."""
    parts = world.api.gateway
    watching = Watching(parts.pair_links, parts.pairing, parts.streams, parts.other_ways, parts.clock)
    return watching.follow(Link(ALICE, proof["expires"], proof["signature"]))


async def until(told: AsyncIterator[View], panel: Panel) -> View:
    """The next view of this panel."""
    async for view in told:
        if view.panel is panel:
            return view
    raise AssertionError(f"the views ended without {panel}")


async def test_a_visitor_hears_codes_steps_and_success_in_order(world: PairingWorld) -> None:
    proof = await ready(world)
    world.waha.lifecycle.stored[ALICE].passkey = PasskeyWish(wanted=True, confirmation=True)
    await visit(world, f"{PAGE}/begin", proof, "POST")
    heard: list[View] = []
    async with follow(world, proof) as told:
        heard.append(await until(told, Panel.CODE))
        world.scan()
        async for view in told:
            heard.append(view)
            if view.panel is Panel.PASSKEY and world.session.pairing is not None:
                world.session.pairing.prove()
            if view.panel is Panel.CONFIRM and world.session.pairing is not None:
                assert world.session.pairing.confirmation is not None
                assert view.compare == world.session.pairing.confirmation["code"]
                world.session.pairing.confirm()
    panels = list(dict.fromkeys(view.panel for view in heard))
    assert panels == [Panel.CODE, Panel.PASSKEY, Panel.CONFIRM, Panel.CONNECTED]
    assert heard[-1].name


async def test_a_visitor_hears_that_the_server_is_away_and_that_it_is_back(world: PairingWorld) -> None:
    proof, _ = await begun(world)
    async with follow(world, proof) as told:
        assert (await anext(told)).panel is Panel.CODE
        world.eye.refusals["/auth/qr"] = httpx.Response(503, json={})
        await until(told, Panel.AWAY)
        del world.eye.refusals["/auth/qr"]
        await until(told, Panel.CODE)


async def test_a_link_that_ends_ends_what_follows_it(world: PairingWorld) -> None:
    await ready(world)
    proof = await proof_of(world, hours=0.01)
    await visit(world, f"{PAGE}/begin", proof, "POST")
    async with follow(world, proof) as told:
        await until(told, Panel.OVER)
        with pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_a_code_is_not_shown_where_its_scan_would_prove_a_strangers_claim(
    make_pairing_world: MakePairingWorld,
) -> None:
    world = await make_pairing_world(token_mode=True)
    proof, _ = await begun(world)
    async with follow(world, proof) as told:
        await until(told, Panel.CODE)
        await world.run_out()
        await until(told, Panel.ENDED)
        stranger = {"X-Sender-Token": (await world.api.create())["sender_token"]}
        await world.shows_code(stranger)
        await until(told, Panel.FAILED)
    answer = (await visit(world, f"{PAGE}/begin", proof, "POST")).json()
    assert answer["panel"] in ("starting", "code")
    await world.api.call("GET", f"{PATH}/qr", status=401, headers=stranger)


async def test_a_removed_session_ends_the_link(world: PairingWorld) -> None:
    proof, _ = await begun(world)
    await world.api.call("DELETE", PATH, status=200, headers=OPERATOR)
    assert (await visit(world, f"{PAGE}/begin", proof, "POST")).status_code == 410
    assert (await visit(world, f"{PAGE}/code", proof, "POST")).status_code == 410
    async with follow(world, proof) as told:
        assert (await anext(told)).panel is Panel.OVER


async def test_too_many_who_follow_are_refused_as_by_the_api(world: PairingWorld) -> None:
    await ready(world)
    streams = world.api.gateway.streams
    streams.close()
    with pytest.raises(ServiceUnavailable):
        async with streams.follow(ALICE):
            pass

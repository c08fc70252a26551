"""Who comes in at the console, for how long, and what their cookie is good for."""

import re

import httpx
import pytest
from sqlalchemy import update

from admin.console.models import ConsoleLink, ConsoleLogin
from gateway.db import table_of
from tests.admin.console.visitors import log_in, log_in_user, open_visitor, proof
from tests.api.world import ADMIN_TOKEN, ALICE, World

HTMX = {"HX-Request": "true"}


@pytest.fixture
async def world(any_world: World) -> World:
    """The door and the overview have SQL of their own: on each kind of database."""
    return any_world


async def test_whoever_has_not_logged_in_is_led_to_the_login_and_from_there_to_where_they_wanted(
    visitor: httpx.AsyncClient,
) -> None:
    first = await visitor.get("/console?theme=dark")
    assert (first.status_code, first.headers["location"]) == (303, "/console/login?next=/console%3Ftheme%3Ddark")
    login = await visitor.get(first.headers["location"])
    assert login.status_code == 200
    assert 'name="next" value="/console?theme=dark"' in login.text
    entered = await visitor.post("/console/login", data={"token": ADMIN_TOKEN, "next": "/console?theme=dark"})
    assert entered.headers["location"] == "/console?theme=dark"
    assert (await visitor.get("/console")).status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/api/sessions", "/console\\@evil", ""]
)
async def test_the_login_leads_nowhere_else(visitor: httpx.AsyncClient, elsewhere: str) -> None:
    entered = await visitor.post("/console/login", data={"token": ADMIN_TOKEN, "next": elsewhere})
    assert entered.headers["location"] == "/console"


async def test_the_cookie_is_for_the_console_alone_and_no_script_can_read_it(visitor: httpx.AsyncClient) -> None:
    entered = await visitor.post("/console/login", data={"token": ADMIN_TOKEN})
    cookie = entered.headers["set-cookie"]
    assert {"HttpOnly", "Path=/console", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert ADMIN_TOKEN not in cookie
    assert "Secure" not in cookie
    behind_tls = await visitor.post(
        "/console/login", data={"token": ADMIN_TOKEN}, headers={"X-Forwarded-Proto": "https"}
    )
    assert behind_tls.status_code == 403  # open mode refuses every proxy


async def test_the_cookie_opens_nothing_of_the_api(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    for path in ("/api/admin/metrics", "/api/admin/sessions"):
        assert (await visitor.get(path, headers={"Cookie": cookie})).status_code == 401


async def test_a_wrong_token_and_a_wrong_password_are_told_on_the_page(visitor: httpx.AsyncClient) -> None:
    wrong = await visitor.post("/console/login", data={"token": "something else"})
    assert wrong.status_code == 401
    assert "This is not the admin token." in wrong.text
    for email in ("nobody@example.com", "no address"):
        wrong = await visitor.post("/console/login", data={"email": email, "password": "something else"})
        assert wrong.status_code == 401
        assert "The email or the password is not right." in wrong.text
    assert not visitor.cookies


async def test_tokens_cannot_be_tried_without_end(world: World, visitor: httpx.AsyncClient) -> None:
    most = world.gateway.settings.limits.logins_per_minute_per_address
    statuses = [(await visitor.post("/console/login", data={"token": "guess"})).status_code for _ in range(most + 1)]
    assert statuses == [401] * most + [429]


async def test_a_change_needs_the_proof_that_only_our_pages_have(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    for headers in ({}, {"X-CSRF-Token": "0" * 64}):
        refused = await visitor.post("/console/logout", headers=headers | HTMX)
        assert refused.status_code == 403
        assert "too old to change anything" in refused.headers["hx-trigger"]
    assert (await visitor.get("/console")).status_code == 200
    async with open_visitor(world) as other:
        await log_in(other)
        assert (await visitor.post("/console/logout", headers=await proof(other))).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9000"}],
    ids=["another site", "a sandbox", "another port"],
)
async def test_pages_of_others_cannot_log_in_or_change_anything(
    visitor: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await visitor.post("/console/login", data={"token": ADMIN_TOKEN}, headers=headers)).status_code == 403
    await log_in(visitor)
    given = await proof(visitor)
    assert (await visitor.post("/console/logout", headers=given | headers)).status_code == 403
    assert (await visitor.get("/console", headers=headers)).status_code == 403


async def test_logging_out_ends_it_at_once_and_for_good(visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    kept = dict(visitor.cookies)
    out = await visitor.post("/console/logout", headers=await proof(visitor) | HTMX)
    assert (out.status_code, out.headers["hx-redirect"]) == (204, "/console/login")
    assert not visitor.cookies
    visitor.cookies.update(kept)
    assert (await visitor.get("/console")).status_code == 303


@pytest.mark.parametrize(("column", "seconds"), [("seen_at", 3601.0), ("created_at", 86_401.0)])
async def test_a_login_ends_without_a_click_for_an_hour_and_after_a_day(
    world: World, visitor: httpx.AsyncClient, column: str, seconds: float
) -> None:
    login = table_of(ConsoleLogin)
    await log_in(visitor)
    for earlier, status in ((seconds - 60, 200), (seconds, 303)):
        async with world.db.write() as tx:
            await tx.execute(update(login).values({column: world.gateway.clock.now() - earlier}))
        assert (await visitor.get("/console")).status_code == status
    part = await visitor.get("/console/overview/live", headers=HTMX)
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/console/login")


async def test_what_is_over_is_forgotten(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in(visitor)
    await world.admin("POST", "/api/admin/console-link", status=201)
    now = world.gateway.clock.now()
    await world.gateway.console.door.forget_old(now)
    assert (await world.count(ConsoleLogin), await world.count(ConsoleLink)) == (1, 1)
    await world.gateway.console.door.forget_old(now + 3700)
    assert (await world.count(ConsoleLogin), await world.count(ConsoleLink)) == (0, 0)


async def test_a_link_lets_in_once_and_looking_at_it_does_not_use_it_up(
    world: World, visitor: httpx.AsyncClient
) -> None:
    link = (await world.admin("POST", "/api/admin/console-link", status=201)).json()
    path = link["url"].removeprefix("http://127.0.0.1:8000")
    for _ in range(2):
        seen = await visitor.get(path)
        assert seen.status_code == 200
    code = re.search(r'name="code" value="([^"]+)"', seen.text)
    assert code
    entered = await visitor.post("/console/enter", data={"code": code[1]})
    assert (entered.status_code, entered.headers["location"]) == (303, "/console")
    assert (await visitor.get("/console")).status_code == 200
    async with open_visitor(world) as other:
        again = await other.post("/console/enter", data={"code": code[1]})
        assert again.status_code == 401
        assert "This link was used already, or is too old." in again.text


async def test_a_link_is_too_old_after_a_quarter_of_an_hour(world: World, visitor: httpx.AsyncClient) -> None:
    link = (await world.admin("POST", "/api/admin/console-link", status=201)).json()
    code = link["url"].partition("code=")[2]
    async with world.db.write() as tx:
        await tx.execute(update(table_of(ConsoleLink)).values(expires_at=world.gateway.clock.now()))
    assert (await visitor.post("/console/enter", data={"code": code})).status_code == 401


async def test_a_user_sees_what_their_account_owns_until_their_login_ends(
    world: World, visitor: httpx.AsyncClient
) -> None:
    await world.pair(ALICE)
    await world.send(name="Of the local account")
    await log_in_user(world, visitor, "acme")
    page = await visitor.get("/console")
    assert "Nothing is being sent" in page.text
    assert "No senders yet" in page.text
    assert "Servers" not in page.text
    user = (await world.gateway.identity.users.page("acme", 0, 1))[0][0]
    await world.gateway.identity.users.delete(user.id)
    assert (await visitor.get("/console")).status_code == 303


async def test_a_user_who_logs_out_here_has_ended_their_login(world: World, visitor: httpx.AsyncClient) -> None:
    await log_in_user(world, visitor, "acme")
    await visitor.post("/console/logout", headers=await proof(visitor))
    async with world.db.read() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM login")).scalar_one() == 0

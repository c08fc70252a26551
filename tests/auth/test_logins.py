"""Logging in, staying logged in, and what ends it."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.auth.emails import fold
from gateway.auth.logins import LoginLimits, Tokens
from gateway.auth.models import Login, RefreshToken
from gateway.auth.users import UserChange
from gateway.db import table_of
from gateway.errors import DuplicateResource, NotFound, RateLimited, Unauthorized
from gateway.limits.meter import site_of
from tests.auth.conftest import ADDRESS, ADMIN_TOKEN, EMAIL, PASSWORD, Desk, make_desk

pytestmark = pytest.mark.virtual_time

DAY = 86_400.0


async def count(desk: Desk, model: type[Login] | type[RefreshToken]) -> int:
    """How many rows a table has."""
    async with desk.db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table_of(model)))).scalar_one())


async def is_over(desk: Desk, tokens: Tokens) -> bool:
    """Whether neither token of a pair is of any use."""
    with pytest.raises(Unauthorized):
        await desk.logins.identify(tokens.access_token)
    with pytest.raises(Unauthorized):
        await desk.logins.refresh(tokens.refresh_token)
    return True


async def test_who_logs_in_acts_for_their_account(desk: Desk) -> None:
    await desk.user(account="acme")
    caller = await desk.caller(await desk.log_in())
    assert (caller.user, caller.account_id, caller.is_admin, caller.number) == (EMAIL, "acme", False, None)
    assert not caller.is_open
    assert caller.account_scope == caller.whole_account == "acme"


@pytest.mark.parametrize("email", ["nobody@example.com", "%", "user@example.co_", "user@example.com%", "' OR 1=1 --"])
async def test_an_email_that_is_not_quite_a_users_is_nobodys(desk: Desk, email: str) -> None:
    await desk.user()
    with pytest.raises(Unauthorized) as unknown:
        await desk.log_in(email)
    with pytest.raises(Unauthorized) as wrong:
        await desk.log_in(password="another password")
    assert unknown.value.detail == wrong.value.detail


async def test_the_same_work_is_done_for_nobody_as_for_a_wrong_password(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await desk.user()
    done: list[str] = []
    verify = desk.passwords._verify

    def note(stored: str, password: str) -> bool:
        done.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(desk.passwords, "_verify", note)
    for email in (EMAIL, "nobody@example.com"):
        with pytest.raises(Unauthorized):
            await desk.log_in(email, "another password")
    known, unknown = done
    assert known == user.password_hash
    cost = [stored.rsplit("$", 2)[0] for stored in done]
    assert cost[0] == cost[1]
    assert len(known) == len(unknown)


async def test_a_password_is_the_same_however_its_letters_are_composed(desk: Desk) -> None:
    await desk.users.create(EMAIL, "cafe\u0301 au lait", "local")
    await desk.log_in(password="caf\u00e9 au lait")
    with pytest.raises(Unauthorized):
        await desk.log_in(password="cafe au lait")
    with pytest.raises(Unauthorized):
        await desk.log_in(password="caf\u00e9 au lait ")


async def test_a_disabled_user_is_told_the_same_as_anybody(desk: Desk) -> None:
    user = await desk.user()
    await desk.users.change(user.id, UserChange(disabled=True))
    with pytest.raises(Unauthorized, match="email or the password"):
        await desk.log_in()
    await desk.users.change(user.id, UserChange(disabled=False))
    await desk.log_in()


async def test_an_email_has_one_user(desk: Desk) -> None:
    await desk.user()
    with pytest.raises(DuplicateResource):
        await desk.user(account="acme")
    made = await asyncio.gather(*(desk.user("new@example.com") for _ in range(3)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in made)[:2] == ["DuplicateResource", "DuplicateResource"]
    rows, total = await desk.users.page(None, 0, 10)
    assert ([row.email for row in rows], total) == (["new@example.com", EMAIL], 2)


# --- access tokens


async def test_an_access_token_is_good_for_its_hour(desk: Desk) -> None:
    await desk.user()
    tokens = await desk.log_in()
    assert tokens.expires_in == 3600
    await desk.pass_time(3598)
    await desk.logins.identify(tokens.access_token)
    await desk.pass_time(3)
    with pytest.raises(Unauthorized, match="expired"):
        await desk.logins.identify(tokens.access_token)
    await desk.caller(await desk.logins.refresh(tokens.refresh_token))


@pytest.mark.parametrize("ending", ["disabled", "deleted", "new password", "logout"])
async def test_tokens_stop_working_at_once(desk: Desk, ending: str) -> None:
    user = await desk.user()
    other = await desk.user("other@example.com")
    tokens, others = await desk.log_in(), await desk.log_in(other.email)
    if ending == "disabled":
        await desk.users.change(user.id, UserChange(disabled=True))
    elif ending == "deleted":
        await desk.users.delete(user.id)
        with pytest.raises(NotFound):
            await desk.users.get(user.id)
    elif ending == "new password":
        await desk.users.change(user.id, UserChange(password="another password"))
        await desk.log_in(password="another password")
    else:
        await desk.logins.log_out(tokens.refresh_token)
        await desk.logins.log_out(tokens.refresh_token)
    assert await is_over(desk, tokens)
    assert (await desk.caller(others)).user == other.email


async def test_a_login_that_was_ended_by_disabling_does_not_come_back(desk: Desk) -> None:
    user = await desk.user()
    tokens = await desk.log_in()
    for disabled in (True, False):
        await desk.users.change(user.id, UserChange(disabled=disabled))
    assert await is_over(desk, tokens)


async def test_a_login_with_the_old_password_does_not_outlive_its_change(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await desk.user()
    matches = desk.passwords.matches

    async def changed_meanwhile(stored: str | None, password: str) -> bool:
        right = await matches(stored, password)
        await desk.users.change(user.id, UserChange(password="another password"))
        return right

    monkeypatch.setattr(desk.passwords, "matches", changed_meanwhile)
    with pytest.raises(Unauthorized):
        await desk.log_in()
    assert await count(desk, Login) == 0


# --- refresh tokens


async def test_a_refresh_token_gives_the_next_pair_once(desk: Desk) -> None:
    await desk.user()
    first = await desk.log_in()
    second = await desk.logins.refresh(first.refresh_token)
    third = await desk.logins.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert len({first.access_token, second.access_token, third.access_token}) == 3
    for tokens in (first, second, third):
        await desk.caller(tokens)


async def test_a_used_refresh_token_ends_its_family_and_no_other(desk: Desk) -> None:
    await desk.user()
    first, elsewhere = await desk.log_in(), await desk.log_in()
    newest = await desk.logins.refresh((await desk.logins.refresh(first.refresh_token)).refresh_token)
    with pytest.raises(Unauthorized):
        await desk.logins.refresh(first.refresh_token)
    assert await is_over(desk, newest)
    await desk.caller(await desk.logins.refresh(elsewhere.refresh_token))


async def test_of_many_refreshes_at_the_same_moment_one_wins_and_its_family_ends(desk: Desk) -> None:
    await desk.user()
    for _ in range(5):
        tokens = await desk.log_in()
        got = await asyncio.gather(
            *(desk.logins.refresh(tokens.refresh_token) for _ in range(4)), return_exceptions=True
        )
        won = [one for one in got if isinstance(one, Tokens)]
        lost = [one for one in got if not isinstance(one, Tokens)]
        assert (len(won), [type(one) for one in lost]) == (1, [Unauthorized] * 3)
        assert await is_over(desk, won[0])
    assert await count(desk, Login) == await count(desk, RefreshToken) == 0


async def test_a_theft_that_is_found_while_the_thief_refreshes_leaves_nothing(desk: Desk) -> None:
    await desk.user()
    for _ in range(5):
        first = await desk.log_in()
        second = await desk.logins.refresh(first.refresh_token)
        got = await asyncio.gather(
            desk.logins.refresh(second.refresh_token), desk.logins.refresh(first.refresh_token), return_exceptions=True
        )
        assert isinstance(got[1], Unauthorized)
        if isinstance(got[0], Tokens):
            assert await is_over(desk, got[0])
        else:
            assert isinstance(got[0], Unauthorized)
    assert await count(desk, RefreshToken) == 0


@pytest.mark.parametrize("token", ["", "wgr_", "wgr_unknown", "%", "x" * 200])
async def test_what_is_no_refresh_token_gives_nothing(desk: Desk, token: str) -> None:
    await desk.user()
    tokens = await desk.log_in()
    with pytest.raises(Unauthorized):
        await desk.logins.refresh(token)
    with pytest.raises(Unauthorized):
        await desk.logins.refresh(tokens.access_token)
    await desk.logins.log_out(token)
    await desk.logins.refresh(tokens.refresh_token)


async def test_a_login_lasts_as_long_as_it_is_used(desk: Desk) -> None:
    await desk.user()
    tokens = await desk.log_in()
    for _ in range(3):
        await desk.pass_time(29 * DAY)
        tokens = await desk.logins.refresh(tokens.refresh_token)
    await desk.pass_time(30 * DAY + 1)
    assert await is_over(desk, tokens)


async def test_what_is_of_no_use_any_more_is_removed(desk: Desk) -> None:
    await desk.user()
    await desk.log_in()
    tokens = await desk.log_in()
    for _ in range(4):
        await desk.pass_time(20 * DAY)
        tokens = await desk.logins.refresh(tokens.refresh_token)
    await desk.logins.forget_old(desk.db.clock.now())
    assert (await count(desk, Login), await count(desk, RefreshToken)) == (1, 3)  # used 20 days ago, and now; unused
    await desk.logins.refresh(tokens.refresh_token)


async def test_secrets_are_stored_as_hashes_only(desk: Desk) -> None:
    user = await desk.user()
    tokens = await desk.log_in()
    async with desk.db.read() as connection:
        stored = (await connection.execute(select(table_of(RefreshToken)))).all()
    for secret in (tokens.refresh_token, tokens.access_token):
        assert secret not in str(stored)
    assert user.password_hash.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert PASSWORD not in user.password_hash


# --- how often it may be tried


async def test_a_thousand_wrong_logins_cost_ten_hashes(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = make_desk(desk.db, tmp_path, limits=LoginLimits(per_email=10, per_address=0))
    await limited.user()
    hashed = 0

    async def never(stored: str | None, password: str) -> bool:
        nonlocal hashed
        hashed += 1
        return False

    monkeypatch.setattr(limited.passwords, "matches", never)
    got = await asyncio.gather(
        *(limited.logins.log_in(EMAIL, f"guess {n}", f"192.0.2.{n % 200}") for n in range(1000)), return_exceptions=True
    )
    assert hashed == 10
    refused = [one for one in got if isinstance(one, RateLimited)]
    assert len(refused) == 990
    assert all(1 <= one.retry_after <= 61 for one in refused)


async def test_one_address_may_not_try_many_emails_and_another_one_still_may(desk: Desk, tmp_path: Path) -> None:
    limited = make_desk(desk.db, tmp_path, limits=LoginLimits(per_email=0, per_address=2))
    await limited.user()
    for email in ("a@example.com", "b@example.com"):
        with pytest.raises(Unauthorized):
            await limited.log_in(email)
    with pytest.raises(RateLimited):
        await limited.log_in()
    await limited.logins.log_in(EMAIL, PASSWORD, "192.0.2.99")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (ADDRESS, ADDRESS),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", ADDRESS),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_address_stands_for_its_network(address: str, network: str) -> None:
    assert site_of(address) == network


# --- several credentials


async def test_of_several_credentials_the_operators_counts_then_the_senders(desk: Desk) -> None:
    await desk.user()
    tokens = await desk.log_in()
    assert (await desk.access.caller(ADMIN_TOKEN, None, tokens.access_token)).is_admin
    assert (await desk.access.caller(ADMIN_TOKEN, None, "wrong")).is_admin
    for admin, sender in (("wrong", None), (None, "wgs_wrong")):
        with pytest.raises(Unauthorized):
            await desk.access.caller(admin, sender, tokens.access_token)


# --- emails


@pytest.mark.parametrize(
    "text", ["user@example.com", " User@Example.COM\n", "\uff55ser@example.com", "USER@EXAMPLE.com\u2003"]
)
def test_an_email_is_the_same_however_it_is_written(text: str) -> None:
    assert fold(text) == EMAIL


@pytest.mark.parametrize(
    "text", ["", "user", "@", "user@", "@example.com", "a b@example.com", "a@b@c", "a\x00@example.com", "a\u202e@b.c"]
)
def test_what_is_no_email_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not an email address$"):
        fold(text)


def test_an_email_is_not_longer_than_a_mail_server_takes() -> None:
    assert len(fold("a" * 242 + "@example.com")) == 254
    with pytest.raises(ValueError, match="254"):
        fold("\u00df" * 140 + "@example.com")

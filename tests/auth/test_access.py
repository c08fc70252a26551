"""Who is calling, what they may see, and the tokens that prove it."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.auth import tokens
from gateway.auth.access import Access, Caller, PhoneReader, Scope
from gateway.auth.models import LOCAL_ACCOUNT
from gateway.db import Database
from gateway.errors import Forbidden, InvalidNumber, NotFound, RateLimited, Unauthorized, ValidationFailed
from gateway.schema import prepare
from gateway.settings import PhoneSettings
from tests.auth.conftest import ADMIN_TOKEN, make_desk

ALICE, BERT = "447700900001", "447700900002"
OPEN = Caller(account_id=LOCAL_ACCOUNT)
OPERATOR = Caller(account_id=LOCAL_ACCOUNT, is_admin=True)
SENDER = Caller(account_id=LOCAL_ACCOUNT, number=ALICE)
USER = Caller(account_id="acme", user="user@example.com")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A fresh database of each kind."""
    db = Database(database_url)
    await prepare(db)
    yield db
    await db.close()


async def issue(db: Database, number: str = ALICE) -> str:
    """A token whose pairing is open."""
    async with db.write() as tx:
        return await tokens.issue(tx, number, LOCAL_ACCOUNT, 1.0)


async def activate(db: Database, number: str = ALICE) -> None:
    """The pairing has succeeded."""
    async with db.write() as tx:
        await tokens.activate(tx, number)


async def owner(db: Database, token: str) -> str | None:
    """Whose valid token it is."""
    async with db.read() as connection:
        found = await tokens.find(connection, token)
    return str(found.number) if found and found.valid else None


def make_access(db: Database, *, open_mode: bool) -> Access:
    """The decision of one mode."""
    with tempfile.TemporaryDirectory() as folder:
        return make_desk(db, Path(folder), open_mode=open_mode).access


def request_from(address: str) -> Request:
    """A request of a client at `address`."""
    return Request({"type": "http", "client": (address, 4242), "headers": []})


# --- tokens


async def test_a_token_is_valid_from_the_moment_its_pairing_succeeds(db: Database) -> None:
    token = await issue(db)
    assert await owner(db, token) is None
    await activate(db)
    assert await owner(db, token) == ALICE
    assert await owner(db, f"{token}x") is None


async def test_an_open_pairing_leaves_the_earlier_token_valid_until_it_has_succeeded(db: Database) -> None:
    old = await issue(db)
    await activate(db)
    new = await issue(db)
    assert await owner(db, old) == ALICE
    assert await owner(db, new) is None
    await activate(db)
    assert await owner(db, old) is None
    assert await owner(db, new) == ALICE


async def test_a_reconnection_without_a_pairing_ends_no_token(db: Database) -> None:
    token = await issue(db)
    await activate(db)
    await activate(db)
    assert await owner(db, token) == ALICE


async def test_of_two_open_pairings_only_the_last_counts(db: Database) -> None:
    first, second = await issue(db), await issue(db)
    await activate(db)
    assert [await owner(db, token) for token in (first, second)] == [None, ALICE]


async def test_one_numbers_pairing_touches_no_other_numbers_tokens(db: Database) -> None:
    mine, theirs = await issue(db, ALICE), await issue(db, BERT)
    await activate(db, ALICE)
    assert [await owner(db, token) for token in (mine, theirs)] == [ALICE, None]
    await activate(db, BERT)
    async with db.write() as tx:
        await tokens.revoke(tx, ALICE)
    assert [await owner(db, token) for token in (mine, theirs)] == [None, BERT]


# --- callers


async def test_in_open_mode_a_caller_without_a_credential_is_anybody(db: Database) -> None:
    assert await make_access(db, open_mode=True).caller() == OPEN


async def test_in_token_mode_a_caller_without_a_credential_is_refused(db: Database) -> None:
    with pytest.raises(Unauthorized, match="X-Sender-Token"):
        await make_access(db, open_mode=False).caller()


@pytest.mark.parametrize("open_mode", [True, False])
async def test_a_credential_counts_in_both_modes_and_a_wrong_one_is_no_way_to_be_anybody(
    db: Database, open_mode: bool
) -> None:
    access = make_access(db, open_mode=open_mode)
    token = await issue(db)
    with pytest.raises(Unauthorized):
        await access.caller(None, token)
    await activate(db)
    assert await access.caller(None, token) == SENDER
    assert await access.caller(ADMIN_TOKEN, None) == await access.admin(ADMIN_TOKEN) == OPERATOR
    assert await access.caller(ADMIN_TOKEN, token) == OPERATOR
    for wrong in ("", "wrong", ADMIN_TOKEN[:-1], f"{ADMIN_TOKEN} ", "\u00fc" * 8):
        with pytest.raises(Unauthorized):
            await access.caller(wrong, token)
        with pytest.raises(Unauthorized):
            await access.admin(wrong)
    with pytest.raises(Unauthorized):
        await access.admin(None)


def test_anybody_sees_the_number_they_name_and_must_name_one() -> None:
    assert OPEN.scope(ALICE) == Scope(ALICE)
    with pytest.raises(ValidationFailed) as refused:
        OPEN.scope(None)
    assert [error.field for error in refused.value.errors] == ["sender_number"]


def test_a_sender_sees_itself_and_nobody_else() -> None:
    assert SENDER.scope(None) == SENDER.scope(ALICE) == Scope(ALICE)
    with pytest.raises(NotFound):
        SENDER.scope(BERT)
    assert (SENDER.may_use(ALICE), SENDER.may_use(BERT)) == (True, False)


def test_the_operator_sees_everybody_or_whom_they_name() -> None:
    assert OPERATOR.scope(None) == Scope()
    assert OPERATOR.scope(BERT) == Scope(BERT)


def test_a_user_sees_their_account_and_no_number_by_its_name_alone() -> None:
    assert USER.scope(None) == Scope(account_id="acme")
    assert USER.scope(BERT) == Scope(BERT, "acme")
    assert not USER.may_use(BERT)
    assert not USER.is_open
    assert [one.whole_account for one in (USER, OPERATOR, SENDER, OPEN)] == ["acme", None, None, None]


# --- numbers


def test_a_number_is_read_by_the_settings_before_it_is_compared() -> None:
    french = PhoneReader(PhoneSettings(default_region="FR"))
    assert french.digits("0639 98 00 00", "sender_number") == "33639980000"
    assert PhoneReader(PhoneSettings()).optional_digits(None) is None


def test_what_is_no_number_is_refused_with_its_field() -> None:
    with pytest.raises(InvalidNumber) as refused:
        PhoneReader(PhoneSettings()).digits("letters", "sender_numbers.2")
    assert [(error.field, error.code) for error in refused.value.errors] == [("sender_numbers.2", "invalid_format")]


# --- opening a pairing


async def test_to_open_a_pairing_nobody_needs_a_credential_but_it_is_limited_by_address(db: Database) -> None:
    access = make_access(db, open_mode=False)
    for _ in range(2):
        assert (await access.anybody(request_from("192.0.2.1"), None, None)).is_anonymous
    with pytest.raises(RateLimited) as refused:
        await access.anybody(request_from("192.0.2.1"), None, None)
    assert 1 <= refused.value.retry_after <= 60
    assert (await access.anybody(request_from("192.0.2.2"), None, None)).is_anonymous
    assert await access.anybody(request_from("192.0.2.1"), ADMIN_TOKEN, None) == OPERATOR


async def test_before_the_scan_a_token_shows_its_session_and_nothing_else(db: Database) -> None:
    access = make_access(db, open_mode=False)
    token = await issue(db)
    caller = await access.pairing(None, token)
    assert caller == replace(SENDER, is_pending=True)
    assert not caller.may_log_out
    with pytest.raises(Unauthorized):
        await access.caller(None, token)
    with pytest.raises(Unauthorized):
        await access.pairing(None, f"{token}x")
    with pytest.raises(Unauthorized):
        await access.pairing(None, None)


async def test_what_an_account_owns_is_not_opened_by_the_token_of_a_sender(db: Database) -> None:
    token = await issue(db)
    await activate(db)
    access = make_access(db, open_mode=True)
    with pytest.raises(Forbidden):
        await access.account(x_sender_token=token)
    assert (await access.account()).account_scope == LOCAL_ACCOUNT
    assert (await access.account(x_admin_token=ADMIN_TOKEN)).account_scope is None
    with pytest.raises(Unauthorized):
        await make_access(db, open_mode=False).account()

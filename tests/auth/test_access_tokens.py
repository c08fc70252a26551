"""Access tokens: what is not exactly one of ours is refused, and all replicas have one secret."""

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from gateway.auth.access_tokens import AccessTokens
from gateway.auth.models import KeptSecret
from gateway.db import Database, DatabaseError, table_of
from gateway.errors import Unauthorized
from gateway.ids import make_id
from gateway.vault import Vault
from tests.auth.conftest import SECRET, Desk

pytestmark = pytest.mark.virtual_time


async def claims_of(desk: Desk) -> dict[str, Any]:
    """What the token of a login says."""
    await desk.user()
    token = (await desk.log_in()).access_token
    return dict(jwt.decode(token, options={"verify_signature": False}))


def encode(part: dict[str, Any]) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_a_token_begins_as_in_the_seed_and_tells_no_email(desk: Desk) -> None:
    await desk.user()
    token = (await desk.log_in()).access_token
    assert token.startswith("eyJ0eXAiOiJKV1QiLCJhbGc")
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": "HS256"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert sorted(claims) == ["aud", "exp", "iat", "iss", "jti", "sid", "sub"]
    assert claims["exp"] == claims["iat"] + 3600
    assert "@" not in json.dumps(claims)


async def test_the_claims_alone_are_good_so_that_what_follows_is_refused_for_its_one_fault(desk: Desk) -> None:
    claims = await claims_of(desk)
    await desk.logins.identify(jwt.encode(claims, SECRET, algorithm="HS256"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another service"},
        {"iss": "another issuer"},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"sid": None},
        {"sub": None},
        {"sub": "1' OR '1'='1"},
        {"sid": "%"},
        {"sid": 7},
        {"sub": 7},
        {"exp": "never"},
        {"exp": 1},
        {"exp": -1},
        {"sub": "01890000-0000-7000-8000-000000000000"},
        {"sid": "01890000-0000-7000-8000-000000000000"},
    ],
)
async def test_a_token_of_other_claims_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    claims = {name: value for name, value in (await claims_of(desk) | wrong).items() if value is not None}
    with pytest.raises(Unauthorized):
        await desk.logins.identify(jwt.encode(claims, SECRET, algorithm="HS256"))


async def test_a_token_of_another_users_login_is_refused(desk: Desk) -> None:
    claims = await claims_of(desk)
    other = await desk.user("other@example.com")
    with pytest.raises(Unauthorized):
        await desk.logins.identify(jwt.encode(claims | {"sub": other.id}, SECRET, algorithm="HS256"))


@pytest.mark.parametrize(("key", "algorithm"), [(f"{SECRET} ", "HS256"), (SECRET * 2, "HS384"), (SECRET * 2, "HS512")])
async def test_a_token_of_another_key_or_algorithm_is_refused(desk: Desk, key: str, algorithm: str) -> None:
    with pytest.raises(Unauthorized):
        await desk.logins.identify(jwt.encode(await claims_of(desk), key, algorithm=algorithm))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "RS256", "HS256"])
async def test_a_token_without_a_signature_is_refused(desk: Desk, algorithm: str) -> None:
    claims = await claims_of(desk)
    for signature in ("", "x", encode({})):
        with pytest.raises(Unauthorized):
            await desk.logins.identify(f"{encode({'typ': 'JWT', 'alg': algorithm})}.{encode(claims)}.{signature}")


async def test_a_key_that_a_token_brings_along_is_not_used(desk: Desk) -> None:
    claims, key = await claims_of(desk), "a key of the attacker's, long enough"
    own = {"jwk": {"kty": "oct", "k": encode({})}, "jku": "https://example.org/keys", "kid": "../../dev/null"}
    with pytest.raises(Unauthorized):
        await desk.logins.identify(jwt.encode(claims, key, algorithm="HS256", headers=own))


@pytest.mark.parametrize(
    "token", ["x", "..", "a.b.c", "wgk_unknown", "\u00fc.\u00fc.\u00fc", "e30.e30.e30", "x" * 9999]
)
async def test_what_is_no_token_is_refused(desk: Desk, token: str) -> None:
    with pytest.raises(Unauthorized, match="not valid"):
        await desk.logins.identify(token)


# --- the secret


def tokens_of(db: Database, folder: Path, configured: str = "") -> AccessTokens:
    """What one replica has, with the key file of its data folder."""
    return AccessTokens(db, Vault(folder), configured, seconds=60)


async def test_replicas_with_one_key_file_have_one_secret_which_is_stored_encrypted(desk: Desk, tmp_path: Path) -> None:
    first, second = tokens_of(desk.db, tmp_path), tokens_of(desk.db, tmp_path)
    await first.start()
    await second.start()
    user_id, login_id = make_id(1.0), make_id(2.0)
    read = second.read(first.make(user_id, login_id, 1000.5))
    assert (read.user_id, read.login_id, read.expires_at) == (user_id, login_id, 1060.0)
    async with desk.db.read() as connection:
        (kept,) = (await connection.execute(select(table_of(KeptSecret)))).all()
    secret = Vault(tmp_path).decrypt(kept.value_encrypted)
    assert len(secret) >= 43
    assert secret not in kept.value_encrypted


async def test_another_key_file_is_refused_where_others_may_have_the_right_one(desk: Desk, tmp_path: Path) -> None:
    first, other = tokens_of(desk.db, tmp_path), tokens_of(desk.db, tmp_path / "other")
    await first.start()
    if not desk.db.is_sqlite:
        with pytest.raises(DatabaseError, match=r"secret\.key.*auth\.jwt_secret"):
            await other.start()
        return
    await other.start()  # one process owns the file: the old key is lost, and new tokens are made with a new secret
    again = tokens_of(desk.db, tmp_path / "other")
    await again.start()
    token = other.make(make_id(1.0), make_id(2.0), 1.0)
    again.read(token)
    with pytest.raises(Unauthorized):
        first.read(token)


async def test_the_secret_of_the_settings_needs_no_key_file(desk: Desk, tmp_path: Path) -> None:
    one, two = (tokens_of(desk.db, tmp_path / name, "0123456789abcdef" * 2) for name in ("one", "two"))
    for tokens in (one, two):
        await tokens.start()
    two.read(one.make(make_id(1.0), make_id(2.0), 1.0))
    async with desk.db.read() as connection:
        assert (await connection.execute(select(table_of(KeptSecret)))).all() == []
